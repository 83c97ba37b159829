"""Asking a generator for rows: what it refuses is left out and named, and it is held to what it agreed to."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.errors import GenerationError
from workflows_dagster.lib.schema import CORPUS_REVIEW
from workflows_dagster.lib.synthesis.balance import Cell, ClassBalance
from workflows_dagster.lib.synthesis.generation import (
    Generation,
    GenerationRequest,
    Parent,
    SyntheticReviews,
    SyntheticSettings,
    build_synthetic_reviews,
    check_generations,
)
from workflows_dagster.lib.synthesis.recombination import RecombinationGenerator

TEXTS = {
    "shop": "The zip broke on day {0}. It cost {0} pounds. I sent it back after {0} days.",
    "unique": "Xylo{0} quorb{0} brint{0}.",
}


class Lazy(RecombinationGenerator):
    """Agrees to everything and makes nothing."""

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        return []


@pytest.fixture
def training(tmp_path: Path) -> Artifact:
    """As many negative training rows of a source with common sentences as of one where no two share a word."""
    rows = [
        {
            "review_id": f"{source}:{number}",
            "source": source,
            "batch": "b",
            "text": text.format(number),
            "stars": 1,
            "label": "negative",
            "label_source": "rating",
            "language": "en",
            "product_id": None,
            "group_key": f"{source}:{number}",
            "created_at": None,
            "split": "train",
        }
        for source, text in TEXTS.items()
        for number in range(240)
    ]
    frame = pl.DataFrame(rows, schema=pl.DataFrame(CORPUS_REVIEW.empty_table()).schema)
    (tmp_path / "training").mkdir()
    write_table(tmp_path / "training" / "reviews.parquet", frame, CORPUS_REVIEW)
    return Artifact("training_reviews", None, "c", "d", tmp_path / "training")


@pytest.fixture
def balance(tmp_path: Path) -> Artifact:
    """Ten rows asked for of each source."""
    cells = tuple(Cell("negative", source, real=240, make=10) for source in TEXTS)
    (tmp_path / "balance").mkdir()
    ClassBalance(real={"negative": 480}, target={"negative": 500}, cells=cells).write(tmp_path / "balance")
    return Artifact("class_balance", None, "c", "d", tmp_path / "balance")


def test_cell_that_cannot_be_made_is_left_out_and_named(balance: Artifact, training: Artifact, tmp_path: Path) -> None:
    record = build_synthetic_reviews(balance, training, RecombinationGenerator(), SyntheticSettings(), tmp_path)
    assert set(record.rows_by_stratum) == {"negative/shop"}
    assert record.rows_wanted == 20
    assert record.refused
    assert all("negative of unique" in refused for refused in record.refused)
    assert SyntheticReviews.read(tmp_path) == record


def test_generator_that_breaks_its_promise_publishes_nothing(
    balance: Artifact, training: Artifact, tmp_path: Path
) -> None:
    with pytest.raises(GenerationError, match="another number of texts"):
        build_synthetic_reviews(balance, training, Lazy(), SyntheticSettings(), tmp_path)
    assert not (tmp_path / "synthetic.parquet").exists()


@pytest.mark.parametrize(
    "made",
    [
        [],
        [Generation("text", "negative", "shop", None, "r", 1, ("stranger",))],
        [Generation(" ", "negative", "shop", None, "r", 1, ("p1",))],
        [Generation("text", "negative", "shop", None, "r", 1, ())],
        [Generation("text", "positive", "shop", None, "r", 1, ("p1",))],
    ],
)
def test_broken_promises_are_found(made: list[Generation]) -> None:
    asked = GenerationRequest("negative", "shop", 1, 1, [Parent("p1", "It broke.", "en")])
    with pytest.raises(GenerationError):
        check_generations([asked], made)
