"""jsonl and Parquet."""

import io
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.catalog import Source
from workflows_dagster.lib.ingest.lines import MAX_RECORD_CHARS, open_text
from workflows_dagster.lib.ingest.records import Broken, Record
from workflows_dagster.lib.ingest.typed import read_jsonl, read_parquet


def source(format: str) -> Source:
    columns = {"text": "text", "stars": "stars"}
    return Source.model_validate({"name": "posts", "location": "/posts", "format": format, "columns": columns})


def read_lines(content: bytes) -> list[Record | Broken]:
    described = source("jsonl")
    with open_text(io.BytesIO(content), described, newline="\n") as text:
        return list(read_jsonl(text, described))


def read_table(columns: dict[str, Any]) -> list[Record | Broken]:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    stream.seek(0)
    return list(read_parquet(stream, source("parquet"), "a.parquet"))


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        (b'{"text": "a", "stars": 5}', ["a", "5"]),
        (b'{"text": "a", "stars": 5.0}', ["a", "5"]),
        (b'{"text": "a", "stars": null, "other": [1]}', ["a", None]),
        (b'{"text": "a\\u2028b"}', ["a\u2028b", None]),
        ('{"text": "a\u2028b\u0085c"}'.encode(), ["a\u2028b\u0085c", None]),
        (b'{"text": true, "stars": NaN}', ["true", None]),
        (b'\xef\xbb\xbf{"text": "a"}\r', ["a", None]),
    ],
)
def test_json_line_is_read(line: bytes, cells: list[str | None]) -> None:
    assert read_lines(line + b"\n") == [Record(1, 1, cells)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a"', "broken_json"),
        (b"[" * 100_000, "broken_json"),
        (b'{"text": ' + b"9" * 5_000 + b"}", "broken_json"),
        (b'["a"]', "not_an_object"),
        (b'{"text": ["a"]}', "wrong_type"),
        (b'{"text": "caf\xe9"}', "undecodable"),
        (b'{"text": "\\ud800"}', "undecodable"),
        (b'{"text": "' + b"x" * MAX_RECORD_CHARS + b'"}', "record_too_long"),
    ],
)
def test_json_line_is_rejected_and_reading_goes_on(line: bytes, reason: str) -> None:
    broken, whole = read_lines(line + b'\n\n{"text": "b"}\n')
    assert isinstance(broken, Broken)
    assert (broken.row, broken.line, broken.reason) == (1, 1, reason)
    assert whole == Record(2, 3, ["b", None])


def test_parquet_values_become_text() -> None:
    written = datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert read_table({"text": ["a", None], "stars": [4.0, float("nan")]}) == [
        Record(1, None, ["a", "4"]),
        Record(2, None, [None, None]),
    ]
    assert read_table({"text": pa.array([written], pa.timestamp("ns", "UTC")), "stars": pa.array([3], pa.int8())}) == [
        Record(1, None, ["2024-05-01T12:00:00+00:00", "3"])
    ]


def test_parquet_value_of_a_wrong_type_is_rejected() -> None:
    (row,) = read_table({"text": pa.array([["a", "b"]]), "stars": [1]})
    assert isinstance(row, Broken)
    assert (row.row, row.line, row.reason) == (1, None, "wrong_type")


def test_parquet_without_a_column_is_refused() -> None:
    with pytest.raises(SourceUnreadableError, match="'stars'"):
        read_table({"text": ["a"]})


def test_parquet_that_is_none_is_refused() -> None:
    with pytest.raises(SourceUnreadableError, match=r"a\.parquet of source posts cannot be read as Parquet"):
        list(read_parquet(io.BytesIO(b"id,text\n1,a\n"), source("parquet"), "a.parquet"))
