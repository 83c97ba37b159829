"""Which synthetic rows people are shown, and how."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from workflows_dagster.lib.synthesis.review_request import REVIEW, ReviewRequestSettings, draw, make_review_round
from workflows_dagster_tests.lib.synthesis.made_up import synthetic_rows

STRATA = {("negative", "shop"): 60, ("neutral", "shop"): 30, ("neutral", "posts"): 9, ("negative", "posts"): 1}


def rows() -> pl.DataFrame:
    return synthetic_rows(
        *(
            {
                "review_id": f"synthetic:{label}-{source}-{number:02}",
                "source": source,
                "text": f"{label} text {number}",
                "label": label,
            }
            for (label, source), count in STRATA.items()
            for number in range(count)
        )
    )


def settings(**given: Any) -> ReviewRequestSettings:
    return ReviewRequestSettings.model_validate(given)


# One seat each, the rest in proportion to what is left: of 16 more, 59 : 29 : 8 : 0 of 96 give 9.8, 4.8, 1.3 and 0.
def test_sample_is_stratified_by_class_and_source() -> None:
    drawn = draw(rows(), settings(rows=20))
    counts = {(label, source): n for label, source, n in drawn.group_by("label", "source").len().iter_rows()}
    assert counts == {
        ("negative", "shop"): 11,
        ("neutral", "shop"): 6,
        ("neutral", "posts"): 2,
        ("negative", "posts"): 1,
    }


def test_sample_depends_on_the_seed_and_not_on_the_order() -> None:
    first, again = draw(rows(), settings(rows=20)), draw(rows().reverse(), settings(rows=20))
    assert first.equals(again)
    assert not first.equals(draw(rows(), settings(rows=20, seed=1)))


@pytest.mark.parametrize(("asked", "drawn"), [(0, 0), (100, 100)])
def test_sample_is_never_larger_than_asked(asked: int, drawn: int) -> None:
    assert draw(rows(), settings(rows=asked)).height == drawn
    assert draw(rows().clear(), settings(rows=asked)).is_empty()


def test_people_see_the_text_what_it_is_meant_as_and_no_suggestion() -> None:
    sample = draw(rows(), settings(rows=4))
    asked = make_review_round(sample, settings())
    assert [(question.text, question.claim) for question in asked.questions] == sample.select("text", "label").rows()
    assert {question.suggestion for question in asked.questions} == {""}
    assert dict(asked.questions[0].metadata) == {"source": "posts", "language": "en", "batch": "synthetic"}
    assert (asked.inquiry, asked.asked_reason, asked.minimum_annotators) == (REVIEW, "comment", 1)
    assert "You see 4 reviews" in asked.guidelines


def test_round_is_another_one_for_other_rows_another_class_or_more_people() -> None:
    sample = draw(rows(), settings(rows=4))
    other = sample.with_columns(label=pl.lit("positive"))
    rounds = [
        make_review_round(sample, settings()),
        make_review_round(sample, settings(minimum_annotators=2)),
        make_review_round(other, settings()),
        make_review_round(sample.head(3), settings()),
    ]
    assert len({one.round_id for one in rounds}) == 4
    assert replace(rounds[0]) == make_review_round(sample.reverse().sort("review_id"), settings())
