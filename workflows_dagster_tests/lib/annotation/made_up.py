"""Made-up answers, and records around them."""

from datetime import UTC, datetime

import polars as pl

from workflows_dagster.lib.annotation.agreement import Resampling, ballot, measure
from workflows_dagster.lib.annotation.desk import RESPONSE, RoundState
from workflows_dagster.lib.annotation.gate import Gate
from workflows_dagster.lib.annotation.records import PilotLabels, SuspectCounts, WeakLabelAccuracy
from workflows_dagster.lib.metrics import Estimate

NAMES = {"p": "positive", "n": "negative", "u": "neutral"}
START = datetime(2026, 3, 2, 9, tzinfo=UTC)

AGREED = Gate(4, 2, Estimate(0.8, 0.6, 0.9, 2), "ordinal", 0.5, 2, "weak", "hold")


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
