"""Weak labels beside those of people."""

import polars as pl
import pytest

from workflows_dagster.lib.annotation.measures import Resampling
from workflows_dagster.lib.annotation.weak import compare

FEW = Resampling(resamples=200)


def test_weak_labels_are_judged_where_both_are_known() -> None:
    labels = pl.DataFrame({"review_id": list("abcde"), "label": ["positive", "negative", "neutral", None, "negative"]})
    weak = pl.DataFrame(
        {
            "review_id": list("abcdf"),
            "weak": ["positive", "positive", "positive", "negative", "negative"],
            "weight": 1.0,
        }
    )

    found = compare(labels, weak, FEW)

    # a, b and c are known to both: one of three is confirmed.
    assert found.accuracy is not None
    assert (found.accuracy.value, found.accuracy.n) == (pytest.approx(1 / 3), 3)
    assert dict(found.changes) == {"positive->negative": 1, "positive->neutral": 1}
    assert {label: one and one.n for label, one in found.by_label.items()} == {
        "negative": None,
        "neutral": None,
        "positive": 3,
    }


def test_weak_labels_are_unjudged_without_answers() -> None:
    nothing = pl.DataFrame(schema={"review_id": pl.String, "label": pl.String})
    found = compare(nothing, pl.DataFrame({"review_id": ["a"], "weak": ["positive"], "weight": [1.0]}), FEW)
    assert (found.accuracy, dict(found.changes)) == (None, {})


def test_rows_that_were_picked_do_not_count_and_random_ones_count_for_their_stratum() -> None:
    labels = pl.DataFrame({"review_id": list("abcd"), "label": ["positive", "negative", "negative", "neutral"]})
    weak = pl.DataFrame(
        {
            "review_id": list("abcd"),
            "weak": ["positive", "positive", "positive", "neutral"],
            "weight": [6.0, 2.0, None, 2.5],
        }
    )

    found = compare(labels, weak, FEW)

    # Confirmed: a and d, which stand for 8.5 of 10.5 rows. c was picked for looking wrong.
    assert found.accuracy is not None
    assert (found.accuracy.value, found.accuracy.n) == (pytest.approx(8.5 / 10.5), 3)
    assert found.by_label["positive"] is not None
    assert found.by_label["positive"].value == pytest.approx(6 / 8)
    assert dict(found.changes) == {"positive->negative": 2}
