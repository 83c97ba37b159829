"""What the assets of annotation tell other steps and people: one record for each asset."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, Literal, TypeVar

from workflows_dagster.lib.annotation.agreement import Agreement, Annotator
from workflows_dagster.lib.annotation.desk import AskedReason, Deadline, RoundState, RoundStatus
from workflows_dagster.lib.annotation.gate import Gate
from workflows_dagster.lib.artifact import Markdown
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.record import Record

Scorer = Literal["released, else words", "released", "words", "none"]
"""What judges weak labels: the deployed model, one of counted words fitted on the spot, or nothing."""


@dataclass(frozen=True)
class ScorerUsed:
    """What judged the weak labels of a sample. A round keeps it: the same sample is drawn again.

    Attributes:
        asked: What was asked for.
        release: Tag of the release whose model judged, or None.
        agent: Name of what judged, or None.
        note: What a reader has to know about it.
    """

    asked: Scorer
    release: str | None
    agent: str | None
    note: str


class PilotSample(Record):
    """The sample of pilot_sample.

    Attributes:
        round: Number of the round, from 1.
        rows: Reviews of the sample.
        splits: Those by split.
        picks: Those by why they were picked.
        strata: Those by label, source and language.
        candidates: Labelled reviews of train and test that it was drawn from.
        scored: Reviews that were judged.
        scorer: What judged them.
        embedding: What made the vectors.
        seed: Seed of the draw.
        language_ratio: Share of the reviews below which a language is rare.
        earlier_rounds: Commit of pilot_labels of each earlier round, by number.
    """

    round: int
    rows: int
    splits: Mapping[str, int]
    picks: Mapping[str, int]
    strata: Mapping[str, int]
    candidates: int
    scored: int
    scorer: ScorerUsed
    embedding: str
    seed: int
    language_ratio: float
    earlier_rounds: Mapping[int, str]

    def to_metadata(self) -> dict[str, object]:
        """The sample as flat metadata."""
        return {
            "annotation/round": self.round,
            "annotation/candidate_rows": self.candidates,
            "annotation/scored_rows": self.scored,
            "annotation/scorer": f"{self.scorer.agent or 'none'}: {self.scorer.note}",
            "annotation/embedding": self.embedding,
            "annotation/rows_by_split": dict(self.splits),
            "annotation/rows_by_pick": dict(self.picks),
        }


class PilotRequest(Record):
    """What pilot_request asked.

    Attributes:
        round_id: Digest of the questions and of how many people answer them.
        rows: Reviews that people are asked about.
        minimum_annotators: People who have to answer each review.
        calibration_rows: Reviews that more people answer.
        calibration_annotators: People who have to answer each of these; None without any.
        asked_reason: Whether people may say why.
        deadline: When the round closes unfinished.
        desk: Kind of the desk.
        labels: The answers to choose from.
        guidelines: What annotators are told, as markdown.
    """

    FILE: ClassVar[str] = "request.json"

    round_id: str
    rows: int
    minimum_annotators: int
    calibration_rows: int
    calibration_annotators: int | None
    asked_reason: AskedReason
    deadline: Deadline
    desk: str
    labels: tuple[str, ...]
    guidelines: str

    def to_metadata(self) -> dict[str, object]:
        """The terms of the round as flat metadata."""
        return {"annotation/calibration_rows": self.calibration_rows, **self.deadline.to_metadata()}


@dataclass(frozen=True)
class WeakLabelAccuracy:
    """The weak labels, judged by the labels that people agreed on.

    People saw the weak label as a suggestion, so these figures are upper bounds. Rows that were picked because they
    look wrong would make weak labels look worse than they are: the figures are of rows drawn at random, each weighted
    by the rows that it stands for.

    Attributes:
        accuracy: Part of the weak labels that people confirm; None where there is nothing to compare.
        by_label: The same for the rows of each weak label.
        changes: Rows by `weak->human` where they differ, picked rows included.
    """

    accuracy: Estimate | None
    by_label: Mapping[str, Estimate | None]
    changes: Mapping[str, int]


@dataclass(frozen=True)
class SuspectCounts:
    """The search for wrong labels.

    Attributes:
        looked_at: Labelled reviews that were judged.
        found: Likely label errors among them.
        listed: Those that the next round may ask.
        note: Why nothing was judged, or None.
    """

    looked_at: int
    found: int
    listed: int
    note: str | None


class PilotLabels(Record):
    """The result of a round so far, as pilot_labels publishes it.

    Attributes:
        round_id: The round.
        desk: Kind of the desk.
        status: How far people are.
        rows_requested: Reviews that were asked.
        rows_answered: Reviews with enough valid answers.
        rows_resolved: Reviews with a label.
        rows_unresolved: Answered reviews without one.
        resolutions: Answered reviews by what gave or refused the label.
        answers: Valid answers.
        answers_rejected: Answers that do not count.
        reasons: Those by why they do not.
        labels: Resolved reviews by label.
        gate: Whether people agree well enough.
        agreement: Agreement between them.
        annotators: Each of them.
        weak_labels: The weak labels, judged by theirs.
        suspects: The search for wrong labels.
        next_round: Reviews to ask next, by reason.
    """

    round_id: str
    desk: str
    status: RoundState
    rows_requested: int
    rows_answered: int
    rows_resolved: int
    rows_unresolved: int
    resolutions: Mapping[str, int]
    answers: int
    answers_rejected: int
    reasons: Mapping[str, int]
    labels: Mapping[str, int]
    gate: Gate
    agreement: Agreement
    annotators: tuple[Annotator, ...]
    weak_labels: WeakLabelAccuracy
    suspects: SuspectCounts
    next_round: Mapping[str, int]

    def to_metadata(self) -> dict[str, object]:
        """The round so far as flat metadata, without the progress that `RoundStatus` shows."""
        metadata: dict[str, object] = {
            "annotation/agreement_verdict": self.gate.sentence,
            "annotation/agreement_standing": self.gate.standing.value,
            "annotation/resolved_rows": self.rows_resolved,
            "annotation/unresolved_rows": self.rows_unresolved,
            "annotation/rows_by_label": dict(self.labels),
            "annotation/rows_by_resolution": dict(self.resolutions),
            "annotation/rejected_by_reason": dict(self.reasons),
            "annotation/next_round_by_reason": dict(self.next_round),
        }
        if self.answers:
            metadata["annotation/agreement"] = Markdown(_agreement_table(self.agreement))
            metadata["annotation/annotators"] = Markdown(_annotator_table(self.annotators))
        if self.agreement.raw:
            metadata["annotation/agreement_ratio"] = self.agreement.raw.value
        if alpha := self.gate.alpha:
            metadata |= {"annotation/alpha": alpha.value, "annotation/alpha_low": alpha.low}
        if accuracy := self.weak_labels.accuracy:
            metadata["annotation/weak_label_accuracy"] = str(accuracy)
        return metadata


class TrainingReviews(Record):
    """Where the labels of training_reviews are from.

    Attributes:
        status: How far people are with the pilot.
        gate: Whether they agree well enough.
        rows: Reviews in all.
        label_sources: Labelled reviews by where the label is from.
        human_rows: Human labels.
        human_by_split: Those by split.
        human_differs: Human labels that differ from the weak label they replaced.
        human_differs_by_change: Those by `weak->human`.
        gold_rows: Human labels of the test split: a model is judged on them apart from weak labels.
        gold_by_label: Those by label.
    """

    status: RoundState
    gate: Gate
    rows: int
    label_sources: Mapping[str, int]
    human_rows: int
    human_by_split: Mapping[str, int]
    human_differs: int
    human_differs_by_change: Mapping[str, int]
    gold_rows: int
    gold_by_label: Mapping[str, int]

    def to_metadata(self) -> dict[str, object]:
        """Where the labels are from, as flat metadata."""
        metadata: dict[str, object] = {
            "annotation/status": self.status.value,
            "annotation/rows_by_label_source": dict(self.label_sources),
            "annotation/human_rows_by_split": dict(self.human_by_split),
            "annotation/human_differs_rows": self.human_differs,
            "annotation/gold_rows": self.gold_rows,
            "annotation/gold_rows_by_label": dict(self.gold_by_label),
            "annotation/agreement_standing": self.gate.standing.value,
        }
        if self.human_rows:
            metadata["annotation/human_differs_ratio"] = self.human_differs / self.human_rows
        else:
            metadata["annotation/note"] = f"weak labels only. {self.gate.sentence}"
        return metadata


_Record = TypeVar("_Record", bound=Record)


@dataclass(frozen=True)
class RoundReport(Generic[_Record]):
    """A record of a round, and how far people are when it is written.

    Progress and addresses are shown in Dagster and are no part of the record: the same content is the same version.

    Attributes:
        record: The record.
        status: The round at the desk.
        details: Metadata beside both.
    """

    record: _Record
    status: RoundStatus
    details: Mapping[str, object] = field(default_factory=dict[str, object])

    def to_metadata(self) -> dict[str, object]:
        """All of it as flat metadata."""
        return {**self.status.to_metadata(), **self.record.to_metadata(), **self.details}


def _agreement_table(agreement: Agreement) -> str:
    measures = {
        "raw agreement": agreement.raw,
        **{f"Krippendorff's alpha, {level}": one for level, one in agreement.alpha.items()},
        "Fleiss' kappa": agreement.fleiss_kappa,
        **{f"specific agreement, {label}": one for label, one in agreement.per_class.items()},
        **{f"Cohen's kappa, {pair}": one for pair, one in agreement.per_pair.items()},
    }
    rows = [f"| {name} | {_cells(one)} |" for name, one in measures.items()]
    return "\n".join(["| measure | value | interval | reviews |", "|---|---|---|---|", *rows])


def _annotator_table(annotators: tuple[Annotator, ...]) -> str:
    head = (
        "| annotator | answers | discarded | drafts | as the others' majority | interval | reviews | kappa | s/answer |"
    )
    rows = [
        f"| {one.name} | {one.answers} | {one.discarded} | {one.drafts} | {_cells(one.accuracy)} "
        f"| {f'{one.kappa.value:.2f}' if one.kappa else 'undefined'} "
        f"| {'unknown' if one.seconds_per_answer is None else f'{one.seconds_per_answer:.0f}'} |"
        for one in annotators
    ]
    return "\n".join([head, "|---" * 9 + "|", *rows])


def _cells(estimate: Estimate | None) -> str:
    if estimate is None:
        return "undefined | - | 0"
    return f"{estimate.value:.3f} | {estimate.low:.3f} to {estimate.high:.3f} | {estimate.n:,}"
