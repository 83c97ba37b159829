"""Where people annotate, as a port: ask a round once, look at its status at any time, read its answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Literal, Protocol

import polars as pl

from workflows_dagster.lib.schema import LABELS

RESPONSE: Final = pl.Schema(
    {
        "review_id": pl.String(),
        "annotator": pl.String(),
        "label": pl.String(),
        "submitted_at": pl.Datetime("us", "UTC"),
    }
)
"""One valid answer of one person to one review."""

UNFINISHED: Final = pl.Schema({"review_id": pl.String(), "annotator": pl.String(), "status": pl.String()})
"""One review that a person discarded or left as a draft: status "discarded" or "draft"."""

REASON: Final = pl.Schema({"review_id": pl.String(), "annotator": pl.String(), "reason": pl.String()})
"""Why a person gave their answer: in their own words, or by the words of the review that they marked."""

AskedReason = Literal["none", "comment", "span"]
"""Whether people may say why: not at all, in their own words, or by marking words of the review."""


@dataclass(frozen=True)
class Inquiry:
    """What people are asked of each review of a round.

    Attributes:
        name: Prefix of the names of forms and datasets.
        question: As annotators read it.
        hint: Shown below the question.
        choices: The answers to choose from, in their order.
        comment: Title of the free text that may go with an answer.
        comment_column: Column of that text in forms.
        claim: Title of the claim that each question shows; empty where questions claim nothing.
    """

    name: str
    question: str
    hint: str
    choices: Sequence[str]
    comment: str
    comment_column: str
    claim: str = ""


FEELING: Final = Inquiry(
    name="pilot",
    question="What does the writer feel?",
    hint="About what was bought, delivered or done. Judge the text, not the suggestion.",
    choices=LABELS,
    comment="Why? (optional)",
    comment_column="reason",
)
"""What the pilot asks."""


class RoundState(StrEnum):
    """How far people are with a round."""

    WAITING = "waiting"
    PARTIAL = "partial"
    COMPLETE = "complete"


class ResponseReason(StrEnum):
    """Why an answer does not count."""

    UNREADABLE_FILE = "unreadable_file"
    MISSING_COLUMNS = "missing_columns"
    UNKNOWN_LABEL = "unknown_label"
    UNKNOWN_REVIEW = "unknown_review"
    CONTRADICTS_ITSELF = "contradicts_itself"


@dataclass(frozen=True)
class Question:
    """One review that people are asked about.

    Attributes:
        review_id: Identity of the review.
        text: What the annotator reads; masked text only.
        suggestion: The suggested answer, such as the weak label; or an empty string.
        suggestion_score: Confidence of what suggested it (0-1), if known.
        suggestion_agent: What suggested it, or an empty string.
        metadata: What people may filter by; unknown values are left out.
        vector: Embedding of the text, for search by similarity; empty if there is none.
        calibration: Whether more people than the minimum answer it, so that they can be compared.
        claim: What is shown beside the text for people to judge.
    """

    review_id: str
    text: str
    suggestion: str
    suggestion_score: float | None = None
    suggestion_agent: str = ""
    metadata: Mapping[str, str | int] = field(default_factory=dict[str, str | int])
    vector: Sequence[float] = ()
    calibration: bool = False
    claim: str = ""


@dataclass(frozen=True)
class AnnotationRound:
    """A fixed set of questions; another set is another round.

    Attributes:
        round_id: Digest of the questions.
        questions: In the order people see them.
        guidelines: What annotators are told, as markdown.
        minimum_annotators: How many people have to answer a review.
        calibration_annotators: How many have to answer a review for calibration.
        asked_reason: Whether people may say why.
        inquiry: What is asked of each.
    """

    round_id: str
    questions: Sequence[Question]
    guidelines: str
    minimum_annotators: int
    calibration_annotators: int = 0
    asked_reason: AskedReason = "none"
    inquiry: Inquiry = FEELING

    def needed(self, question: Question) -> int:
        """How many people have to answer a question of the round."""
        more = self.calibration_annotators if question.calibration else 0
        return max(more, self.minimum_annotators)


@dataclass(frozen=True)
class RejectedResponse:
    """An answer that does not count.

    Attributes:
        origin: Where it was given: name of the form, or of the dataset and the record.
        row: 1-based data row of the form, or None for a whole form or a record.
        review_id: The review that was answered, if it could be read.
        annotator: Who answered, if it could be read.
        reason: Why it does not count.
        given: What was found.
        expected: What would have counted.
    """

    origin: str
    row: int | None
    review_id: str | None
    annotator: str | None
    reason: ResponseReason
    given: str
    expected: str


@dataclass(frozen=True)
class Responses:
    """What people answered in a round.

    Attributes:
        table: Columns of `RESPONSE`, one row for each annotator and review, sorted.
        rejected: The answers that do not count.
        unfinished: Columns of `UNFINISHED`; empty at a desk that knows neither drafts nor discarded reviews.
        reasons: Columns of `REASON`, of the valid answers that give one.
    """

    table: pl.DataFrame
    rejected: Sequence[RejectedResponse]
    unfinished: pl.DataFrame = field(default_factory=UNFINISHED.to_frame)
    reasons: pl.DataFrame = field(default_factory=REASON.to_frame)


@dataclass(frozen=True)
class RoundStatus:
    """How far people are with a round.

    Attributes:
        round_id: The round.
        desk: Name of the desk's implementation.
        where: Where people work: path or URL.
        rows: Reviews that were asked.
        rows_answered: Reviews with at least the minimum of valid answers.
        answers: Valid answers.
        rejected: Answers that do not count.
        annotators: Valid answers by person.
        digest: Digest of everything answered; changes when an answer does.
        missing: Reviews of the round that the desk lacks: a request was interrupted, or somebody removed them.
        requested_at: When the round was first requested.
    """

    round_id: str
    desk: str
    where: str
    rows: int
    rows_answered: int
    answers: int
    rejected: int
    annotators: Mapping[str, int] = field(default_factory=dict[str, int])
    digest: str = ""
    missing: int = 0
    requested_at: datetime | None = None

    @property
    def state(self) -> RoundState:
        """Waiting until the first valid answer, complete once every review has its minimum."""
        if not self.answers:
            return RoundState.WAITING
        return RoundState.COMPLETE if self.rows_answered == self.rows else RoundState.PARTIAL

    def to_metadata(self) -> dict[str, object]:
        """Progress as flat metadata."""
        return {
            "annotation/status": self.state.value,
            "annotation/where": self.where,
            "annotation/desk": self.desk,
            "annotation/requested_rows": self.rows,
            "annotation/answered_rows": self.rows_answered,
            "annotation/missing_rows": self.missing,
            "annotation/answers_count": self.answers,
            "annotation/rejected_count": self.rejected,
            "annotation/answers_by_annotator": dict(self.annotators),
            "annotation/round_id": self.round_id,
        }


@dataclass(frozen=True)
class Deadline:
    """When a round closes, so that its answers are used, although not everything is answered.

    Attributes:
        days: Days after the request; None for never.
        minimum_ratio: Part of the reviews that must be answered for the deadline to close the round.
    """

    days: float | None = None
    minimum_ratio: float = 1.0

    def date(self, status: RoundStatus) -> datetime | None:
        """The deadline of a round, if it has one."""
        if self.days is None or status.requested_at is None:
            return None
        return status.requested_at + timedelta(days=self.days)

    def closes(self, status: RoundStatus, now: datetime) -> bool:
        """Whether a round is closed: complete, or past its deadline with enough answers.

        Args:
            status: How far people are.
            now: The time, with its zone.
        """
        if status.state is RoundState.COMPLETE:
            return True
        date = self.date(status)
        enough = status.rows_answered >= self.minimum_ratio * status.rows
        return date is not None and now >= date and enough

    def sentence(self, status: RoundStatus) -> str:
        """How far people are, where they work, and until when."""
        said = f"{status.rows_answered} of {status.rows} reviews are answered in {status.where}"
        if status.missing:
            said += f"; {status.missing} are missing there: materialize the request again"
        date = self.date(status)
        if date is not None and status.state is not RoundState.COMPLETE:
            said += f"; from {date:%Y-%m-%d %H:%M} UTC on, {self.minimum_ratio:.0%} are enough"
        return said

    def to_metadata(self) -> dict[str, float]:
        """The deadline as flat metadata, which `from_metadata` reads back."""
        ratio = {"annotation/deadline_minimum_ratio": self.minimum_ratio}
        return ratio if self.days is None else {**ratio, "annotation/deadline_days": self.days}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> "Deadline":
        """The deadline of a round by the metadata of its request."""
        return cls(metadata.get("annotation/deadline_days"), metadata["annotation/deadline_minimum_ratio"])


class AnnotationDesk(Protocol):
    """Where people annotate.

    Every method raises AnnotationUnavailableError where a server does not answer, and AnnotationPermissionError where
    it refuses the key.
    """

    def request(self, annotation_round: AnnotationRound) -> RoundStatus:
        """Puts the round before people and returns its status.

        Idempotent: a second request for the same round adds what is missing and never deletes an answer.
        """
        ...

    def status(self, round_id: str) -> RoundStatus:
        """How far people are.

        Raises:
            RoundUnknownError: The desk does not hold the round.
        """
        ...

    def responses(self, round_id: str) -> Responses:
        """The valid answers, and those that do not count with the reason.

        Raises:
            RoundUnknownError: The desk does not hold the round.
        """
        ...


def count_answered(table: pl.DataFrame, needed: Mapping[str, int]) -> int:
    """Reviews with as many valid answers as they need.

    Args:
        table: Columns of `RESPONSE`.
        needed: Answers that each review needs, by its id.
    """
    votes = dict(table.group_by("review_id").len().iter_rows())
    return sum(votes.get(review_id, 0) >= minimum for review_id, minimum in needed.items())
