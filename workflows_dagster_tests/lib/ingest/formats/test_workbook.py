"""xlsx and ods: sheets, headers, and workbooks that are refused."""

import io
import zipfile
from typing import Any

import pytest

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.rows import BrokenRow, Row
from workflows_dagster_tests.lib.ingest.described import source
from workflows_dagster_tests.lib.ingest.workbooks import ods, packed, worksheet, xlsx

REVIEWS = [("text", "stars"), ("good, very\ngood", 5), ("", ""), ("bad", 1.5)]


def read(content: bytes, kind: str = "xlsx", **fields: Any) -> list[Row | BrokenRow]:
    described = source(format=kind, columns={"text": "text", "stars": "stars"}, **fields)
    return list(described.rows(io.BytesIO(content), f"a.{kind}"))


def test_first_sheet_is_read() -> None:
    assert read(xlsx({"one": REVIEWS, "two": []})) == [
        Row(1, 2, ["good, very\ngood", "5"]),
        Row(2, 4, ["bad", "1.5"]),
    ]


def test_sheet_is_named_and_lines_before_the_header_are_skipped() -> None:
    sheets = {"one": [], "two": [("Reviews of May",), *REVIEWS]}
    assert [row.line for row in read(xlsx(sheets), sheet="two", skip_lines=1)] == [3, 5]


def test_ods_is_read() -> None:
    assert read(ods([("text", "stars"), ("good", "5")]), "ods") == [Row(1, 2, ["good", "5"])]


@pytest.mark.parametrize(
    ("content", "fields", "message"),
    [
        (xlsx({"one": REVIEWS}), {"sheet": "two"}, "no sheet two; there are one"),
        (xlsx({"one": [("text",)]}), {}, "lacks columns"),
        (packed({"a.csv": "text,stars"}), {}, "cannot be read as a workbook"),
        (xlsx({"one": REVIEWS})[:-40], {}, "cannot be read as a workbook"),
        (b"text,stars", {}, "cannot be read as a workbook"),
    ],
)
def test_workbook_that_is_none_is_refused(content: bytes, fields: dict[str, str], message: str) -> None:
    with pytest.raises(SourceUnreadableError, match=message):
        read(content, **fields)


def test_sheet_that_would_not_fit_into_memory_is_refused() -> None:
    far = worksheet('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
    with pytest.raises(SourceUnreadableError, match="more than 1,024 MiB of memory"):
        read(replaced(xlsx({"one": REVIEWS}), "xl/worksheets/sheet1.xml", far))


def replaced(workbook: bytes, name: str, content: str) -> bytes:
    """The workbook with other content of one of its files."""
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
        files = {one: archive.read(one).decode() for one in archive.namelist()}
    return packed(files | {name: content})
