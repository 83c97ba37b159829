"""The synthetic rows that are left after people looked at a sample of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from workflows_dagster.lib.annotation.agreement import Agreement, ballot, measure
from workflows_dagster.lib.annotation.desk import RESPONSE, AnnotationDesk, Responses, RoundStatus
from workflows_dagster.lib.annotation.gate import estimate_record
from workflows_dagster.lib.annotation.measures import Resampling
from workflows_dagster.lib.artifact import Artifact, write_report, write_table
from workflows_dagster.lib.schema import SYNTHETIC_REVIEW
from workflows_dagster.lib.synthesis.review_gate import ReviewGate, ReviewSettings, sound_share
from workflows_dagster.lib.synthesis.review_request import FIX, KEEP, REVIEW, read_review_request
from workflows_dagster.lib.synthesis.rules import Refusal
from workflows_dagster.lib.synthesis.validation import refuse_rows
from workflows_dagster.lib.synthesis.verdicts import (
    VERDICT,
    VERDICTS_FILE,
    Outcome,
    corrected_rows,
    decide,
    with_outcome,
)


@dataclass(frozen=True)
class ReviewedReport:
    """What people left of the synthetic rows.

    Attributes:
        status: The round at the desk; None where nobody was asked.
        gate: Whether any are trained on.
        verdicts: Columns of VERDICT.
        agreement: Between the people.
        rows: Synthetic rows before.
        kept: Columns of SYNTHETIC_REVIEW: what is left.
    """

    status: RoundStatus | None
    gate: ReviewGate
    verdicts: pl.DataFrame
    agreement: Agreement
    rows: int
    kept: pl.DataFrame

    @property
    def outcomes(self) -> Mapping[str, int]:
        """Answered rows by what becomes of them."""
        return dict(sorted(Counter(self.verdicts["outcome"]).items()))

    def to_metadata(self) -> dict[str, object]:
        """What people left, as flat metadata."""
        metadata = self.status.to_metadata() if self.status else {}
        metadata |= {
            "dagster/row_count": self.kept.height,
            "synthesis/validated_rows": self.rows,
            "synthesis/reviewed_rows": self.verdicts.height,
            "synthesis/reviewed_rows_by_outcome": dict(self.outcomes),
            "synthesis/review_standing": self.gate.standing.value,
            "synthesis/review": self.gate.sentence,
        }
        shown = {"sound": self.gate.sound, "alpha": self.agreement.alpha["nominal"]}
        return metadata | {f"synthesis/review_{name}": str(value) for name, value in shown.items() if value}

    def to_record(self) -> dict[str, object]:
        """The content of report.json."""
        return {
            "rows_in": self.rows,
            "rows_kept": self.kept.height,
            "kept_by_label": dict(self.kept.group_by("label").len().sort("label").iter_rows()),
            "review": {
                "standing": self.gate.standing.value,
                "sentence": self.gate.sentence,
                "used": self.gate.used,
                "asked": self.gate.asked,
                "answered": self.verdicts.height,
                "outcomes": dict(self.outcomes),
                "votes": dict(sorted(Counter(self.verdicts["verdict"].drop_nulls()).items())),
                "sound": estimate_record(self.gate.sound),
                "settings": self.gate.settings.model_dump(include=set(ReviewSettings.model_fields)),
                "rejected_answers": self.status.rejected if self.status else 0,
                "agreement": {
                    "rows": self.agreement.rows,
                    "raw": estimate_record(self.agreement.raw),
                    "alpha": estimate_record(self.agreement.alpha["nominal"]),
                },
            },
        }


def build_reviewed_reviews(
    validated: Artifact,
    request: Artifact,
    training: Artifact,
    desk: AnnotationDesk,
    settings: ReviewSettings,
    folder: Path,
) -> ReviewedReport:
    """Writes reviews.parquet, verdicts.parquet and the report.

    Rows that most people reject, that they do not agree on, or whose correction is missing or breaks the rules of
    validation are left out; usable corrections take the place of what they correct. Where people find too few of the
    sample sound, all rows are left out.

    Raises:
        RoundUnknownError: The desk no longer holds the round.
    """
    rows = validated.scan().collect()
    asked = read_review_request(request)
    responses, status = _answers(desk, asked["round_id"])
    decided = decide(responses, rows)
    corrected = corrected_rows(decided, rows)
    others = rows.filter(~pl.col("review_id").is_in(decided.filter(pl.col("verdict") != KEEP)["review_id"].implode()))
    refusals = refuse_rows(corrected, others, validated, training) if corrected.height else dict[str, Refusal]()
    verdicts = with_outcome(decided, corrected, refusals)
    sound = verdicts.filter(pl.col("verdict").is_in([KEEP, FIX])).height
    gate = ReviewGate(int(asked["rows"]), sound_share(sound, verdicts.height), settings)
    kept = _left(rows, verdicts, corrected) if gate.used else rows.clear()
    agreement = measure(ballot(responses.table, REVIEW.choices), Resampling())
    report = ReviewedReport(status, gate, verdicts, agreement, rows.height, kept)
    write_table(folder / "reviews.parquet", kept, SYNTHETIC_REVIEW)
    write_table(folder / VERDICTS_FILE, verdicts, VERDICT)
    write_report(folder, report.to_record() | {"generator_is_stand_in": validated.report()["generator_is_stand_in"]})
    return report


def _answers(desk: AnnotationDesk, round_id: str | None) -> tuple[Responses, RoundStatus | None]:
    if round_id is None:
        return Responses(RESPONSE.to_frame(), []), None
    return desk.responses(round_id), desk.status(round_id)


def _left(rows: pl.DataFrame, verdicts: pl.DataFrame, corrected: pl.DataFrame) -> pl.DataFrame:
    """The rows that people did not see or keep, and the corrected ones, sorted by id."""
    out = verdicts.filter(pl.col("outcome") != Outcome.KEPT)["review_id"]
    used = verdicts.filter(pl.col("outcome") == Outcome.FIXED)["corrected_id"]
    fixed = corrected.filter(pl.col("review_id").is_in(used.implode())).select(rows.columns)
    return pl.concat([rows.filter(~pl.col("review_id").is_in(out.implode())), fixed]).sort("review_id")
