"""What is asked of people: the round of a pilot, its id, and what of a review they get to see."""

from dataclasses import asdict
from typing import Any

import polars as pl
import pytest

from workflows_dagster.lib.annotation.request import RequestSettings, make_round

SECRET = "product 4711, seen by everybody"


def pilot(rows: int = 6, **columns: Any) -> pl.DataFrame:
    """A pilot with everything in it that a review carries."""
    given: dict[str, Any] = {
        "review_id": [f"r/{number}" for number in range(rows)],
        "source": "shop",
        "batch": "b1",
        "text": [f"{number}: write to [EMAIL]" for number in range(rows)],
        "stars": 4,
        "label": "positive",
        "label_source": "rating",
        "language": "en",
        "product_id": SECRET,
        "group_key": SECRET,
        "split": "test",
        "stratum": "positive/shop/en",
        "pick": "suspect",
        "pick_score": 0.9,
        "suggestion": "positive",
        "suggestion_score": 0.75,
        "suggestion_agent": "rating; words",
    }
    return pl.DataFrame({**given, **columns})


def settings(**given: Any) -> RequestSettings:
    return RequestSettings.model_validate({"calibration_rows": 0, "minimum_annotators": 1, **given})


def test_people_get_text_suggestion_and_four_properties_and_nothing_else() -> None:
    [question, *_] = make_round(pilot(), settings()).questions

    assert asdict(question) == {
        "review_id": "r/0",
        "text": "0: write to [EMAIL]",
        "suggestion": "positive",
        "suggestion_score": 0.75,
        "suggestion_agent": "rating; words",
        "metadata": {"source": "shop", "stars": 4, "language": "en", "batch": "b1"},
        "vector": (),
        "calibration": False,
        "claim": "",
    }


def test_unknown_properties_are_left_out() -> None:
    frame = pilot(suggestion=None, suggestion_score=None, stars=None, language=None)
    [question, *_] = make_round(frame, settings()).questions
    assert (question.suggestion, question.suggestion_score) == ("", None)
    assert dict(question.metadata) == {"source": "shop", "batch": "b1"}


@pytest.mark.parametrize(
    ("changes", "given", "same"),
    [
        ({}, {}, True),
        ({"suggestion": "negative", "suggestion_score": 0.1, "stars": 1}, {}, True),
        ({}, {"deadline_days": 3.0}, True),
        ({"text": "other"}, {}, False),
        ({"rows": 5}, {}, False),
        ({}, {"minimum_annotators": 2}, False),
        ({}, {"calibration_rows": 2}, False),
        ({}, {"asked_reason": "comment"}, False),
        ({}, {"suggestions": "none"}, False),
    ],
)
def test_round_is_another_one_exactly_if_other_is_asked(
    changes: dict[str, Any], given: dict[str, Any], same: bool
) -> None:
    first, second = make_round(pilot(), settings()), make_round(pilot(**changes), settings(**given))
    assert (first.round_id == second.round_id) == same


def test_order_of_the_pilot_changes_nothing() -> None:
    frame = pilot()
    assert make_round(frame, settings()) == make_round(frame.reverse(), settings())


def test_calibration_comes_first_and_needs_more_people() -> None:
    made = make_round(pilot(), RequestSettings(minimum_annotators=2, calibration_rows=2, calibration_annotators=3))
    assert [made.needed(question) for question in made.questions] == [3, 3, 2, 2, 2, 2]
    assert "by 2 of you; the 2 for calibration, by 3" in made.guidelines


def test_calibration_by_no_more_people_than_the_minimum_is_none() -> None:
    made = make_round(pilot(), RequestSettings(minimum_annotators=3, calibration_rows=2, calibration_annotators=3))
    assert {made.needed(question) for question in made.questions} == {3}
    assert not any(question.calibration for question in made.questions)


@pytest.mark.parametrize(
    ("suggestions", "prompted"),
    [("all", [True] * 4), ("not for calibration", [False] * 2 + [True] * 2), ("none", [False] * 4)],
)
def test_guesses_are_left_out_where_they_are_not_wanted(suggestions: str, prompted: list[bool]) -> None:
    given = settings(minimum_annotators=2, calibration_rows=2, suggestions=suggestions)
    made = make_round(pilot(rows=4), given)
    assert [bool(question.suggestion) for question in made.questions] == prompted
    assert [bool(question.suggestion_agent) for question in made.questions] == prompted


def test_vectors_belong_to_their_review() -> None:
    made = make_round(pilot(), settings(), {"r/1": [0.6, 0.8], "elsewhere": [1.0, 0.0]})
    assert [question.vector for question in made.questions[:2]] == [(), [0.6, 0.8]]
