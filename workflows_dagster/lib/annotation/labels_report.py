"""What a round came to, as metadata for people and as a record for later steps."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import polars as pl

from workflows_dagster.lib.annotation.agreement import Agreement
from workflows_dagster.lib.annotation.desk import RoundStatus
from workflows_dagster.lib.annotation.gate import Gate, estimate_record
from workflows_dagster.lib.annotation.raters import Annotator
from workflows_dagster.lib.annotation.suspects import Suspects
from workflows_dagster.lib.annotation.weak import WeakLabels
from workflows_dagster.lib.artifact import Markdown
from workflows_dagster.lib.metrics import Estimate


@dataclass(frozen=True)
class PilotLabelsReport:
    """What came out of a round so far.

    Attributes:
        status: The round at the desk.
        labels: Columns of PILOT_LABEL.
        reasons: Answers that do not count, by reason.
        first_rejects: The first of them, as sentences.
        agreement: Between annotators.
        gate: Whether it suffices.
        annotators: One by one.
        weak: The weak labels beside those of people.
        suspects: Labels of the corpus that look wrong.
        next_round: Reviews to ask next, by reason.
    """

    status: RoundStatus
    labels: pl.DataFrame
    reasons: Mapping[str, int]
    first_rejects: list[str]
    agreement: Agreement
    gate: Gate
    annotators: list[Annotator]
    weak: WeakLabels
    suspects: Suspects
    next_round: Mapping[str, int]

    @property
    def resolved(self) -> int:
        """Reviews that have a label."""
        return self.labels["label"].count()

    @property
    def by_label(self) -> dict[str, int]:
        """Those by label."""
        return count_values(self.labels["label"].drop_nulls())

    def to_metadata(self) -> dict[str, object]:
        """The round so far as flat metadata."""
        alpha = self.agreement.alpha[self.gate.level]
        metadata = self.status.to_metadata() | {
            "dagster/row_count": self.labels.height,
            "annotation/resolved_rows": self.resolved,
            "annotation/unresolved_rows": self.labels.height - self.resolved,
            "annotation/rows_by_label": self.by_label,
            "annotation/rows_by_resolution": count_values(self.labels["resolution"]),
            "annotation/rejected_answers_by_reason": dict(self.reasons),
            "annotation/agreement_standing": self.gate.standing.value,
            "annotation/agreement_verdict": self.gate.sentence,
            "annotation/agreement_rows": self.agreement.rows,
            "annotation/agreement_pairs": self.agreement.pairs,
            "annotation/agreement": Markdown(_agreement_table(self.agreement)),
            "annotation/annotators": Markdown(_annotator_table(self.annotators)),
            "annotation/next_round_rows_by_reason": dict(self.next_round),
        }
        if self.agreement.raw:
            metadata["annotation/agreement_ratio"] = self.agreement.raw.value
        if alpha:
            metadata |= {"annotation/alpha": alpha.value, "annotation/alpha_low": alpha.low}
        if self.weak.accuracy:
            metadata["annotation/weak_label_accuracy_ratio"] = self.weak.accuracy.value
            metadata["annotation/weak_label_accuracy_low_ratio"] = self.weak.accuracy.low
        if self.first_rejects:
            metadata["annotation/rejected_answers"] = self.first_rejects
        return metadata


def count_values(values: pl.Series) -> dict[str, int]:
    """How often each value occurs, in its order."""
    return {str(value): count for value, count in values.value_counts().sort(values.name).iter_rows()}


def _named(agreement: Agreement) -> dict[str, Estimate | None]:
    """The measures of a round by the name that a reader knows."""
    return {
        "raw agreement": agreement.raw,
        **{f"Krippendorff's alpha, {level}": one for level, one in agreement.alpha.items()},
        "Fleiss' kappa": agreement.fleiss_kappa,
        **{f"specific agreement, {label}": one for label, one in agreement.per_class.items()},
        **{f"Cohen's kappa, {pair}": one for pair, one in agreement.per_pair.items()},
    }


def _agreement_table(agreement: Agreement) -> str:
    rows = [f"| {name} | {_cells(one)} |" for name, one in _named(agreement).items()]
    return "\n".join(["| measure | value | interval | reviews |", "|---|---|---|---|", *rows])


def _annotator_table(annotators: list[Annotator]) -> str:
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


def report_record(report: PilotLabelsReport) -> dict[str, object]:
    """The report as a JSON object: no times, no paths."""
    status = report.status
    return {
        "round_id": status.round_id,
        "desk": status.desk,
        "status": status.state.value,
        "label_source": "human" if report.gate.trusted else "weak",
        "rows_requested": status.rows,
        "rows_answered": status.rows_answered,
        "rows_resolved": report.resolved,
        "rows_unresolved": report.labels.height - report.resolved,
        "resolutions": count_values(report.labels["resolution"]),
        "answers": status.answers,
        "answers_rejected": status.rejected,
        "reasons": dict(report.reasons),
        "labels": report.by_label,
        "gate": report.gate.to_record(),
        "agreement": {
            "rows": report.agreement.rows,
            "pairs": report.agreement.pairs,
            "measures": {name: estimate_record(one) for name, one in _named(report.agreement).items()},
        },
        "annotators": [
            asdict(one) | {"accuracy": estimate_record(one.accuracy), "kappa": estimate_record(one.kappa)}
            for one in report.annotators
        ],
        "weak_labels": {
            "accuracy": estimate_record(report.weak.accuracy),
            "by_label": {label: estimate_record(one) for label, one in report.weak.by_label.items()},
            "changes": dict(report.weak.changes),
        },
        "suspects": {
            "looked_at": report.suspects.looked_at,
            "found": report.suspects.found,
            "listed": report.suspects.table.height,
            "note": report.suspects.note,
        },
        "next_round": dict(report.next_round),
    }
