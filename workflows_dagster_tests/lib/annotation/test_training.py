"""Labels of people over weak ones: only where they agree, and with their votes."""

from pathlib import Path

import polars as pl
import pytest

from workflows_dagster.checks.annotation import PILOT_LABELS, TRAINING_REVIEWS
from workflows_dagster.lib.annotation.consensus import EARLIER_FILE, EARLIER_LABEL, LABELS_FILE, PILOT_LABEL
from workflows_dagster.lib.annotation.gate import Gate
from workflows_dagster.lib.annotation.records import TrainingReviews
from workflows_dagster.lib.annotation.training import TRAINING_REVIEW, build_training_reviews, overlay
from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.audit import Audit
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster_tests.lib.annotation.made_up import AGREED as GOOD
from workflows_dagster_tests.lib.annotation.made_up import NO_ANSWERS, artifact, corpus_of, labels_record

POOR = Gate(4, 2, Estimate(0.4, 0.1, 0.9, 2), "ordinal", 0.5, 2, "weak", "hold")
POOR_GO_ON = Gate(4, 2, Estimate(0.4, 0.1, 0.9, 2), "ordinal", 0.5, 2, "weak", "weak")
SINGLE = Gate(2, 0, None, "ordinal", 0.5, 2, "weak", "hold")


def corpus(folder: Path) -> Artifact:
    rows = {
        "review_id": ["a", "b", "c", "d"],
        "label": ["positive", "negative", None, "neutral"],
        "label_source": ["rating", "given", None, "rating"],
        "split": ["train", "test", "none", "test"],
    }
    return corpus_of(folder, pl.DataFrame(rows))


def pilot_labels(folder: Path, gate: Gate, before: bool = False) -> Artifact:
    """b was neutral to two of three; a vote on d is tied."""
    folder.mkdir()
    labels = pl.DataFrame(
        {
            "review_id": ["b", "d"],
            "label": ["neutral", None],
            "votes": [3, 2],
            "agreeing": [2, 1],
            "annotators": [["x", "y", "z"], ["x", "y"]],
            "resolution": ["majority", "tie"],
            "majority": ["neutral", None],
            "dawid_skene": ["neutral", "neutral"],
            "posterior": [0.9, 0.5],
        }
    )
    write_table(folder / LABELS_FILE, labels, PILOT_LABEL)
    # Of an earlier round: b was negative, a is still.
    earlier = labels.with_columns(review_id=pl.Series(["b", "a"]), label=pl.lit("negative"), round=pl.lit(1, pl.Int32))
    write_table(folder / EARLIER_FILE, earlier.head(0) if not before else earlier, EARLIER_LABEL)
    labels_record(gate).write(folder)
    return artifact(folder, "pilot_labels")


def build(tmp_path: Path, gate: Gate, before: bool = False) -> pl.DataFrame:
    folder = tmp_path / "out"
    folder.mkdir()
    build_training_reviews(corpus(tmp_path / "corpus"), pilot_labels(tmp_path / "labels", gate, before), folder)
    return pl.read_parquet(folder / "reviews.parquet")


def test_labels_that_people_agree_on_replace_weak_ones(tmp_path: Path) -> None:
    rows = build(tmp_path, GOOD)

    assert rows.columns == TRAINING_REVIEW.names
    assert rows.select("review_id", "label", "label_source", "votes", "agreeing").rows() == [
        ("a", "positive", "rating", 0, 0),
        ("b", "neutral", "human", 3, 2),
        ("c", None, None, 0, 0),
        ("d", "neutral", "rating", 2, 1),
    ]
    record = TrainingReviews.read(tmp_path / "out")
    assert (record.gold_rows, record.gold_by_label, record.gate) == (1, {"neutral": 1}, GOOD)
    assert record.human_differs_by_change == {"negative->neutral": 1}


@pytest.mark.parametrize("gate", [POOR_GO_ON, SINGLE, NO_ANSWERS])
def test_labels_that_people_do_not_agree_on_leave_weak_ones(tmp_path: Path, gate: Gate) -> None:
    rows = build(tmp_path, gate)

    assert rows["label"].to_list() == ["positive", "negative", None, "neutral"]
    assert rows["label_source"].to_list() == ["rating", "given", None, "rating"]
    assert rows["votes"].to_list() == [0, 3, 0, 2]
    record = TrainingReviews.read(tmp_path / "out")
    assert (record.gold_rows, record.human_rows) == (0, 0)


@pytest.mark.parametrize(
    ("gate", "suffices", "rests"),
    [
        (GOOD, True, True),
        (NO_ANSWERS, True, True),
        (POOR, False, False),
        (POOR_GO_ON, False, True),
        (SINGLE, False, True),
    ],
)
def test_checks_say_where_agreement_falls_short(tmp_path: Path, gate: Gate, suffices: bool, rests: bool) -> None:
    build(tmp_path, gate)
    [agreement] = [audit for audit in PILOT_LABELS if audit.name == "agreement_suffices"]
    [training] = bound_to_labels(tmp_path)

    assert (agreement.blocking, training.blocking) == (False, True)
    shown = agreement.judge(tmp_path / "labels")
    assert (shown.passed, training.judge(tmp_path / "out").passed) == (suffices, rests)
    assert shown.metadata["minimum_alpha"] == 0.5


def bound_to_labels(folder: Path) -> list[Audit]:
    labels = {"pilot_labels": folder / "labels"}
    return [audit.bind(labels) for audit in TRAINING_REVIEWS if audit.against == "pilot_labels"]


def test_human_label_that_slipped_in_is_caught(tmp_path: Path) -> None:
    build(tmp_path, GOOD)
    labels_record(SINGLE).write(tmp_path / "labels")
    [training] = bound_to_labels(tmp_path)

    verdict = training.judge(tmp_path / "out")

    assert not verdict.passed
    assert "1 rows carry a human label" in verdict.description


@pytest.mark.parametrize(
    ("gate", "label_of_b", "votes_of_b"),
    [(GOOD, "neutral", 3), (POOR_GO_ON, "negative", 3), (NO_ANSWERS, "negative", 3)],
)
def test_labels_of_earlier_rounds_stand(tmp_path: Path, gate: Gate, label_of_b: str, votes_of_b: int) -> None:
    rows = build(tmp_path, gate, before=True)

    human = rows.filter(pl.col("label_source") == "human")
    assert human.select("review_id", "label", "votes").rows() == [("a", "negative", 2), ("b", label_of_b, votes_of_b)]
    [training] = bound_to_labels(tmp_path)
    assert training.judge(tmp_path / "out").passed


def test_overlay_replaces_only_what_people_answered() -> None:
    reviews = pl.DataFrame(
        {
            "review_id": ["a", "b", "c"],
            "label": ["positive", "negative", None],
            "label_source": ["rating", "given", None],
        }
    )
    human = pl.DataFrame({"review_id": ["b"], "human": ["neutral"], "votes": [2], "agreeing": [2]})

    overlaid = overlay(reviews, human)

    assert overlaid["label"].to_list() == ["positive", "neutral", None]
    assert overlaid["label_source"].to_list() == ["rating", "human", None]
    assert overlaid["weak"].to_list() == ["positive", "negative", None]
    assert overlaid["votes"].to_list() == [0, 2, 0]
