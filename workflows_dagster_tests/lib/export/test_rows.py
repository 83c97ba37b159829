"""The rows that artefacts are tried on."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.export.rows import held_out_rows


def test_only_labelled_test_rows_are_taken(tiny_reviews: Artifact) -> None:
    rows = held_out_rows(tiny_reviews, 1000)
    assert rows["review_id"].to_list() == [f"r{number:03}" for number in range(20, 60)]


def test_a_smaller_limit_gives_a_subset_whatever_the_order(tiny_reviews: Artifact, tmp_path: Path) -> None:
    shuffled = pl.read_parquet(tiny_reviews.folder / "reviews.parquet").sample(fraction=1, shuffle=True, seed=1)
    shuffled.write_parquet(tmp_path / "reviews.parquet")
    other = replace(tiny_reviews, folder=tmp_path)
    few, more = held_out_rows(tiny_reviews, 5), held_out_rows(other, 9)
    assert few.equals(held_out_rows(other, 5))
    assert set(few["review_id"]) < set(more["review_id"])


def test_no_test_rows_are_an_error(tiny_reviews: Artifact, tmp_path: Path) -> None:
    rows = pl.read_parquet(tiny_reviews.folder / "reviews.parquet").filter(pl.col("split") == "train")
    rows.write_parquet(tmp_path / "reviews.parquet")
    with pytest.raises(NotEnoughDataError, match="0 labelled rows in the test split"):
        held_out_rows(replace(tiny_reviews, folder=tmp_path), 5)
