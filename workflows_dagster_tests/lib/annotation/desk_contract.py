"""What every desk does: the test module of each kind of desk subclasses the tests below.

A bench is how people answer at a desk; the contract is what must follow.
"""

from typing import Protocol

import polars as pl
import pytest

from workflows_dagster.lib.annotation.desk import AnnotationDesk, AnnotationRound, Inquiry, Question, RoundState

TEXT = "Great shoes, though the left one squeaks."
ANNOTATORS = ("annotator_1", "annotator_2", "annotator_3")

Answers = list[tuple[str, str, str]]
"""Annotator, review, label."""


SOUNDNESS = Inquiry(
    name="soundness",
    question="Is it sound?",
    hint="Look at the claim.",
    choices=("sound", "mend", "unsound"),
    comment="Mended",
    comment_column="correction",
    claim="Meant as",
)
"""Another thing to ask than what the pilot asks."""


class Bench(Protocol):
    """A desk with people at it."""

    @property
    def desk(self) -> AnnotationDesk:
        """The desk."""
        ...

    def answer(self, round_id: str, answers: Answers, reason: str = "") -> None:
        """People answer; whoever answered a review before changes their answer."""
        ...

    def add_strange_review(self, round_id: str) -> None:
        """Somebody answers a review that was not asked."""
        ...


def make_round(
    round_id: str, rows: int = 3, minimum: int = 1, calibration: int = 0, calibration_annotators: int = 3
) -> AnnotationRound:
    """A round of reviews r/0, r/1 ..., the first of them for calibration."""
    questions = [
        Question(
            f"r/{number}",
            f"{number}: {TEXT}",
            "positive",
            suggestion_score=0.75,
            suggestion_agent="weak label (rating)",
            metadata={"source": "shop", "stars": 4, "language": "en", "batch": "b1"},
            vector=(0.6, 0.8) if number % 2 else (1.0, 0.0),
            calibration=number < calibration,
        )
        for number in range(rows)
    ]
    return AnnotationRound(round_id, questions, "# What to do\n", minimum, calibration_annotators, "comment")


# Round, answers, and what follows: state, reviews answered, answers, answers by annotator.
Progress = tuple[RoundState, int, int, dict[str, int]]
CASES: dict[str, tuple[AnnotationRound, Answers, Progress]] = {
    "nobody": (make_round("nobody"), [], (RoundState.WAITING, 0, 0, {})),
    "one review": (
        make_round("one"),
        [("annotator_1", "r/0", "positive")],
        (RoundState.PARTIAL, 1, 1, {"annotator_1": 1}),
    ),
    "all reviews": (
        make_round("all"),
        [("annotator_1", f"r/{number}", "neutral") for number in range(3)],
        (RoundState.COMPLETE, 3, 3, {"annotator_1": 3}),
    ),
    "a second answer is missing": (
        make_round("second", rows=2, minimum=2),
        [("annotator_1", "r/0", "neutral"), ("annotator_1", "r/1", "neutral"), ("annotator_2", "r/1", "negative")],
        (RoundState.PARTIAL, 1, 3, {"annotator_1": 2, "annotator_2": 1}),
    ),
    "a third answer for calibration is missing": (
        make_round("third", rows=2, minimum=2, calibration=1),
        [(annotator, f"r/{number}", "neutral") for annotator in ANNOTATORS[:2] for number in range(2)],
        (RoundState.PARTIAL, 1, 4, {"annotator_1": 2, "annotator_2": 2}),
    ),
    "two answers and three for calibration": (
        make_round("overlap", rows=2, minimum=2, calibration=1),
        [
            *((annotator, "r/0", "neutral") for annotator in ANNOTATORS),
            *((annotator, "r/1", "positive") for annotator in ANNOTATORS[1:]),
        ],
        (RoundState.COMPLETE, 2, 5, {"annotator_1": 1, "annotator_2": 2, "annotator_3": 2}),
    ),
}


