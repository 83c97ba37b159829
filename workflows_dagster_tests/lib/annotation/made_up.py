"""Made-up corpora, answers, and records around them."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from workflows_dagster.lib.annotation.agreement import Resampling, ballot, measure
from workflows_dagster.lib.annotation.desk import RESPONSE, RoundState
from workflows_dagster.lib.annotation.gate import Gate
from workflows_dagster.lib.annotation.records import PilotLabels, SuspectCounts, TrainingReviews, WeakLabelAccuracy
from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.schema import CORPUS_REVIEW

NAMES = {"p": "positive", "n": "negative", "u": "neutral"}
START = datetime(2026, 3, 2, 9, tzinfo=UTC)

NO_ANSWERS = Gate(0, 0, None, "ordinal", 0.5, 2, "weak", "hold")
AGREED = Gate(4, 2, Estimate(0.8, 0.6, 0.9, 2), "ordinal", 0.5, 2, "weak", "hold")


def with_defaults(reviews: pl.DataFrame) -> pl.DataFrame:
    """The reviews with what they lack of the columns of CORPUS_REVIEW; every review is a group of its own."""
    defaults = {
        "source": pl.lit("shop"),
        "batch": pl.lit("b"),
        "text": pl.lit("text"),
        "stars": pl.lit(None, pl.Int8),
        "label_source": pl.lit("rating"),
        "language": pl.lit("en"),
        "product_id": pl.lit(None, pl.String),
        "group_key": pl.col("review_id"),
        "created_at": pl.lit(None, pl.Datetime("us", "UTC")),
    }
    return reviews.with_columns(**{name: made for name, made in defaults.items() if name not in reviews.columns})


def corpus_of(folder: Path, reviews: pl.DataFrame) -> Artifact:
    """A review_corpus of these reviews."""
    folder.mkdir(exist_ok=True)
    write_table(folder / "reviews.parquet", with_defaults(reviews), CORPUS_REVIEW)
    return artifact(folder, "review_corpus")


def artifact(folder: Path, asset: str) -> Artifact:
    """An asset whose content is in a folder."""
    return Artifact(asset, None, "c" * 40, "d" * 64, folder)


def responses(**by_review: str) -> pl.DataFrame:
    """Answers such as a="pp.n": one letter for each annotator, a dot where there is none; all at one time."""
    rows = [
        (review_id, f"annotator{place}", NAMES[letter], START)
        for review_id, letters in by_review.items()
        for place, letter in enumerate(letters)
        if letter != "."
    ]
    return pl.DataFrame(rows, schema=RESPONSE, orient="row")


def labels_record(gate: Gate, status: str = "complete") -> PilotLabels:
    """The record of a round of which only its status and its gate matter."""
    nobody = RESPONSE.to_frame()
    return PilotLabels(
        round_id="r1",
        desk="files",
        status=RoundState(status),
        rows_requested=2,
        rows_answered=2,
        rows_resolved=1,
        rows_unresolved=1,
        resolutions={"majority": 1, "tie": 1},
        answers=gate.answers,
        answers_rejected=0,
        reasons={},
        labels={"neutral": 1},
        gate=gate,
        agreement=measure(ballot(nobody), Resampling()),
        annotators=(),
        weak_labels=WeakLabelAccuracy(None, {}, {}),
        suspects=SuspectCounts(0, 0, 0, None),
        next_round={},
    )


def weak_training_record(rows: int) -> TrainingReviews:
    """The record of training_reviews before anybody has answered, all of its labels from ratings."""
    return TrainingReviews(
        status=RoundState.WAITING,
        gate=NO_ANSWERS,
        rows=rows,
        label_sources={"rating": rows},
        human_rows=0,
        human_by_split={},
        human_differs=0,
        human_differs_by_change={},
        gold_rows=0,
        gold_by_label={},
    )
