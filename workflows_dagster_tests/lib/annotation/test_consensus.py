"""Majority, ties and raw agreement, worked out by hand."""

import polars as pl
import pytest

from workflows_dagster.lib.annotation.consensus import majority, raw_agreement
from workflows_dagster.lib.annotation.training import overlay


def responses(**by_review: str) -> pl.DataFrame:
    """Answers such as a="ppn": one letter for each annotator."""
    names = {"p": "positive", "n": "negative", "u": "neutral"}
    rows = [
        (review_id, f"annotator{place}", names[letter])
        for review_id, letters in by_review.items()
        for place, letter in enumerate(letters)
    ]
    return pl.DataFrame(rows, schema=["review_id", "annotator", "label"], orient="row").cast(pl.String)


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


def test_majority_is_empty_without_answers() -> None:
    assert majority(responses()).height == 0


def test_raw_agreement_counts_pairs() -> None:
    # a: 3 pairs, one agrees; b: 1 pair, agrees; c: one answer, no pair. 2 of 4.
    agreement = raw_agreement(responses(a="ppn", b="uu", c="p"))
    assert (agreement.ratio, agreement.pairs, agreement.rows) == (0.5, 4, 2)


def test_raw_agreement_is_absent_without_pairs() -> None:
    agreement = raw_agreement(responses(a="p"))
    assert (agreement.ratio, agreement.pairs, agreement.rows) == (None, 0, 0)


def test_overlay_replaces_only_what_people_answered() -> None:
    reviews = pl.DataFrame(
        {
            "review_id": ["a", "b", "c"],
            "label": ["positive", "negative", None],
            "label_source": ["rating", "given", None],
        }
    )
    human = pl.DataFrame({"review_id": ["b"], "human": ["neutral"]})

    overlaid = overlay(reviews, human)

    assert overlaid["label"].to_list() == ["positive", "neutral", None]
    assert overlaid["label_source"].to_list() == ["rating", "human", None]
    assert overlaid["weak"].to_list() == ["positive", "negative", None]
