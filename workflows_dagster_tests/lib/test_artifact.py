"""Reading artifacts, and writing tables that are the same bytes each time."""

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflows_dagster.lib.artifact import Artifact, conform, write_table
from workflows_dagster.lib.errors import DataContractError, NotPublishedError

SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("stars", pa.int8())])


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "note.txt").write_text("hello")
    write_table(tmp_path / "reviews.parquet", pl.DataFrame({"id": ["a", "b"], "stars": [1, None]}), SCHEMA)
    return Artifact("note", None, "c", "d", tmp_path)


def test_file_is_found_by_its_path(artifact: Artifact) -> None:
    assert artifact.file("deep/note.txt").read_text() == "hello"


def test_missing_file_is_named_beside_those_that_are_there(artifact: Artifact) -> None:
    with pytest.raises(NotPublishedError, match=r"note holds no file .*'x.csv'.*deep, reviews.parquet"):
        artifact.file("x.csv")


def test_table_is_scanned(artifact: Artifact) -> None:
    assert artifact.scan().filter(pl.col("stars") == 1).collect()["id"].to_list() == ["a"]


def test_table_has_exactly_the_columns_of_its_schema(tmp_path: Path) -> None:
    frame = pl.DataFrame({"more": [1], "stars": [5], "id": ["a"]})
    write_table(tmp_path / "t.parquet", frame, SCHEMA)
    assert pq.read_schema(tmp_path / "t.parquet").equals(SCHEMA)
    assert pq.read_table(tmp_path / "t.parquet").to_pylist() == [{"id": "a", "stars": 5}]


def test_table_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": ["a", "b"], "stars": [5, None]})
    for name in ("one", "two"):
        write_table(tmp_path / name, frame, SCHEMA)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_table_without_rows_keeps_its_schema(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", pl.DataFrame({"id": [], "stars": []}), SCHEMA)
    table = pq.read_table(tmp_path / "t.parquet")
    assert (table.num_rows, table.schema.equals(SCHEMA)) == (0, True)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a"]}, r"t\.parquet lacks columns.*Given: \['id'\].*add \['stars'\]"),
        ({"id": ["a", None], "stars": [1, 1]}, "column id must not be null. Given: '1 nulls in 2 rows'"),
        ({"id": ["a"], "stars": [300]}, "table does not fit its schema.*300"),
        ({"id": ["a"], "stars": ["five"]}, "table does not fit its schema.*five"),
        ({"id": ["a"], "stars": [[5]]}, "table does not fit its schema"),
        ({"id": ["a"], "stars": [4.5]}, "table does not fit its schema"),
    ],
)
def test_table_that_breaks_its_schema_is_refused_and_not_written(
    tmp_path: Path, columns: dict[str, list[object]], message: str
) -> None:
    with pytest.raises(DataContractError, match=message):
        write_table(tmp_path / "t.parquet", pl.DataFrame(columns), SCHEMA)
    assert list(tmp_path.iterdir()) == []


def test_conform_casts_and_orders() -> None:
    table = pa.table({"stars": pa.array([5], pa.int64()), "id": pa.array(["a"], pa.large_string())})
    assert conform(table, SCHEMA).schema.equals(SCHEMA)
