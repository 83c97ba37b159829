"""Metrics against numbers worked out by hand, against scikit-learn, and against a bootstrap over the rows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from workflows_dagster.lib.errors import DataContractError, NotEnoughDataError
from workflows_dagster.lib.metrics import (
    Classes,
    Estimate,
    accuracy_of,
    agreement,
    bootstrap,
    confusion,
    f1_per_class,
    macro_f1_of,
    paired_bootstrap,
    proportion,
)

TRUTH = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 2])
PREDICTED = np.array([0, 0, 1, 2, 1, 0, 2, 2, 2, 0])
PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


def test_confusion_counts_pairs_of_truth_and_prediction() -> None:
    assert confusion(TRUTH, PREDICTED, 3).tolist() == [[2, 1, 1], [1, 1, 0], [1, 0, 3]]


def test_f1_by_hand() -> None:
    # Class 0: 2 of 4 found, 2 of 4 right: 1/2. Class 1: 1 of 2, 1 of 2: 1/2. Class 2: 3 of 4, 3 of 4: 3/4.
    matrix = confusion(TRUTH, PREDICTED, 3)
    assert f1_per_class(matrix).tolist() == [0.5, 0.5, 0.75]
    assert float(macro_f1_of(matrix)) == pytest.approx(1.75 / 3)
    assert float(accuracy_of(matrix)) == 0.6


def test_class_that_never_occurs_has_no_f1_and_does_not_count() -> None:
    matrix = confusion(np.array([0, 0, 2]), np.array([0, 0, 2]), 3)
    assert np.isnan(f1_per_class(matrix)[1])
    assert float(macro_f1_of(matrix)) == 1.0


def test_class_that_is_only_predicted_counts_as_nothing_right() -> None:
    matrix = confusion(np.array([0, 0]), np.array([0, 1]), 3)
    # Class 0: 2*1 / (2 + 1) = 2/3; class 1: 0 of 1; class 2 does not occur.
    assert float(macro_f1_of(matrix)) == pytest.approx(1 / 3)


@given(PAIRS)
def test_scores_equal_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pairs).T
    matrix = confusion(truth, predicted, 4)
    assert matrix.tolist() == confusion_matrix(truth, predicted, labels=range(4)).tolist()
    assert float(accuracy_of(matrix)) == pytest.approx(accuracy_score(truth, predicted))
    # scikit-learn documents None for `average` and numbers for `zero_division`; its inferred types know only str.
    strict: dict[str, Any] = {"zero_division": 0.0}
    each: dict[str, Any] = {"zero_division": 0.0, "average": None, "labels": range(4)}
    assert float(macro_f1_of(matrix)) == pytest.approx(f1_score(truth, predicted, average="macro", **strict))
    assert np.nan_to_num(f1_per_class(matrix)) == pytest.approx(f1_score(truth, predicted, **each))


def rows_of_a_mediocre_model(n: int, seed: int) -> tuple[Classes, Classes]:
    """Imbalanced labels, and predictions of which about 70 % are right."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, size=n, p=[0.15, 0.1, 0.75])
    return truth, np.where(rng.random(n) < 0.7, truth, rng.integers(0, 3, n))


def macro_f1_of_rows(truth: Classes, predicted: Classes) -> float:
    """Macro-F1 from precision and recall, by counting rows."""
    scores: list[float] = []
    for label in set(truth.tolist()) | set(predicted.tolist()):
        right = int(((truth == label) & (predicted == label)).sum())
        precision = right / max(int((predicted == label).sum()), 1)
        recall = right / max(int((truth == label).sum()), 1)
        scores.append(2 * precision * recall / (precision + recall) if right else 0.0)
    return float(np.mean(scores))


@pytest.mark.parametrize("n", [25, 300])
def test_interval_equals_that_of_a_bootstrap_over_rows(n: int) -> None:
    truth, predicted = rows_of_a_mediocre_model(n, seed=5)
    rng = np.random.default_rng(11)
    samples = (rng.integers(0, n, n) for _ in range(4000))
    values = [macro_f1_of_rows(truth[rows], predicted[rows]) for rows in samples]
    found = bootstrap(truth, predicted, classes=3, seed=1, resamples=20_000)
    low, high = np.quantile(values, [0.025, 0.975])
    # The tail quantiles of 4,000 resamples scatter by about 4 % of the interval's width.
    tolerance = 0.06 * (high - low)
    assert found.value == pytest.approx(macro_f1_of_rows(truth, predicted))
    assert (found.low, found.high) == (pytest.approx(low, abs=tolerance), pytest.approx(high, abs=tolerance))
    assert (found.n, found.confidence) == (n, 0.95)


def test_interval_covers_the_true_accuracy_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    truth = np.zeros(200, dtype=np.int64)
    estimates = [
        bootstrap(truth, (rng.random(200) > 0.8).astype(np.int64), accuracy_of, classes=2, seed=seed, resamples=500)
        for seed in range(400)
    ]
    covered = np.mean([estimate.low <= 0.8 <= estimate.high for estimate in estimates])
    # 400 trials of 0.95 scatter by 0.011; a percentile interval at n=200 is a little too narrow.
    assert 0.91 <= covered <= 0.98


