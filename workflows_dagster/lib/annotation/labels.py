"""The result of a round: consensus labels, agreement, annotators, and what to ask next."""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.annotation.agreement import Level, Resampling, ballot, measure, rate_annotators, share
from workflows_dagster.lib.annotation.consensus import (
    EARLIER_FILE,
    EARLIER_LABEL,
    LABELS_FILE,
    PILOT_LABEL,
    Method,
    consensus,
)
from workflows_dagster.lib.annotation.desk import AnnotationDesk, Deadline, Responses, RoundStatus
from workflows_dagster.lib.annotation.gate import Gate, WhenInsufficient, WhenUnmeasured
from workflows_dagster.lib.annotation.next_round import (
    NEXT_ROUND,
    NEXT_ROUND_FILE,
    SUSPECT,
    Suspects,
    candidates,
    find_suspects,
)
from workflows_dagster.lib.annotation.records import (
    PilotLabels,
    PilotRequest,
    RoundReport,
    SuspectCounts,
    WeakLabelAccuracy,
)
from workflows_dagster.lib.annotation.sample import PILOT_FILE, count_values
from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.errors import RoundUnfinishedError
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.schema import LABELS, column

_ANSWER: Final = [
    column("review_id", pa.string(), "The review", nullable=False),
    column("annotator", pa.string(), "Who answered", nullable=False),
]
PILOT_RESPONSE: Final = pa.schema([*_ANSWER, column("label", pa.string(), "The answer", nullable=False)])
PILOT_REASON: Final = pa.schema([*_ANSWER, column("reason", pa.string(), "Why they answered so", nullable=False)])
PILOT_REJECT: Final = pa.schema(
    [
        column("origin", pa.string(), "Form or server record that the answer is from", nullable=False),
        column("row", pa.int64(), "Row of the form"),
        column("review_id", pa.string(), "The review"),
        column("annotator", pa.string(), "Who answered"),
        column("reason", pa.string(), "Why the answer does not count", nullable=False),
        column("given", pa.string(), "What was answered", nullable=False),
        column("expected", pa.string(), "What was asked for", nullable=False),
    ]
)


class LabelsSettings(BaseModel):
    """How answers become labels, and how well people have to agree.

    The defaults follow what 18 trained raters of 3,708 sentences show; docs/annotation_agreement.md has the figures.
    """

    model_config = ConfigDict(frozen=True)

    unfinished: Literal["fail", "weak"] = Field(
        default="fail",
        description="A round that people have not finished: wait for them (fail), or go on with the answers so far "
        "and weak labels for the rest (weak).",
    )
    consensus: Method = Field(default="majority", description="What gives the label; both are always recorded.")
    minimum_posterior: float = Field(
        default=0.9, ge=0, le=1, description="A label by Dawid and Skene's model below this posterior is none."
    )
    level: Level = Field(
        default="ordinal", description="Whether negative against positive is a greater difference than against neutral."
    )
    minimum_alpha: float = Field(
        default=0.5, ge=-1, le=1, description="What the lower bound of Krippendorff's alpha has to reach."
    )
    minimum_rows: int = Field(
        default=50, ge=2, description="Reviews with two answers below which agreement counts as unmeasured."
    )
    when_unmeasured: WhenUnmeasured = Field(
        default="weak",
        description="Labels whose agreement is unmeasured: train on weak ones (weak), hold training back (hold), or "
        "train on them all the same (accept).",
    )
    when_insufficient: WhenInsufficient = Field(
        default="hold",
        description="Labels that people do not agree on: hold training back (hold), or train on weak ones (weak).",
    )
    suspect_pool_rows: int = Field(
        default=10_000, ge=0, description="Labelled reviews among which wrong labels are looked for; 0 for none."
    )
    suspects: int = Field(default=100, ge=0, description="Most suspects that the next round may ask about.")
    resamples: int = Field(default=2000, ge=100, description="Draws of reviews behind each interval.")
    confidence: float = Field(default=0.95, gt=0, lt=1, description="Coverage of each interval.")
    seed: int = Field(default=20, ge=0, description="Seed of the draws.")

    @property
    def resampling(self) -> Resampling:
        """How intervals are made."""
        return Resampling(self.seed, self.resamples, self.confidence)


