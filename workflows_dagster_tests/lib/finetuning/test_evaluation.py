"""Scores and the paired comparison, on numbers worked out by hand."""

import polars as pl
import pytest

from workflows_dagster.lib.errors import DataContractError
from workflows_dagster.lib.finetuning.evaluation import macro_f1_gain, score


def _predictions(labels: list[str], predicted: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "review_id": [str(index) for index in range(len(labels))],
            "source": ["shop"] * (len(labels) - 1) + ["posts"],
            "language": [None, *["en"] * (len(labels) - 1)],
            "label": labels,
            "label_source": ["human", *["rating"] * (len(labels) - 1)],
            "predicted": predicted,
        }
    )


LABELS = ["negative", "negative", "neutral", "positive"]


def test_scores_are_those_of_the_confusion_matrix() -> None:
    scores = score(_predictions(LABELS, ["negative", "neutral", "neutral", "positive"]), seed=0)
    # One of two negatives is called neutral: F1 is 2/3 for both, and 1 for positive.
    assert scores.macro_f1.value == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert scores.accuracy.value == pytest.approx(3 / 4)
    assert {label: found.value for label, found in scores.per_class.items()} == {
        "negative": pytest.approx(2 / 3),
        "neutral": pytest.approx(2 / 3),
        "positive": pytest.approx(1.0),
    }
    assert {source: found.n for source, found in scores.per_source.items()} == {"shop": 3, "posts": 1}
    assert {language: found.n for language, found in scores.per_language.items()} == {"en": 3, "unknown": 1}


def test_gold_rows_are_scored_apart_from_weak_ones() -> None:
    scores = score(_predictions(LABELS, ["negative", "neutral", "neutral", "positive"]), seed=0)

    assert scores.gold is not None
    assert (scores.gold.value, scores.gold.n) == (1, 1)
    # The miss is a weak label: no negative is found, one of two neutral calls is right, positive is.
    weak = scores.per_label_source["rating"]
    assert (weak.value, weak.n) == (pytest.approx((0 + 2 / 3 + 1) / 3), 3)


def test_gold_is_absent_where_people_labelled_no_test_row() -> None:
    weak = _predictions(LABELS, LABELS).with_columns(label_source=pl.lit("given"))
    assert score(weak, seed=0).gold is None


def test_gain_is_zero_with_no_width_between_equal_predictions() -> None:
    same = _predictions(LABELS, LABELS)
    gain = macro_f1_gain(same, same, seed=0)
    assert (gain.value, gain.low, gain.high, gain.n) == (0.0, 0.0, 0.0, 4)


def test_gain_is_the_difference_of_the_macro_f1s() -> None:
    ours = _predictions(LABELS, LABELS)
    theirs = _predictions(LABELS, ["negative", "neutral", "neutral", "positive"])
    assert macro_f1_gain(ours, theirs, seed=0).value == pytest.approx(1 - 7 / 9)
    assert macro_f1_gain(theirs, ours, seed=0).value == pytest.approx(7 / 9 - 1)


def test_gain_refuses_different_rows() -> None:
    with pytest.raises(DataContractError, match="compared on different rows"):
        macro_f1_gain(_predictions(LABELS, LABELS), _predictions(LABELS[:3], LABELS[:3]), seed=0)
