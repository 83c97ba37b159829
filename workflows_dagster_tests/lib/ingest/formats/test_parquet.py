"""Parquet: typed values, and files that are refused."""

import io
from datetime import UTC, datetime
from typing import Any

import numpy as np
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


def test_value_that_cannot_be_read_costs_its_row() -> None:
    texts = [b"good", b"caf\xe9", b"bad"]
    offsets = pa.py_buffer(np.cumsum([0, *map(len, texts)]).astype(np.int32))
    written = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(b"".join(texts))])
    for column in (written, pa.array(texts, pa.binary()), written.dictionary_encode()):
        rows = read({"text": column, "stars": [5, 4, 1]})
        assert [row.reason if isinstance(row, BrokenRow) else row.cells[0] for row in rows] == [
            "good",
            "undecodable",
            "bad",
        ]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([0, 2**62, None], pa.timestamp("us", "Mars/Olympus")), ["1970-01-01T00:00:00+00:00", "far", None]),
        (pa.array([253402214400, -62135596800], pa.timestamp("s")),
         ["9999-12-31T00:00:00+00:00", "0001-01-01T00:00:00+00:00"]),
        (pa.array([19000, 2**30], pa.date32()), ["2022-01-08", "far"]),
        (pa.array([1, -1], pa.timestamp("ns")), ["1970-01-01T00:00:00+00:00", "1969-12-31T23:59:59.999999+00:00"]),
    ],
)  # fmt: skip
def test_date_is_text_whatever_its_zone_and_year(column: pa.Array, expected: list[str | None]) -> None:
    cells = [row.cells[1] for row in read({"text": ["t"] * len(column), "stars": column}) if isinstance(row, Row)]
    assert [cell and ("far" if "since 1970" in cell else cell) for cell in cells] == expected


def test_int96_is_read_from_the_year_1_to_9999() -> None:
    stream = io.BytesIO()
    written = pa.array([253402214400, -62135596800], pa.timestamp("s")).cast(pa.timestamp("us"))
    pq.write_table(pa.table({"text": ["a", "b"], "stars": written}), stream, use_deprecated_int96_timestamps=True)
    cells = [row.cells[1] for row in POSTS.rows(stream, "a.parquet") if isinstance(row, Row)]
    assert cells == ["9999-12-31T00:00:00+00:00", "0001-01-01T00:00:00+00:00"]


def test_nested_field_is_found_by_its_path_and_a_flat_column_of_that_name_first() -> None:
    described = source(format="parquet", columns={"text": "review.body.text", "stars": "review.stars"})
    nested = pa.array([{"body": {"text": "good"}, "stars": 4}])
    for columns, stars in (({"review": nested}, "4"), ({"review": nested, "review.stars": ["5"]}, "5")):
        stream = io.BytesIO()
        pq.write_table(pa.table(columns), stream)
        assert list(described.rows(stream, "a.parquet")) == [Row(1, None, ["good", stars])]


@pytest.mark.parametrize("chars", [1_000, 200_000])
def test_long_values_that_are_stored_once_are_read_a_few_at_a_time(chars: int) -> None:
    """A dictionary of one long text stands for 20,000 rows of it; read at once, they would take gigabytes."""
    stream = io.BytesIO()
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["x" * chars]))
    pq.write_table(pa.table({"text": column, "stars": [5] * 20_000}), stream, store_schema=False)
    before = pa.default_memory_pool().bytes_allocated()
    most, rows = 0, 0
    for row in POSTS.rows(stream, "a.parquet"):
        rows += 1
        assert isinstance(row, BrokenRow) == (chars == 200_000)
        most = max(most, pa.default_memory_pool().bytes_allocated() - before)
    assert rows == 20_000
    assert most < 100 * 1024**2
