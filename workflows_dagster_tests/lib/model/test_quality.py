"""The judge of predictions and the paired comparison, on numbers worked out by hand."""

import numpy as np
import polars as pl
import pytest

from workflows_dagster.lib.errors import DataContractError
from workflows_dagster.lib.model.quality import class_ids, judge, macro_f1_gain, prediction_table


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


def test_quality_is_that_of_the_confusion_matrix() -> None:
    found = judge(_predictions(LABELS, ["negative", "neutral", "neutral", "positive"]))
    # One of two negatives is called neutral: F1 is 2/3 for both, and 1 for positive.
    assert found.macro_f1.value == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert found.accuracy.value == pytest.approx(3 / 4)
    assert {label: estimate.value for label, estimate in found.per_class.items()} == {
        "negative": pytest.approx(2 / 3),
        "neutral": pytest.approx(2 / 3),
        "positive": pytest.approx(1.0),
    }
    # Negative, neutral and positive are the labels of 2, 1 and 1 of the 4 rows.
    assert {label: estimate.n for label, estimate in found.per_class.items()} == {
        "negative": 2,
        "neutral": 1,
        "positive": 1,
    }
    # Wilson's interval of 3 of 4: (0.75 + 1.96²/8 ∓ 1.96 √(0.75 · 0.25/4 + 1.96²/64)) / (1 + 1.96²/4).
    assert (found.accuracy.low, found.accuracy.high) == (
        pytest.approx(0.3006, abs=1e-4),
        pytest.approx(0.9544, abs=1e-4),
    )
    assert found.confusion == ((1, 1, 0), (0, 1, 0), (0, 0, 1))
    assert {source: estimate.n for source, estimate in found.per_source.items()} == {"shop": 3, "posts": 1}
    assert {language: estimate.n for language, estimate in found.per_language.items()} == {"en": 3, "unknown": 1}


def test_equal_predictions_have_equal_intervals_wherever_they_are_judged() -> None:
    rows = _predictions(LABELS * 10, ["negative", "neutral", "neutral", "positive"] * 10)
    first, second = judge(rows), judge(rows.reverse())
    assert first == second
    assert first.macro_f1.low < first.macro_f1.value < first.macro_f1.high


def test_gold_rows_are_scored_apart_from_weak_ones() -> None:
    found = judge(_predictions(LABELS, ["negative", "neutral", "neutral", "positive"]))

    assert found.gold is not None
    assert (found.gold.value, found.gold.n) == (1, 1)
    # The miss is a weak label: no negative is found, one of two neutral calls is right, positive is.
    weak = found.per_label_source["rating"]
    assert (weak.value, weak.n) == (pytest.approx((0 + 2 / 3 + 1) / 3), 3)


def test_gold_is_absent_where_people_labelled_no_test_row() -> None:
    weak = _predictions(LABELS, LABELS).with_columns(label_source=pl.lit("given"))
    assert judge(weak).gold is None


def test_gain_is_zero_with_no_width_between_equal_predictions() -> None:
    same = _predictions(LABELS, LABELS)
    gain = macro_f1_gain(same, same)
    assert (gain.value, gain.low, gain.high, gain.n) == (0.0, 0.0, 0.0, 4)


def test_gain_is_the_difference_of_the_macro_f1s() -> None:
    ours = _predictions(LABELS, LABELS)
    theirs = _predictions(LABELS, ["negative", "neutral", "neutral", "positive"])
    assert macro_f1_gain(ours, theirs).value == pytest.approx(1 - 7 / 9)
    assert macro_f1_gain(theirs, ours).value == pytest.approx(7 / 9 - 1)


def test_gain_refuses_different_rows() -> None:
    with pytest.raises(DataContractError, match="compared on different rows"):
        macro_f1_gain(_predictions(LABELS, LABELS), _predictions(LABELS[:3], LABELS[:3]))


def test_predicted_is_the_class_of_the_highest_probability() -> None:
    rows = _predictions(["negative", "positive"], ["", ""])
    table = prediction_table(rows, np.array([[0.2, 0.5, 0.3], [0.1, 0.2, 0.7]]))
    assert table["predicted"].to_list() == ["neutral", "positive"]
    assert table["probabilities"].to_list()[1] == pytest.approx([0.1, 0.2, 0.7])
    assert class_ids(table["predicted"]).tolist() == [1, 2]