def test_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    rows = rows_of_a_mediocre_model(100, seed=2)
    one, again, other = (bootstrap(*rows, classes=3, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert (one.low, one.high) != (other.low, other.high)


def test_interval_does_not_depend_on_the_order_of_rows() -> None:
    truth, predicted = rows_of_a_mediocre_model(100, seed=2)
    order = np.random.default_rng(0).permutation(100)
    assert bootstrap(truth, predicted, classes=3) == bootstrap(truth[order], predicted[order], classes=3)


def test_interval_of_a_perfect_model_is_a_point() -> None:
    assert bootstrap([0, 1, 2], [0, 1, 2], accuracy_of, classes=3) == Estimate(1.0, 1.0, 1.0, 3)


def test_more_confidence_means_a_wider_interval() -> None:
    rows = rows_of_a_mediocre_model(100, seed=2)
    narrow, wide = (bootstrap(*rows, classes=3, confidence=confidence) for confidence in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


@pytest.mark.parametrize(("truth", "predicted"), [([], []), ([0], []), ([0, 1], [0])])
def test_rows_that_do_not_pair_are_refused(truth: list[int], predicted: list[int]) -> None:
    with pytest.raises(NotEnoughDataError, match=f"{len(truth)} labels, {len(predicted)} predictions"):
        bootstrap(truth, predicted, classes=2)


@pytest.mark.parametrize(
    ("truth", "predicted", "name", "wrong"),
    [([0, 3], [0, 0], "label", 3), ([0, 1], [0, 3], "prediction", 3), ([1, 1], [-1, 0], "prediction", -1)],
)
def test_id_that_is_no_class_is_refused(truth: list[int], predicted: list[int], name: str, wrong: int) -> None:
    with pytest.raises(DataContractError, match=rf"a {name} is not a class id. Given: \[{wrong}\]. .*from 0 to 2"):
        bootstrap(truth, predicted, classes=3)


def test_estimate_reads_as_value_interval_and_rows() -> None:
    assert str(Estimate(0.61249, 0.5, 0.7, 12345)) == "0.612 [0.500, 0.700] n=12,345"


def test_difference_of_two_models_is_paired() -> None:
    truth, before, after = (np.asarray(ids) for ids in ([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 1]))
    # After: F1 of class 0 is 1, of class 1 is 2*2/(2+3) = 0.8, of class 2 is 2*1/(2+1) = 0.6667: mean 0.82222.
    found = paired_bootstrap(truth, after, before, classes=3)
    assert found.value == pytest.approx(0.82222 - 1, abs=1e-4)
    assert found.low <= found.value <= found.high <= 0
    # Alike predictions differ in no resample; unpaired resamples of them would.
    assert paired_bootstrap(truth, after, after, classes=3) == Estimate(0, 0, 0, 6)


def test_difference_of_two_models_refuses_rows_that_one_did_not_predict() -> None:
    with pytest.raises(NotEnoughDataError, match="3 labels, 3 and 2 predictions"):
        paired_bootstrap([0, 1, 2], [0, 1, 2], [0, 1], classes=3)


def test_difference_of_two_models_refuses_what_is_no_class() -> None:
    with pytest.raises(DataContractError, match="a prediction is not a class id"):
        paired_bootstrap([0, 1, 2], [0, 1, 2], [0, 1, 3], classes=3)


def test_the_interval_of_full_agreement_does_not_collapse() -> None:
    # Wilson at 10 of 10: the low end is n / (n + z^2) = 10 / 13.8415 = 0.72246, the high end is 1.
    found = agreement(np.arange(10), np.arange(10))
    assert (found.value, found.n) == (1, 10)
    assert found.low == pytest.approx(0.72246, abs=1e-5)
    assert found.high == pytest.approx(1)


def test_the_interval_of_one_half_is_symmetric() -> None:
    # Wilson at 5 of 10: 0.5 +- 1.95996 / 13.8415 * sqrt(2.5 + 0.96036) = 0.5 +- 0.26340.
    found = proportion(5, 10)
    assert (found.low, found.high) == (pytest.approx(0.23660, abs=1e-4), pytest.approx(0.76340, abs=1e-4))


def test_a_share_of_no_rows_is_refused() -> None:
    with pytest.raises(NotEnoughDataError, match="0 rows"):
        proportion(0, 0)


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(1.0, 1.0, 1.0, 2), "1.000 (n too small) n=2"),
        (Estimate(0.5, 0.1, 0.9, 19), "0.500 (n too small) n=19"),
        (Estimate(0.5, 0.1, 0.9, 20), "0.500 [0.100, 0.900] n=20"),
        (Estimate(1.0, 1.0, 1.0, 1_000), "1.000 (n too small) n=1,000"),
        (Estimate(0.0, 0.0, 0.0, 1_000), "0.000 [0.000, 0.000] n=1,000"),
    ],
    ids=["two right rows", "one row short", "enough rows", "all right", "no difference"],
)
def test_interval_is_shown_only_where_the_rows_make_one(estimate: Estimate, text: str) -> None:
    assert str(estimate) == text
