"""Weak labels beside those of people."""

import polars as pl
import pytest

from workflows_dagster.lib.annotation.measures import Resampling
from workflows_dagster.lib.annotation.weak import compare

FEW = Resampling(resamples=200)


def test_weak_labels_are_judged_where_both_are_known() -> None:
    labels = pl.DataFrame({"review_id": list("abcde"), "label": ["positive", "negative", "neutral", None, "negative"]})
    weak = pl.DataFrame(
        {"review_id": list("abcdf"), "weak": ["positive", "positive", "positive", "negative", "negative"]}
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
    found = compare(nothing, pl.DataFrame({"review_id": ["a"], "weak": ["positive"]}), FEW)
    assert (found.accuracy, dict(found.changes)) == (None, {})
