"""Majority, ties and the model of Dawid and Skene, worked out by hand."""

import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows_dagster.lib.annotation.consensus import PILOT_LABEL, Method, consensus, dawid_skene, majority
from workflows_dagster.lib.schema import LABELS
from workflows_dagster_tests.lib.annotation.made_up import responses


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("p", ("positive", 1, 1, "majority")),
        ("ppn", ("positive", 3, 2, "majority")),
        ("pn", (None, 2, 1, "tie")),
        ("ppnnu", (None, 5, 2, "tie")),
        ("uun", ("neutral", 3, 2, "majority")),
    ],
)
def test_majority_wins_and_ties_stay_open(letters: str, expected: tuple[object, ...]) -> None:
    row = majority(responses(a=letters)).row(0, named=True)

    assert (row["label"], row["votes"], row["agreeing"], row["resolution"]) == expected
    assert row["annotators"] == [f"annotator{place}" for place in range(len(letters))]


@pytest.mark.parametrize("method", ["majority", "majority, then dawid-skene", "dawid-skene"])
def test_consensus_is_empty_without_answers(method: Method) -> None:
    found = consensus(responses(), method, 0.9)
    assert (found.height, found.columns) == (0, PILOT_LABEL.names)


# Annotators 0 and 1 always agree and 2 goes the other way in half of the reviews: the model learns whom to believe.
# t is a tie between 0, of whom it is sure, and 2.
UNEVEN = {f"{letters}{n}": letters for letters in ("ppp", "nnn", "ppn", "nnp") for n in range(5)} | {"t": "p.n"}


@pytest.mark.parametrize(
    ("method", "minimum", "expected"),
    [
        ("majority", 0.9, (None, "tie", 1)),
        ("majority, then dawid-skene", 0.9, ("positive", "dawid-skene", 1)),
        ("dawid-skene", 0.9, ("positive", "dawid-skene", 1)),
        ("majority, then dawid-skene", 1.0, (None, "tie", 1)),
        ("dawid-skene", 1.0, (None, "uncertain", 1)),
    ],
)
def test_model_settles_a_tie_where_it_is_sure(
    method: Method, minimum: float, expected: tuple[str | None, str, int]
) -> None:
    # Annotator 0 errs in none of 10 and 10 reviews by the model's own lights, so only rounding keeps it below 1.
    found = consensus(responses(**UNEVEN), method, minimum + (1e-9 if minimum == 1 else 0))
    row = found.filter(pl.col("review_id") == "t").row(0, named=True)

    assert (row["label"], row["resolution"], row["agreeing"]) == expected
    assert (row["majority"], row["dawid_skene"]) == (None, "positive")


def test_model_and_majority_are_the_same_where_everybody_agrees() -> None:
    found = consensus(responses(a="pp", b="nn", c="uu"), "majority", 0.9)

    assert found["majority"].to_list() == found["dawid_skene"].to_list() == ["positive", "negative", "neutral"]
    assert found["posterior"].to_list() == pytest.approx([1, 1, 1])


def test_tie_of_two_strangers_falls_to_neither() -> None:
    # One answer each and nothing else known: both labels are as likely.
    [posterior] = dawid_skene(responses(a="pn"))["posterior"]
    assert posterior == pytest.approx(0.5)


ROUNDS = st.lists(st.text("pnu.", min_size=3, max_size=3), min_size=1, max_size=10).map(
    lambda rows: responses(**{f"r{number:02}": letters for number, letters in enumerate(rows)})
)


@settings(max_examples=25)
@given(ROUNDS, st.randoms(use_true_random=False))
def test_consensus_does_not_depend_on_the_order_of_answers(answers: pl.DataFrame, chance: random.Random) -> None:
    order = chance.sample(range(answers.height), answers.height)
    before = consensus(answers, "dawid-skene", 0.5)

    assert consensus(answers[order], "dawid-skene", 0.5).equals(before)
    assert before["posterior"].is_between(1 / len(LABELS) - 1e-6, 1 + 1e-6).all()
    assert before["review_id"].to_list() == answers["review_id"].unique().sort().to_list()
