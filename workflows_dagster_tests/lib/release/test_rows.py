"""Rows that two versions of a table hold differently."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.release.rows import RowChange, changed_rows, relabelled, rows_of
from workflows_dagster_tests.lib.release.made_up import reviews

BEFORE = reviews(
    ("r1", "shop", "positive", "same"),
    ("r2", "shop", "positive", "relabelled"),
    ("r3", "shop", "negative", "reworded"),
    ("r4", "blog", "neutral", "gone"),
    ("r5", "blog", None, "unlabelled and gone"),
)
AFTER = reviews(
    ("r3", "shop", "negative", "worded anew"),
    ("r1", "shop", "positive", "same"),
    ("r2", "shop", "negative", "relabelled"),
    ("r6", "blog", None, "new"),
    ("r7", "blog", "neutral", "new"),
)
CHANGES = [
    RowChange("added", "blog", None, None, 1),
    RowChange("added", "blog", "neutral", None, 1),
    RowChange("changed", "shop", "negative", "negative", 1),
    RowChange("changed", "shop", "negative", "positive", 1),
    RowChange("removed", "blog", None, None, 1),
    RowChange("removed", "blog", "neutral", "neutral", 1),
]


@pytest.mark.parametrize("rows_at_once", [1, 3, 100])
def test_rows_are_counted_by_what_became_of_them(tmp_path: Path, rows_at_once: int) -> None:
    before, after = written(tmp_path / "b", BEFORE), written(tmp_path / "a", AFTER)
    assert changed_rows(before, after, rows_at_once) == CHANGES


def test_counts_of_changes() -> None:
    assert [rows_of(CHANGES, change) for change in ("added", "removed", "changed")] == [2, 2, 2]
    assert list(relabelled(CHANGES)) == [CHANGES[3]]


def test_row_that_came_in_another_batch_is_the_same(tmp_path: Path) -> None:
    before, after = written(tmp_path / "b", BEFORE), written(tmp_path / "a", BEFORE.with_columns(batch=pl.lit("z")))
    assert changed_rows(before, after) == []


TABLES = st.dictionaries(st.integers(0, 12), st.sampled_from(["x", "y"]), max_size=10)


@given(TABLES, TABLES, st.integers(1, 30))
def test_added_and_removed_are_the_difference_of_ids(
    tmp_path_factory: pytest.TempPathFactory, before: dict[int, str], after: dict[int, str], rows_at_once: int
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    paths = [
        written(
            folder / name,
            reviews(("never", "s", None, "t"), *((str(key), "s", None, text) for key, text in given.items())),
        )
        for name, given in (("before", before), ("after", after))
    ]
    changes = changed_rows(*paths, rows_at_once=rows_at_once)
    assert rows_of(changes, "added") == len(after.keys() - before.keys())
    assert rows_of(changes, "removed") == len(before.keys() - after.keys())
    assert rows_of(changes, "changed") == sum(before[key] != after[key] for key in before.keys() & after.keys())


def written(path: Path, table: pl.DataFrame) -> Path:
    table.write_parquet(path)
    return path