class DeskContract:
    """The tests; a subclass is run with the fixture `bench` of its module."""

    @pytest.mark.parametrize("name", CASES)
    def test_progress_follows_the_answers(self, bench: Bench, name: str) -> None:
        """The status follows the answers, and says what the answers say."""
        annotation_round, answers, (state, rows_answered, count, annotators) = CASES[name]
        waiting = bench.desk.request(annotation_round)
        bench.answer(annotation_round.round_id, answers)

        status = bench.desk.status(annotation_round.round_id)

        assert (waiting.state, waiting.rows, waiting.missing) == (
            RoundState.WAITING,
            len(annotation_round.questions),
            0,
        )
        assert (status.state, status.rows_answered, status.answers) == (state, rows_answered, count)
        assert dict(status.annotators) == annotators
        assert (status.digest != waiting.digest) == bool(answers)
        table = bench.desk.responses(annotation_round.round_id).table
        assert list(table.drop("submitted_at").iter_rows()) == sorted(
            (review, who, label) for who, review, label in answers
        )
        assert table.schema["submitted_at"] == pl.Datetime("us", "UTC")
        assert status.requested_at == waiting.requested_at is not None

    def test_request_again_keeps_answers(self, bench: Bench) -> None:
        """Asked again, a round keeps its answers; asked with more suggestions, too."""
        annotation_round = make_round("again", minimum=2, calibration=1)
        bench.desk.request(annotation_round)
        bench.answer("again", [("annotator_1", "r/0", "positive"), ("annotator_2", "r/1", "negative")], "It squeaks.")
        before, answers = bench.desk.status("again"), bench.desk.responses("again")

        assert bench.desk.request(annotation_round) == before
        again = bench.desk.responses("again")
        assert again.table.equals(answers.table)
        assert again.reasons.equals(answers.reasons)
        assert answers.reasons["reason"].to_list() == ["It squeaks.", "It squeaks."]

    def test_changed_answer_replaces_the_first(self, bench: Bench) -> None:
        """A changed answer replaces the first one and shows in the digest."""
        bench.desk.request(make_round("changed"))
        bench.answer("changed", [("annotator_1", "r/0", "positive")])
        first = bench.desk.status("changed")
        bench.answer("changed", [("annotator_1", "r/0", "negative")])
        second = bench.desk.status("changed")

        assert (second.answers, second.rows_answered) == (first.answers, first.rows_answered) == (1, 1)
        assert second.digest != first.digest
        assert bench.desk.responses("changed").table["label"].to_list() == ["negative"]

    def test_changed_sample_is_another_round(self, bench: Bench) -> None:
        """Another sample is another round: neither sees the other's answers."""
        bench.desk.request(make_round("sample", rows=2))
        bench.answer("sample", [("annotator_1", "r/0", "positive")])
        other = bench.desk.request(make_round("sample-b", rows=3))

        assert (other.rows, other.answers) == (3, 0)
        assert bench.desk.status("sample").answers == 1

    def test_answer_to_a_strange_review_does_not_count(self, bench: Bench) -> None:
        """An answer to a review that was not asked is shown and does not count."""
        annotation_round = make_round("strange", rows=1)
        bench.desk.request(annotation_round)
        bench.add_strange_review("strange")

        status, responses = bench.desk.status("strange"), bench.desk.responses("strange")

        assert (status.rows, status.answers, status.rejected, status.state) == (1, 0, 1, RoundState.WAITING)
        assert [(reject.reason, reject.review_id) for reject in responses.rejected] == [("unknown_review", "strange")]

    def test_round_may_ask_something_else(self, bench: Bench) -> None:
        """A round may ask something else, show a claim beside the text, and take free text with an answer."""
        questions = [Question(f"r/{number}", f"{number}: {TEXT}", "", claim="positive") for number in range(2)]
        bench.desk.request(
            AnnotationRound("choices", questions, "# What to do\n", 1, asked_reason="comment", inquiry=SOUNDNESS)
        )
        bench.answer("choices", [("annotator_1", "r/0", "sound")])
        bench.answer("choices", [("annotator_1", "r/0", "sound"), ("annotator_2", "r/1", "mend")], "It squeaks.")

        status, responses = bench.desk.status("choices"), bench.desk.responses("choices")

        assert (status.state, status.rows, status.rows_answered) == (RoundState.COMPLETE, 2, 2)
        assert responses.table.select("review_id", "label").rows() == [("r/0", "sound"), ("r/1", "mend")]
        assert responses.reasons["reason"].to_list() == ["It squeaks.", "It squeaks."]
