"""How each annotator compares with the others, and how fast they answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from workflows_dagster.lib.annotation.agreement import MISSING, Ballot
from workflows_dagster.lib.annotation.measures import (
    Counts,
    Resampling,
    cohen_kappa_of,
    confusions,
    one_hot,
    resample,
    share,
)
from workflows_dagster.lib.metrics import Estimate

_LEAST_GAPS: Final = 5
_LEAST_DISTINCT_RATIO: Final = 0.9


@dataclass(frozen=True)
class Annotator:
    """One annotator's work in a round.

    Attributes:
        name: Who.
        answers: Valid answers.
        discarded: Reviews they would not judge.
        drafts: Answers they saved and did not submit.
        accuracy: Part of their answers that are the majority of the others', where the others have one.
        kappa: Cohen's kappa with the answers of the others, each other counting alike.
        confused: Answers by `others->theirs` where they differ from the others' majority, most frequent first.
        seconds_per_answer: Median time between two answers; None where the desk does not know when each was given.
    """

    name: str
    answers: int
    discarded: int
    drafts: int
    accuracy: Estimate | None
    kappa: Estimate | None
    confused: Mapping[str, int]
    seconds_per_answer: float | None


def rate(answers: Ballot, responses: pl.DataFrame, unfinished: pl.DataFrame, resampling: Resampling) -> list[Annotator]:
    """Every annotator who answered, discarded or drafted anything, by name.

    Args:
        answers: The valid answers.
        responses: The same as a table: annotator and submitted_at.
        unfinished: Columns annotator and status (discarded or draft).
        resampling: How intervals are made.
    """
    votes = answers.votes
    speeds = seconds_per_answer(responses)
    left: dict[tuple[str, str], int] = {
        (name, status): count for name, status, count in unfinished.group_by("annotator", "status").len().iter_rows()
    }
    rated: list[Annotator] = []
    for name in sorted({*answers.annotators, *unfinished["annotator"]}):
        given = np.full(len(answers.reviews), MISSING, dtype=np.int8)
        if name in answers.annotators:
            given = answers.answers[:, answers.annotators.index(name)]
        answered = given != MISSING
        own = one_hot(given[answered], len(answers.labels))
        others = votes[answered] - own
        matrix = _against_majority(own, others)
        rated.append(
            Annotator(
                name=name,
                answers=int(answered.sum()),
                discarded=left.get((name, "discarded"), 0),
                drafts=left.get((name, "draft"), 0),
                accuracy=_accuracy(own, others, resampling),
                kappa=_kappa(own, others, resampling),
                confused=_confused(matrix, answers.labels),
                seconds_per_answer=speeds.get(name),
            )
        )
    return rated


def seconds_per_answer(responses: pl.DataFrame) -> dict[str, float]:
    """Median seconds between consecutive answers of each annotator whose answers carry times of their own.

    The median is that of work: it takes half of all gaps to be pauses to move it. Where most answers share a time, as
    when they come from one saved file, it says nothing about speed, and the annotator is left out.

    Args:
        responses: Columns annotator and submitted_at.
    """
    gaps = responses.sort("annotator", "submitted_at").group_by("annotator", maintain_order=True)
    table = gaps.agg(
        distinct=pl.col("submitted_at").n_unique() / pl.len(),
        gaps=pl.col("submitted_at").diff().drop_nulls().len(),
        median=pl.col("submitted_at").diff().dt.total_microseconds().median() / 1e6,
    )
    timed = table.filter(pl.col("distinct") >= _LEAST_DISTINCT_RATIO, pl.col("gaps") >= _LEAST_GAPS)
    return dict(timed.select("annotator", pl.col("median").round(3)).iter_rows())


def _majority(others: Counts) -> Counts:
    """The others' majority as rows of zeros and one, shape (reviews, classes); zeros where they have none."""
    most = others == others.max(axis=1, keepdims=True)
    decided = (most.sum(axis=1, keepdims=True) == 1) & (others.sum(axis=1, keepdims=True) > 0)
    return (most & decided).astype(np.int64)


def _against_majority(own: Counts, others: Counts) -> Counts:
    """Answers `[others' majority, own]`, shape (classes, classes)."""
    return _majority(others).T @ own


def _accuracy(own: Counts, others: Counts, resampling: Resampling) -> Estimate | None:
    judged = _majority(others)
    return share((judged * own).sum(axis=1)[judged.any(axis=1)], resampling)


def _kappa(own: Counts, others: Counts, resampling: Resampling) -> Estimate | None:
    paired = others.any(axis=1)
    return resample(np.hstack([own, others])[paired], confusions, cohen_kappa_of, resampling)


def _confused(matrix: Counts, labels: Sequence[str]) -> dict[str, int]:
    cells = {
        f"{labels[truth]}->{labels[given]}": int(matrix[truth, given])
        for truth in range(len(labels))
        for given in range(len(labels))
        if truth != given and matrix[truth, given]
    }
    return dict(sorted(cells.items(), key=lambda cell: (-cell[1], cell[0])))
