"""Reading artifacts, and writing reports and tables that are the same bytes each time."""

import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.artifact import Artifact, conform, write_report, write_table
from workflows_dagster.lib.errors import DataContractError, NotPublishedError

SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("stars", pa.int8())])


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "note.txt").write_text("hello")
    write_report(tmp_path, {"rows_in": 2})
    write_table(tmp_path / "reviews.parquet", pl.DataFrame({"id": ["a", "b"], "stars": [1, None]}), SCHEMA)
    return Artifact("note", None, "c", "d", tmp_path)


def test_file_is_found_by_its_path(artifact: Artifact) -> None:
    assert artifact.file("deep/note.txt").read_text() == "hello"


def test_missing_file_is_named_beside_those_that_are_there(artifact: Artifact) -> None:
    with pytest.raises(NotPublishedError, match=r"note holds no file .*'x.csv'.*deep, report.json, reviews.parquet"):
        artifact.file("x.csv")


def test_table_is_scanned_and_report_read(artifact: Artifact) -> None:
    assert artifact.scan().filter(pl.col("stars") == 1).collect()["id"].to_list() == ["a"]
    assert artifact.report() == {"rows_in": 2}


def test_report_is_the_same_bytes_in_any_order_of_keys(tmp_path: Path) -> None:
    written: list[bytes] = []
    for report in ({"b": "ü", "a": {"y": 1, "x": [1.5]}}, {"a": {"x": [1.5], "y": 1}, "b": "ü"}):
        write_report(tmp_path, report)
        written.append((tmp_path / "report.json").read_bytes())
    assert written[0] == written[1]
    assert written[0].decode() == '{\n  "a": {\n    "x": [\n      1.5\n    ],\n    "y": 1\n  },\n  "b": "ü"\n}\n'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_report_refuses_numbers_that_json_does_not_have(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_report(tmp_path, {"f1": value})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(report=st.dictionaries(st.text(), JSON, max_size=4))
def test_report_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, report: dict[str, object]) -> None:
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, report)
    assert Artifact("note", None, "c", "d", folder).report() == report


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


def test_report_file_is_plain_json_for_other_tools(artifact: Artifact) -> None:
    assert json.loads((artifact.folder / "report.json").read_text("utf-8")) == {"rows_in": 2}
