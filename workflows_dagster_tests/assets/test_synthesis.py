"""The synthesis assets with the embedded generator, on a small corpus with two sources."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from workflows_dagster.assets import synthesis
from workflows_dagster.checks.synthesis import (
    AUGMENTED_OF_TRAINING,
    SYNTHETIC_REVIEWS_OF_TRAINING,
    VALIDATED_OF_TRAINING,
)
from workflows_dagster.io_managers.published import PublishedIOManager
from workflows_dagster.lib.annotation.training import TRAINING_REVIEW
from workflows_dagster.lib.artifact import write_report, write_table
from workflows_dagster.lib.schema import CORPUS_REVIEW, SYNTHETIC_REVIEW
from workflows_dagster.resources.generator import RecombinationResource
from workflows_dagster.resources.store import COMMIT_KEY, StoreResource

ASSETS = [
    synthesis.class_balance,
    synthesis.synthetic_reviews,
    synthesis.validated_synthetic_reviews,
    synthesis.augmented_reviews,
]
SPOKEN = {
    "positive": ["love", "great", "perfect", "happy", "best"],
    "negative": ["awful", "broken", "refund", "cheap", "worst"],
    "neutral": ["okay", "average", "ordinary", "acceptable", "middling"],
}
THINGS = ["colour", "fabric", "seam", "button", "zip", "sleeve", "pocket", "collar", "lining", "hem", "fit", "price"]


def corpus(rows: int = 900) -> pl.DataFrame:
    """Reviews of three sentences whose words tell their class; a tenth each in validation and test."""
    rng = random.Random(7)
    records: list[dict[str, object]] = []
    for number in range(rows):
        label = rng.choices(["positive", "negative", "neutral"], [7, 2, 1])[0]
        sentences = [
            f"The {rng.choice(THINGS)} is {rng.choice(SPOKEN[label])} and the {rng.choice(THINGS)} looks "
            f"{rng.choice(SPOKEN[label])} after {rng.randrange(90)} days."
            for _ in range(3)
        ]
        records.append(
            {
                "review_id": f"shop:{number:05}",
                "source": "shop" if number % 4 else "posts",
                "batch": "b",
                "text": " ".join(sentences),
                "stars": None,
                "label": label,
                "label_source": "rating",
                "language": "en",
                "product_id": None,
                "group_key": f"g{number}",
                "created_at": None,
                "split": {0: "validation", 1: "test"}.get(number % 10, "train"),
            }
        )
    return pl.DataFrame(records, schema=pl.DataFrame(CORPUS_REVIEW.empty_table()).schema)


class _Empty:
    def to_metadata(self) -> dict[str, object]:
        return {}


def _write_training(folder: Path) -> _Empty:
    votes = {name: pl.lit(0, pl.Int32) for name in ("votes", "agreeing")}
    write_table(folder / "reviews.parquet", corpus().with_columns(**votes), TRAINING_REVIEW)
    write_report(folder, {"status": "waiting", "label_sources": {"rating": 900}})
    return _Empty()


Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def materialize(store: StoreResource, instance: dg.DagsterInstance) -> Run:
    """Materializes the stage and returns the result."""

    @dg.asset
    def training_reviews(context: dg.AssetExecutionContext, store: StoreResource) -> Any:
        yield from store.publish(context, _write_training)

    def run(**config: Any) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [training_reviews, *ASSETS],
            instance=instance,
            resources={
                "store": store,
                "text_generator": RecombinationResource(),
                "io_manager": PublishedIOManager(store=store),
            },
            run_config={"ops": {name: {"config": value} for name, value in config.items()}},
        )

    return run


def folders(result: dg.ExecuteInProcessResult, store: StoreResource) -> dict[str, Path]:
    names = ["training_reviews", *(asset.key.to_python_identifier() for asset in ASSETS)]
    commits = {name: str(result.asset_materializations_for_node(name)[0].metadata[COMMIT_KEY].value) for name in names}
    return {name: store.store().folder(name, commit) for name, commit in commits.items()}


def test_stage_adds_only_accepted_rows_to_train(materialize: Run, store: StoreResource) -> None:
    result = materialize()

    at = folders(result, store)
    report = json.loads((at["validated_synthetic_reviews"] / "report.json").read_text())
    assert report["rows_in"] == report["rows_kept"] + report["rows_rejected"]
    assert report["rows_kept"] > 0
    assert report["generator_is_stand_in"] is True
    augmented = pl.read_parquet(at["augmented_reviews"] / "reviews.parquet")
    added = augmented.filter(pl.col("label_source") == "synthetic")
    assert added.height == report["rows_kept"]
    assert set(added["split"]) == {"train"}
    assert set(added["label"]) <= {"negative", "neutral"}
    assert augmented.filter(pl.col("label_source") != "synthetic").equals(corpus(), null_equal=True)
    assert all(event.passed for event in result.get_asset_check_evaluations())


def test_same_seed_gives_the_same_data_versions(materialize: Run, store: StoreResource) -> None:
    first, second = (folders(materialize(), store) for _ in range(2))
    other = folders(materialize(synthetic_reviews={"seed": 5}), store)

    assert first == second
    assert first["synthetic_reviews"] != other["synthetic_reviews"]


def test_nothing_is_made_when_nothing_is_wanted(materialize: Run, store: StoreResource) -> None:
    at = folders(materialize(class_balance={"target_ratio": 0.0}), store)
    assert pl.read_parquet(at["augmented_reviews"] / "reviews.parquet").height == 900


@pytest.fixture
def training(tmp_path: Path) -> Path:
    folder = tmp_path / "training"
    folder.mkdir()
    _write_training(folder)
    return folder


def synthetic_row(text: str, parent: str) -> pl.DataFrame:
    row = corpus(1).with_columns(
        review_id=pl.lit("synthetic:1"),
        text=pl.lit(text),
        split=pl.lit("train"),
        label_source=pl.lit("synthetic"),
        generator=pl.lit("x"),
        prompt=pl.lit("x"),
        seed=pl.lit(1, pl.Int64),
    )
    return row.with_columns(pl.Series("parent_ids", [[parent]]))


@pytest.mark.parametrize(("parent", "passed"), [("shop:00002", True), ("shop:00000", False), ("nobody", False)])
def test_parent_outside_train_is_caught(training: Path, tmp_path: Path, parent: str, passed: bool) -> None:
    write_table(tmp_path / "synthetic.parquet", synthetic_row("any", parent), SYNTHETIC_REVIEW)
    [audit] = [comparison.against(training) for comparison in SYNTHETIC_REVIEWS_OF_TRAINING]
    assert audit.blocking
    assert audit.judge(tmp_path).passed is passed


@pytest.mark.parametrize(("row", "passed"), [(1, False), (2, True)])
def test_copy_of_a_test_row_is_caught(training: Path, tmp_path: Path, row: int, passed: bool) -> None:
    text = corpus()["text"][row]
    write_table(tmp_path / "reviews.parquet", synthetic_row(text, "shop:00002"), SYNTHETIC_REVIEW)
    [audit] = [comparison.against(training) for comparison in VALIDATED_OF_TRAINING]
    assert audit.judge(tmp_path).passed is passed


def test_changed_test_row_is_caught(training: Path, tmp_path: Path) -> None:
    changed = corpus().with_columns(text=pl.when(pl.col("split") == "test").then(pl.lit("x")).otherwise("text"))
    write_table(tmp_path / "reviews.parquet", changed, CORPUS_REVIEW)
    [audit] = [comparison.against(training) for comparison in AUGMENTED_OF_TRAINING]
    verdict = audit.judge(tmp_path)
    assert not verdict.passed
    assert "['text']" in verdict.description
