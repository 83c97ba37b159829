"""Reading Parquet batch by batch."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflows_dagster.lib.parquet import read_batches


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Ten rows in row groups of four, four and two."""
    table = pa.table({"number": list(range(10)), "text": ["x" * 1000 for _ in range(10)]})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=4)
    return tmp_path / "rows.parquet"


@pytest.mark.parametrize(("rows", "sizes"), [(4, [4, 4, 2]), (3, [3, 1, 3, 1, 2]), (100, [4, 4, 2])])
def test_batches_hold_every_row_once_in_order(file: Path, rows: int, sizes: list[int]) -> None:
    batches = list(read_batches(pq.ParquetFile(file), ["number"], rows))
    assert [batch.num_rows for batch in batches] == sizes
    assert [number for batch in batches for number in batch["number"].to_pylist()] == list(range(10))
    assert batches[0].schema.names == ["number"]


def test_all_columns_are_read_unless_some_are_named(file: Path) -> None:
    assert next(read_batches(pq.ParquetFile(file))).schema.names == ["number", "text"]


def test_row_groups_that_were_read_are_let_go(tmp_path: Path) -> None:
    table = pa.table({"text": [f"{row:08} " + "y" * 992 for row in range(20_000)]})
    pq.write_table(table, tmp_path / "large.parquet", row_group_size=1_000, compression="none", use_dictionary=False)
    del table
    before = pa.total_allocated_bytes()
    most = 0
    with pq.ParquetFile(tmp_path / "large.parquet") as large:
        for batch in read_batches(large):
            most = max(most, pa.total_allocated_bytes() - before)
            assert batch.num_rows == 1_000
    assert most < 8_000_000  # of 20 MB, a row group being 1 MB
