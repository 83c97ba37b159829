"""What people agree on: one label per review by majority, and how often two of them agree."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from workflows_dagster.lib.annotation.desk import AnnotationDesk, Responses, RoundState, RoundStatus
from workflows_dagster.lib.annotation.request import read_request
from workflows_dagster.lib.artifact import Artifact, write_report, write_table

LABELS_FILE: Final = "labels.parquet"

PILOT_LABEL: Final = pa.schema(
    [
        pa.field("review_id", pa.string(), nullable=False),
        pa.field("label", pa.string()),  # null where the vote is tied
        pa.field("votes", pa.int32(), nullable=False),  # valid answers
        pa.field("agreeing", pa.int32(), nullable=False),  # answers for the most frequent label
        pa.field("annotators", pa.list_(pa.string()), nullable=False),
        pa.field("resolution", pa.string(), nullable=False),  # majority, tie
    ]
)
PILOT_RESPONSE: Final = pa.schema(
    [pa.field(name, pa.string(), nullable=False) for name in ("review_id", "annotator", "label")]
)
PILOT_REJECT: Final = pa.schema(
    [
        pa.field("origin", pa.string(), nullable=False),
        pa.field("row", pa.int64()),
        pa.field("review_id", pa.string()),
        pa.field("annotator", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("given", pa.string(), nullable=False),
        pa.field("expected", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Agreement:
    """Raw agreement between annotators.

    Attributes:
        ratio: Part of the pairs of answers to one review that name the same label; None without any pair.
        pairs: Pairs of answers.
        rows: Reviews with at least two answers.
    """

    ratio: float | None
    pairs: int
    rows: int


@dataclass(frozen=True)
class PilotLabelsReport:
    """What came out of a round so far.

    Attributes:
        status: The round at the desk.
        resolved: Reviews with a majority.
        tied: Reviews whose vote is tied; they keep their weak label.
        labels: Resolved reviews by label.
        reasons: Answers that do not count, by reason.
        agreement: Between annotators.
        first_rejects: The first answers that do not count, as sentences.
    """

    status: RoundStatus
    resolved: int
    tied: int
    labels: Mapping[str, int]
    reasons: Mapping[str, int]
    agreement: Agreement
    first_rejects: list[str]

    def to_metadata(self) -> dict[str, object]:
        """The round so far as flat metadata."""
        metadata = self.status.to_metadata() | {
            "dagster/row_count": self.resolved + self.tied,
            "annotation/resolved_rows": self.resolved,
            "annotation/tied_rows": self.tied,
            "annotation/rows_by_label": dict(self.labels),
            "annotation/rejected_answers_by_reason": dict(self.reasons),
            "annotation/agreement_pairs": self.agreement.pairs,
        }
        if self.agreement.ratio is not None:
            metadata["annotation/agreement_ratio"] = self.agreement.ratio
        if self.first_rejects:
            metadata["annotation/rejected_answers"] = self.first_rejects
        return metadata


def build_pilot_labels(request: Artifact, desk: AnnotationDesk, folder: Path) -> PilotLabelsReport:
    """Writes labels.parquet, responses.parquet, rejects.parquet and the report of the round that was requested.

    A round that nobody has answered gives empty tables and the status waiting.

    Raises:
        RoundUnknownError: The desk no longer holds the round.
    """
    round_id = str(read_request(request)["round_id"])
    responses, status = desk.responses(round_id), desk.status(round_id)
    labels = majority(responses.table)
    write_table(folder / LABELS_FILE, labels, PILOT_LABEL)
    write_table(folder / "responses.parquet", responses.table, PILOT_RESPONSE)
    rejects = pl.DataFrame([asdict(reject) for reject in responses.rejected], schema=_polars_schema(PILOT_REJECT))
    write_table(folder / "rejects.parquet", rejects, PILOT_REJECT)
    report = _report(status, responses, labels)
    write_report(folder, _record(report))
    return report


def majority(responses: pl.DataFrame) -> pl.DataFrame:
    """One row in the columns of PILOT_LABEL for each answered review, sorted by id.

    The label with the most votes wins; where two labels have as many, the review stays unresolved.

    Args:
        responses: Columns review_id, annotator, label.
    """
    counts = responses.group_by("review_id", "label").len("n")
    winners = counts.filter(pl.col("n") == pl.col("n").max().over("review_id"))
    first = winners.group_by("review_id").agg(
        tied=pl.len() > 1, winner=pl.col("label").first(), agreeing=pl.col("n").first()
    )
    voters = responses.group_by("review_id").agg(votes=pl.len(), annotators=pl.col("annotator").sort())
    return (
        voters.join(first, on="review_id")
        .select(
            "review_id",
            pl.when(~pl.col("tied")).then("winner").alias("label"),
            pl.col("votes").cast(pl.Int32),
            pl.col("agreeing").cast(pl.Int32),
            "annotators",
            pl.when("tied").then(pl.lit("tie")).otherwise(pl.lit("majority")).alias("resolution"),
        )
        .sort("review_id")
    )


def raw_agreement(responses: pl.DataFrame) -> Agreement:
    """How often two answers to one review name the same label, over all such pairs.

    Args:
        responses: Columns review_id, annotator, label.
    """
    pairs = _pairs(responses.group_by("review_id").len("n"))
    agreeing = _pairs(responses.group_by("review_id", "label").len("n"))
    rows = responses.group_by("review_id").len("n").filter(pl.col("n") > 1).height
    return Agreement(agreeing / pairs if pairs else None, pairs, rows)


def _pairs(counts: pl.DataFrame) -> int:
    n = pl.col("n").cast(pl.Int64)
    return int(counts.select((n * (n - 1) // 2).sum()).item())


def _report(status: RoundStatus, responses: Responses, labels: pl.DataFrame) -> PilotLabelsReport:
    resolved = labels.filter(pl.col("label").is_not_null())
    return PilotLabelsReport(
        status=status,
        resolved=resolved.height,
        tied=labels.height - resolved.height,
        labels=dict(resolved.group_by("label").len().sort("label").iter_rows()),
        reasons=dict(sorted(Counter(reject.reason.value for reject in responses.rejected).items())),
        agreement=raw_agreement(responses.table),
        first_rejects=[
            f"{reject.origin} row {reject.row or '-'}: {reject.reason}: given {reject.given!r}, "
            f"expected {reject.expected}"
            for reject in responses.rejected[:20]
        ],
    )


def _record(report: PilotLabelsReport) -> dict[str, object]:
    status = report.status
    return {
        "round_id": status.round_id,
        "desk": status.desk,
        "status": status.state.value,
        "label_source": "human" if status.state is RoundState.COMPLETE else "weak until people have answered",
        "rows_requested": status.rows,
        "rows_answered": status.rows_answered,
        "rows_resolved": report.resolved,
        "rows_tied": report.tied,
        "answers": status.answers,
        "answers_rejected": status.rejected,
        "reasons": dict(report.reasons),
        "answers_by_annotator": dict(status.annotators),
        "labels": dict(report.labels),
        "agreement": asdict(report.agreement),
    }


def _polars_schema(schema: pa.Schema) -> pl.Schema:
    return pl.Schema({name: pl.Int64() if name == "row" else pl.String() for name in schema.names})
