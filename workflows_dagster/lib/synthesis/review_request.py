"""Puts a sample of the synthetic rows before people, who keep, fix or reject each."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.annotation.desk import (
    AnnotationDesk,
    AnnotationRound,
    Deadline,
    Inquiry,
    Question,
    RoundStatus,
)
from workflows_dagster.lib.annotation.strata import allocate, first_of_each, in_order, sizes_of, with_stratum
from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.schema import SYNTHETIC_REVIEW

SAMPLE_FILE: Final = "sample.parquet"
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
    def deadline(self) -> Deadline:
        """When the round closes unfinished."""
        return Deadline(self.deadline_days, self.deadline_minimum_ratio)


class SyntheticRequest(Record):
    """What people are asked.

    Attributes:
        round_id: The round; None where nobody is asked.
        rows: Rows that people are shown.
        rows_by_stratum: The same by label, source and language.
        minimum_annotators: People who have to answer each row.
        deadline: When the round closes unfinished.
        desk: Where people answer; None where nobody is asked.
        choices: The answers to choose from.
        guidelines: What people are told; None where nobody is asked.
        status: How far people are, to be shown; not written, so that the same sample asked again is the same version.
    """

    FILE: ClassVar[str] = "request.json"

    round_id: str | None
    rows: int
    rows_by_stratum: Mapping[str, int]
    minimum_annotators: int
    deadline: Deadline
    desk: str | None
    choices: tuple[str, ...]
    guidelines: str | None
    status: RoundStatus | None = Field(default=None, exclude=True)

    def to_metadata(self) -> Mapping[str, object]:
        """The round's status and terms as flat metadata."""
        if self.status is None:
            return {"annotation/status": "nobody is asked", "annotation/requested_rows": 0}
        strata = {"annotation/rows_by_stratum": dict(self.rows_by_stratum)}
        return {**self.status.to_metadata(), **self.deadline.to_metadata(), **strata}


def build_review_request(
    validated: Artifact, desk: AnnotationDesk, settings: ReviewRequestSettings, folder: Path
) -> SyntheticRequest:
    """Draws the sample, puts it before people at the desk, and writes sample.parquet and the record.

    Asked again for the same sample, no answer is lost.

    Raises:
        AnnotationUnavailableError: The desk does not answer; asked again, it goes on where it stopped.
    """
    sample = draw(validated.scan().collect(), settings)
    review_round = make_review_round(sample, settings) if sample.height else None
    status = desk.request(review_round) if review_round else None
    write_table(folder / SAMPLE_FILE, sample, SYNTHETIC_REVIEW)
    record = SyntheticRequest(
        round_id=review_round.round_id if review_round else None,
        rows=sample.height,
        rows_by_stratum=sizes_of(with_stratum(sample, _RARE_LANGUAGE_RATIO)),
        minimum_annotators=settings.minimum_annotators,
        deadline=settings.deadline,
        desk=status.desk if status else None,
        choices=tuple(REVIEW.choices),
        guidelines=review_round.guidelines if review_round else None,
        status=status,
    )
    record.write(folder)
    return record


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
