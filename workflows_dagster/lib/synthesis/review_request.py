"""Puts a sample of the synthetic rows before people, who keep, fix or reject each."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.annotation.closing import Closing
from workflows_dagster.lib.annotation.desk import AnnotationDesk, AnnotationRound, Inquiry, Question, RoundStatus
from workflows_dagster.lib.annotation.strata import allocate, first_of_each, in_order, sizes_of, with_stratum
from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.schema import SYNTHETIC_REVIEW

SAMPLE_FILE: Final = "sample.parquet"
REQUEST_FILE: Final = "request.json"
KEEP, FIX, REJECT = "keep", "fix", "reject"

REVIEW: Final = Inquiry(
    name="synthetic",
    question="May it be trained on?",
    hint="As a review whose writer feels what it is meant as.",
    choices=(KEEP, FIX, REJECT),
    comment="The whole corrected text, where you would fix it",
    comment_column="correction",
    claim="Meant as",
)

_SHOWN: Final = ("source", "language", "batch")
_RARE_LANGUAGE_RATIO: Final = 0.02
_GUIDELINES: Final = Path(__file__).with_name("review_guidelines.md")


class ReviewRequestSettings(BaseModel):
    """How many synthetic rows people look at, and how many people."""

    model_config = ConfigDict(frozen=True)

    rows: int = Field(default=100, ge=0, le=100, description="Synthetic rows that people are shown; 0 asks nobody.")
    seed: int = Field(default=20, ge=0, description="Draws within a stratum: by digest of seed and review id.")
    minimum_annotators: int = Field(default=1, ge=1, le=20, description="People who have to answer each row.")
    deadline_days: float | None = Field(
        default=None, gt=0, description="Days after which the round closes with what was answered. Unset: never."
    )
    deadline_minimum_ratio: float = Field(
        default=0.8, gt=0, le=1, description="Part of the rows that must be answered for the deadline to close it."
    )

    @property
    def closing(self) -> Closing:
        """When the round is closed."""
        return Closing(self.deadline_days, self.deadline_minimum_ratio)


@dataclass(frozen=True)
class ReviewRequestReport:
    """What people are asked.

    Attributes:
        status: The round at the desk; None where nobody is asked.
        closing: When it is closed.
        strata: Rows by label, source and language.
    """

    status: RoundStatus | None
    closing: Closing
    strata: dict[str, int]

    def to_metadata(self) -> dict[str, object]:
        """The round's status and terms as flat metadata."""
        if self.status is None:
            return {"annotation/status": "nobody is asked", "annotation/requested_rows": 0}
        asked = {"annotation/rows_by_stratum": self.strata}
        return {**self.status.to_metadata(), **self.closing.to_metadata(), **asked}


def build_review_request(
    validated: Artifact, desk: AnnotationDesk, settings: ReviewRequestSettings, folder: Path
) -> ReviewRequestReport:
    """Draws the sample, asks the desk for its round, and writes both. Nothing answered is ever lost.

    Raises:
        AnnotationUnavailableError: The desk does not answer; asked again, it goes on where it stopped.
    """
    rows = validated.scan().collect()
    sample = draw(rows, settings)
    annotation_round = make_review_round(sample, settings) if sample.height else None
    status = desk.request(annotation_round) if annotation_round else None
    # No progress and no absolute path: the same sample asked again is the same version.
    record = {
        "round_id": annotation_round.round_id if annotation_round else None,
        "rows": sample.height,
        "minimum_annotators": settings.minimum_annotators,
        "closing": settings.closing.to_record(),
        "desk": status.desk if status else None,
        "choices": list(REVIEW.choices),
        "guidelines": annotation_round.guidelines if annotation_round else None,
    }
    write_table(folder / SAMPLE_FILE, sample, SYNTHETIC_REVIEW)
    (folder / REQUEST_FILE).write_text(json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
    strata = with_stratum(sample, _RARE_LANGUAGE_RATIO)
    return ReviewRequestReport(status, settings.closing, sizes_of(strata))


def draw(rows: pl.DataFrame, settings: ReviewRequestSettings) -> pl.DataFrame:
    """A sample stratified by label, source and language, sorted by id.

    Args:
        rows: Columns of SYNTHETIC_REVIEW.
        settings: How many.
    """
    ordered = in_order(with_stratum(rows, _RARE_LANGUAGE_RATIO), settings.seed)
    seats = allocate(sizes_of(ordered), settings.rows)
    return first_of_each(ordered, seats).select(SYNTHETIC_REVIEW.names).sort("review_id")


def make_review_round(sample: pl.DataFrame, settings: ReviewRequestSettings) -> AnnotationRound:
    """The round of a sample; its id depends on what is shown and on how many people have to answer."""
    questions = [
        Question(
            review_id=row["review_id"],
            text=row["text"],
            suggestion="",
            metadata={name: row[name] for name in _SHOWN if row[name] is not None},
            claim=row["label"],
        )
        for row in sample.iter_rows(named=True)
    ]
    parts = [part for question in questions for part in (question.review_id, question.text, question.claim)]
    return AnnotationRound(
        round_id=digest_text(REVIEW.name, str(settings.minimum_annotators), *parts)[:16],
        questions=questions,
        guidelines=_GUIDELINES.read_text("utf-8").format(
            rows=len(questions), minimum_annotators=settings.minimum_annotators
        ),
        minimum_annotators=settings.minimum_annotators,
        asked_reason="comment",
        inquiry=REVIEW,
    )


def read_review_request(request: Artifact) -> dict[str, Any]:
    """The record of what was asked."""
    return json.loads(request.file(REQUEST_FILE).read_text("utf-8"))