def build_pilot_labels(
    request: Artifact, pilot: Artifact, corpus: Artifact, desk: AnnotationDesk, settings: LabelsSettings, folder: Path
) -> RoundReport[PilotLabels]:
    """Writes labels, responses, reasons, rejects and next_round (Parquet) and the record of the requested round.

    A round that nobody has answered gives empty tables and the status waiting, and needs no library of the extra.

    Raises:
        RoundUnfinishedError: People have not finished, and `unfinished` is fail.
        RoundUnknownError: The desk no longer has the round.
        MissingExtraError: There are answers, and crowd-kit or cleanlab is not installed.
    """
    asked = PilotRequest.read(request.folder)
    status = desk.status(asked.round_id)
    if settings.unfinished == "fail":
        _refuse_unfinished(status, asked.deadline)
    responses = desk.responses(asked.round_id)
    answers = ballot(responses.table)
    labels = consensus(responses.table, settings.consensus, settings.minimum_posterior)
    agreement = measure(answers, settings.resampling)
    gate = Gate(
        answers=responses.table.height,
        rows=agreement.rows,
        alpha=agreement.alpha[settings.level],
        level=settings.level,
        minimum_alpha=settings.minimum_alpha,
        minimum_rows=settings.minimum_rows,
        when_unmeasured=settings.when_unmeasured,
        when_insufficient=settings.when_insufficient,
    )
    suspects = _suspects(corpus, labels, settings, trusted=gate.trusted)
    asked_next = candidates(responses.table, suspects.table)
    weak = pilot.scan(PILOT_FILE).select("review_id", "weight", weak="label").collect()
    record = PilotLabels(
        round_id=status.round_id,
        desk=status.desk,
        status=status.state,
        rows_requested=status.rows,
        rows_answered=status.rows_answered,
        rows_resolved=labels["label"].count(),
        rows_unresolved=labels["label"].null_count(),
        resolutions=count_values(labels["resolution"]),
        answers=status.answers,
        answers_rejected=status.rejected,
        reasons=dict(sorted(Counter(reject.reason.value for reject in responses.rejected).items())),
        labels=count_values(labels["label"].drop_nulls()),
        gate=gate,
        agreement=agreement,
        annotators=tuple(rate_annotators(answers, responses.table, responses.unfinished, settings.resampling)),
        weak_labels=judge_weak_labels(labels, weak, settings.resampling),
        suspects=SuspectCounts(suspects.looked_at, suspects.found, suspects.table.height, suspects.note),
        next_round=count_values(asked_next["reason"]),
    )
    write_table(folder / LABELS_FILE, labels, PILOT_LABEL)
    write_table(folder / EARLIER_FILE, pilot.scan(EARLIER_FILE).collect(), EARLIER_LABEL)
    write_table(folder / "responses.parquet", responses.table, PILOT_RESPONSE)
    write_table(folder / "reasons.parquet", responses.reasons, PILOT_REASON)
    write_table(folder / "rejects.parquet", _rejects(responses), PILOT_REJECT)
    write_table(folder / NEXT_ROUND_FILE, asked_next, NEXT_ROUND)
    record.write(folder)
    return RoundReport(record, status, _first_rejects(responses))


def judge_weak_labels(labels: pl.DataFrame, weak: pl.DataFrame, resampling: Resampling) -> WeakLabelAccuracy:
    """The weak labels of the reviews that people resolved, judged by theirs.

    Args:
        labels: Columns review_id and label, null where unresolved.
        weak: Columns review_id, weak (the label before) and weight (the rows that a random one stands for, else null).
        resampling: How intervals are made.
    """

    def confirmed(rows: pl.DataFrame) -> Estimate | None:
        return share((rows["label"] == rows["weak"]).to_numpy(), resampling, rows["weight"].to_numpy())

    both = labels.select("review_id", "label").join(weak, on="review_id").drop_nulls(["label", "weak"])
    changed = Counter(
        f"{before}->{after}" for before, after in both.select("weak", "label").iter_rows() if before != after
    )
    drawn = both.filter(pl.col("weight").is_not_null())
    return WeakLabelAccuracy(
        accuracy=confirmed(drawn),
        by_label={label: confirmed(drawn.filter(pl.col("weak") == label)) for label in LABELS},
        changes=dict(sorted(changed.items())),
    )


def _refuse_unfinished(status: RoundStatus, deadline: Deadline) -> None:
    if deadline.closes(status, datetime.now(UTC)):
        return
    raise RoundUnfinishedError(
        "people have not finished the annotation round",
        given=deadline.sentence(status),
        expected="an answer of enough people to every review, or to enough reviews once the deadline has passed",
        remedy="wait: pilot_responses_sensor notices when they have finished; or run pilot_labels with unfinished: "
        "weak to go on with the answers so far and weak labels for the rest",
    )


def _suspects(corpus: Artifact, labels: pl.DataFrame, settings: LabelsSettings, *, trusted: bool) -> Suspects:
    """The suspects among the labels that would be trained on; none before people have answered."""
    if labels.is_empty() or not settings.suspect_pool_rows:
        note = "nobody has answered yet" if labels.is_empty() else "suspect_pool_rows is 0"
        return Suspects(SUSPECT.to_frame(), note=note)
    human = labels.filter(pl.col("label").is_not_null() & trusted).select("review_id", human="label")
    return find_suspects(corpus, human, settings.suspect_pool_rows, settings.suspects)


def _rejects(responses: Responses) -> pl.DataFrame:
    schema = pl.Schema({name: pl.Int64() if name == "row" else pl.String() for name in PILOT_REJECT.names})
    return pl.DataFrame([asdict(reject) for reject in responses.rejected], schema=schema)


def _first_rejects(responses: Responses) -> dict[str, object]:
    """The first answers that do not count, as metadata."""
    sentences = [
        f"{reject.origin} row {reject.row or '-'}: {reject.reason}: given {reject.given!r}, expected {reject.expected}"
        for reject in responses.rejected[:20]
    ]
    return {"annotation/rejected_answers": sentences} if sentences else {}
