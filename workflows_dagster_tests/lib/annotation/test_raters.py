"""Each annotator beside the others, and their pace, worked out by hand."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from workflows_dagster.lib.annotation.agreement import ballot
from workflows_dagster.lib.annotation.desk import RESPONSE, UNFINISHED
from workflows_dagster.lib.annotation.measures import Resampling
from workflows_dagster.lib.annotation.raters import Annotator, rate, seconds_per_answer

FEW = Resampling(resamples=200)
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
NAMES = {"p": "positive", "n": "negative", "u": "neutral"}


def answers(rows: list[str], people: str = "abc") -> pl.DataFrame:
    """One row of letters a review, one letter for each person, a dot where there is no answer; all at one time."""
    table = [
        (f"r{number:02}", person, NAMES[letter], START)
        for number, letters in enumerate(rows)
        for person, letter in zip(people, letters, strict=True)
        if letter != "."
    ]
    return pl.DataFrame(table, schema=RESPONSE, orient="row")


def rated(rows: list[str], unfinished: pl.DataFrame | None = None) -> dict[str, Annotator]:
    table = answers(rows)
    left = UNFINISHED.to_frame() if unfinished is None else unfinished
    return {one.name: one for one in rate(ballot(table), table, left, FEW)}


def test_accuracy_is_against_the_majority_of_the_others() -> None:
    # c against a and b: right in 0 and 1, wrong in 2; in 3 they are split, in 4 they say nothing.
    found = rated(["ppp", "nnn", "uup", "pnu", "..n"])["c"]

    assert found.answers == 5
    assert found.accuracy is not None
    assert (found.accuracy.value, found.accuracy.n) == (pytest.approx(2 / 3), 3)
    assert dict(found.confused) == {"neutral->positive": 1}


def test_the_only_other_is_the_majority() -> None:
    found = rated(["pp.", "pn.", "nn."])["b"]

    assert found.accuracy is not None
    assert found.accuracy.value == pytest.approx(2 / 3)
    # Cohen: observed 2/3, expected (2/3 * 1/3) + (1/3 * 2/3) = 4/9; (6 - 4) / (9 - 4).
    assert found.kappa is not None
    assert found.kappa.value == pytest.approx(2 / 5)


def test_annotator_without_others_has_no_accuracy() -> None:
    found = rated(["p..", "n.."])["a"]
    assert (found.answers, found.accuracy, found.kappa, dict(found.confused)) == (2, None, None, {})


def test_confusions_are_counted_most_frequent_first() -> None:
    found = rated(["ppn", "ppn", "nnp", "uuu"])["c"]
    assert list(found.confused.items()) == [("positive->negative", 2), ("negative->positive", 1)]


def test_discards_and_drafts_are_counted_also_of_those_who_answered_nothing() -> None:
    left = pl.DataFrame(
        [("r00", "a", "discarded"), ("r01", "a", "discarded"), ("r00", "dan", "draft")], schema=UNFINISHED, orient="row"
    )
    found = rated(["pp."], left)

    assert (found["a"].discarded, found["a"].drafts, found["a"].answers) == (2, 0, 1)
    assert (found["dan"].discarded, found["dan"].drafts, found["dan"].answers) == (0, 1, 0)
    assert (found["dan"].accuracy, found["dan"].kappa) == (None, None)


def timed(*seconds: float) -> pl.DataFrame:
    return pl.DataFrame({"annotator": "a", "submitted_at": [START + timedelta(seconds=s) for s in seconds]})


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        # Gaps 10, 20, 10, 3600 (lunch), 30: the median is 20.
        ((0, 10, 30, 40, 3640, 3670), {"a": 20.0}),
        ((3670, 0, 40, 10, 3640, 30), {"a": 20.0}),
        # Four gaps are too few to speak of a pace.
        ((0, 10, 20, 30, 40), {}),
        # One saved file, one time.
        ((5,) * 50, {}),
        # Two saved files: 49 of 50 gaps are none.
        ((*(5,) * 25, *(9,) * 25), {}),
    ],
)
def test_pace_is_the_median_gap_where_answers_have_times(
    seconds: tuple[float, ...], expected: dict[str, float]
) -> None:
    assert seconds_per_answer(timed(*seconds)) == expected
