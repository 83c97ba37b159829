"""json: where the records are, and documents that are refused."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.formats.json_document import MAX_RECORD_CHARS
from workflows_dagster.lib.ingest.rows import BrokenRow, Row
from workflows_dagster_tests.lib.ingest.described import source


def read(content: bytes, **fields: str) -> list[Row | BrokenRow]:
    described = source(format="json", columns={"text": "text", "stars": "rating.stars"}, **fields)
    return list(described.rows(io.BytesIO(content), "a.json"))


def outline(rows: list[Row | BrokenRow]) -> list[tuple[int, str | None, str | None]]:
    """Row, text and stars, or row, reason and None."""
    return [
        (row.row, row.reason, None) if isinstance(row, BrokenRow) else (row.row, row.cells[0], row.cells[1])
        for row in rows
    ]


@pytest.mark.parametrize(
    ("content", "records", "expected"),
    [
        (b'[{"text": "a", "rating": {"stars": 5}}, {"text": "b"}]', None, [(1, "a", "5"), (2, "b", None)]),
        (b'{"n": 1, "data": {"reviews": [{"text": "a"}]}}', "data.reviews", [(1, "a", None)]),
        (b'{"text": "a"}\n{"text": "b"}', None, [(1, "a", None), (2, "b", None)]),
        (b'{\n "text": "a",\n "other": [1]\n}', None, [(1, "a", None)]),
        (b'[{"rating.stars": 4, "rating": {"stars": 5}, "text": "a"}]', None, [(1, "a", "4")]),
        (b'[3, {"text": ["x"]}, {"text": "b"}]', None,
         [(1, "not_an_object", None), (2, "wrong_type", None), (3, "b", None)]),
        (b'[{"text": "caf\xe9"}, {"text": "b"}]', None, [(1, "undecodable", None), (2, "b", None)]),
        (b'\xef\xbb\xbf[{"text": 5.0}, {"text": 12345678901234567890}]', None,
         [(1, "5", None), (2, "12345678901234567890", None)]),
        (b'[{"text": ' + b"[" * 200 + b"]" * 200 + b'}, {"text": "b"}]', None,
         [(1, "record_too_long", None), (2, "b", None)]),
        (b'[{"x": [' + b"1," * 150_000 + b'1]}, {"text": "b"}]', None, [(1, "record_too_long", None), (2, "b", None)]),
        (b"[]", None, []),
    ],
)  # fmt: skip
def test_records_are_found(content: bytes, records: str | None, expected: list[tuple[int, str, str | None]]) -> None:
    assert outline(read(content, **({"records": records} if records else {}))) == expected


@pytest.mark.parametrize(
    ("content", "records", "message"),
    [
        (b'[{"text": "a"}, {"text": "b"', None, "not JSON up to its end"),
        (b'[{"text": "a"}] x', None, "not JSON up to its end"),
        (b"[" * 100_000, None, "not JSON up to its end"),
        (b'[{"text": ' + b"9" * 100_000 + b"}]", None, "not JSON up to its end"),
        (b'{"data": {"reviews": [{"text": "a"}]}}', None, "one object with data.*records: KEY"),
        (b'{"data": {"reviews": [{"text": "a"}]}}', "reviews", "no array under reviews; the keys are data"),
        (b'"text"', None, "neither an array nor an object"),
        (b'[{"text": "' + b"x" * 2 * MAX_RECORD_CHARS + b'"}]', None, "a value of more than"),
    ],
)
def test_document_without_records_is_refused(content: bytes, records: str | None, message: str) -> None:
    with pytest.raises(SourceUnreadableError, match=message):
        read(content, **({"records": records} if records else {}))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufdd0"))), st.booleans())
def test_array_is_read_back(texts: list[str], indented: bool) -> None:
    content = json.dumps([{"text": text} for text in texts], indent=1 if indented else None).encode()
    assert outline(read(content)) == [(number, text, None) for number, text in enumerate(texts, 1)]
