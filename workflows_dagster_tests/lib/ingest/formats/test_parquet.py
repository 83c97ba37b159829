"""Parquet: typed values, and files that are refused."""

import io
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.rows import BrokenRow, Row
from workflows_dagster_tests.lib.ingest.described import source

POSTS = source(format="parquet", columns={"text": "text", "stars": "stars"})


def read(columns: dict[str, Any]) -> list[Row | BrokenRow]:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    stream.seek(0)
    return list(POSTS.rows(stream, "a.parquet"))


def test_parquet_values_become_text() -> None:
    written = datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert read({"text": ["a", None], "stars": [4.0, float("nan")]}) == [
        Row(1, None, ["a", "4"]),
        Row(2, None, [None, None]),
    ]
    assert read({"text": pa.array([written], pa.timestamp("ns", "UTC")), "stars": pa.array([3], pa.int8())}) == [
        Row(1, None, ["2024-05-01T12:00:00+00:00", "3"])
    ]


def test_parquet_value_of_a_wrong_type_is_rejected() -> None:
    (row,) = read({"text": pa.array([["a", "b"]]), "stars": [1]})
    assert isinstance(row, BrokenRow)
    assert (row.row, row.line, row.reason) == (1, None, "wrong_type")


def test_parquet_without_a_column_is_refused() -> None:
    with pytest.raises(SourceUnreadableError, match="'stars'"):
        read({"text": ["a"]})


def test_parquet_that_is_none_is_refused() -> None:
    with pytest.raises(SourceUnreadableError, match=r"a\.parquet of source shop cannot be read as Parquet"):
        list(POSTS.rows(io.BytesIO(b"id,text\n1,a\n"), "a.parquet"))
