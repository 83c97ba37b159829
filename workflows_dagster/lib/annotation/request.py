"""Asks people about the pilot, and records what was asked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.annotation.desk import AnnotationDesk, AnnotationRound, AskedReason, Deadline, Question
from workflows_dagster.lib.annotation.records import PilotRequest, RoundReport
from workflows_dagster.lib.annotation.sample import PILOT_FILE, VECTORS_FILE
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.schema import LABELS

SHARED_METADATA: Final = ("source", "stars", "language", "batch")
"""What annotators see of a review beside its text, and may filter by."""

_GUIDELINES: Final = Path(__file__).with_name("guidelines.md")


class RequestSettings(BaseModel):
    """What annotators are asked, and how many of them."""

    model_config = ConfigDict(frozen=True)

    minimum_annotators: int = Field(default=2, ge=1, le=20, description="People who have to answer each review.")
    calibration_rows: int = Field(
        default=20, ge=0, description="Reviews that more people answer, so that they can be compared with each other."
    )
    calibration_annotators: int = Field(
        default=3, ge=1, le=20, description="People who have to answer each of these; never fewer than the minimum."
    )
    asked_reason: AskedReason = Field(
        default="none",
        description="Whether people may say why: in their own words (comment), or by marking words of the review "
        "(span; in files they copy them).",
    )
    suggestions: Literal["all", "not for calibration", "none"] = Field(
        default="all",
        description="Reviews that come with a guess. Argilla shows it as chosen already, which pulls answers towards "
        "it and agreement up.",
    )
    deadline_days: float | None = Field(
        default=None,
        gt=0,
        description="Days after which the round closes with what was answered. Unset: once all is answered.",
    )
    deadline_minimum_ratio: float = Field(
        default=0.8, gt=0, le=1, description="Part of the reviews that must be answered for the deadline to close it."
    )

    @property
    def deadline(self) -> Deadline:
        """When the round closes unfinished."""
        return Deadline(self.deadline_days, self.deadline_minimum_ratio)


def build_request(
    pilot: Artifact, desk: AnnotationDesk, settings: RequestSettings, folder: Path
) -> RoundReport[PilotRequest]:
    """Requests the round at the desk and writes its record. No answer is ever lost.

    Raises:
        AnnotationUnavailableError: The desk does not answer; a second request continues where this one stopped.
    """
    # A text without words has a vector of zeros, which would be equally similar to all.
    rows = pilot.scan(VECTORS_FILE).collect().iter_rows()
    vectors = {review_id: vector for review_id, vector in rows if any(vector)}
    annotation_round = make_round(pilot.scan(PILOT_FILE).collect(), settings, vectors)
    status = desk.request(annotation_round)
    calibration = sum(question.calibration for question in annotation_round.questions)
    record = PilotRequest(
        round_id=annotation_round.round_id,
        rows=len(annotation_round.questions),
        minimum_annotators=settings.minimum_annotators,
        calibration_rows=calibration,
        calibration_annotators=settings.calibration_annotators if calibration else None,
        asked_reason=settings.asked_reason,
        deadline=settings.deadline,
        desk=status.desk,
        labels=LABELS,
        guidelines=annotation_round.guidelines,
    )
    record.write(folder)
    return RoundReport(record, status)


def make_round(
    pilot: pl.DataFrame, settings: RequestSettings, vectors: Mapping[str, Sequence[float]] | None = None
) -> AnnotationRound:
    """The round of a pilot, the reviews for calibration first.

    Its id depends on what is asked and on how many people answer, not on what was suggested.

    Args:
        pilot: Columns of PILOT_REVIEW.
        settings: What is asked.
        vectors: Embeddings by review id, for search by similarity; those of other reviews are ignored.
    """
    calibration = _calibration(pilot["review_id"].to_list(), settings)
    vectors = vectors or {}
    questions: list[Question] = []
    for row in pilot.sort(~pl.col("review_id").is_in(list(calibration)), "review_id").iter_rows(named=True):
        review_id = row["review_id"]
        calibrates = review_id in calibration
        suggests = {"all": True, "not for calibration": not calibrates, "none": False}[settings.suggestions]
        questions.append(
            Question(
                review_id=review_id,
                text=row["text"],
                suggestion=(row["suggestion"] or "") if suggests else "",
                suggestion_score=row["suggestion_score"] if suggests else None,
                suggestion_agent=(row["suggestion_agent"] or "") if suggests else "",
                metadata={name: row[name] for name in SHARED_METADATA if row[name] is not None},
                vector=vectors.get(review_id, ()),
                calibration=calibrates,
            )
        )
    return AnnotationRound(
        round_id=_round_id(questions, settings),
        questions=questions,
        guidelines=_guidelines(len(questions), len(calibration), settings),
        minimum_annotators=settings.minimum_annotators,
        calibration_annotators=settings.calibration_annotators if calibration else 0,
        asked_reason=settings.asked_reason,
    )


def _calibration(review_ids: list[str], settings: RequestSettings) -> frozenset[str]:
    """The reviews that more people answer, drawn by digest."""
    if settings.calibration_annotators <= settings.minimum_annotators:
        return frozenset()
    drawn = sorted(review_ids, key=lambda review_id: digest_text("calibration", review_id))
    return frozenset(drawn[: settings.calibration_rows])


def _round_id(questions: list[Question], settings: RequestSettings) -> str:
    parts = [settings.asked_reason, settings.suggestions]
    for question in sorted(questions, key=lambda question: question.review_id):
        needed = settings.calibration_annotators if question.calibration else settings.minimum_annotators
        parts += [question.review_id, question.text, str(needed)]
    return digest_text(*parts)[:16]


def _guidelines(rows: int, calibration: int, settings: RequestSettings) -> str:
    overlap = f"- A review counts once answered by {settings.minimum_annotators} of you"
    if calibration:
        overlap += f"; the {calibration} for calibration, by {settings.calibration_annotators}. Begin with these"
    template = _GUIDELINES.read_text("utf-8")
    return template.format(rows=rows, labels=", ".join(LABELS), overlap=f"{overlap}.\n")
