"""Classification metrics, each with its sample size and interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from workflows_dagster.lib.errors import DataContractError, NotEnoughDataError

Classes = npt.NDArray[np.int64]
Metric = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]]

TOO_FEW_ROWS: Final = 20
"""Rows below which an interval says nothing; from two rows that are both right, resampling makes [1, 1]."""


@dataclass(frozen=True)
class Estimate:
    """A measured value with a two-sided interval.

    Attributes:
        value: The point estimate.
        low: Lower bound of the interval.
        high: Upper bound of the interval.
        n: Rows it was computed on.
        confidence: Coverage of the interval (0-1).
    """

    value: float
    low: float
    high: float
    n: int
    confidence: float = 0.95

    @property
    def interval(self) -> str:
        """The value as text, with its interval where there are rows enough for one."""
        if self.n < TOO_FEW_ROWS or self.low == self.high == 1:
            return f"{self.value:.3f} (n too small)"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def __str__(self) -> str:
        return f"{self.interval} n={self.n:,}"


def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Probabilities of the classes, shape (..., classes) as given, each row summing to 1."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def confusion(truth: Classes, predicted: Classes, classes: int) -> npt.NDArray[np.int64]:
    """Counts `[true, predicted]`, shape (classes, classes).

    Raises:
        DataContractError: A class id is not below `classes`; it would be counted as another pair.
    """
    _require_classes(truth, predicted, classes)
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def f1_per_class(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """F1 of each class from a confusion matrix, shape (..., classes, classes); NaN where a class never occurs."""
    true_positive = np.diagonal(matrix, axis1=-2, axis2=-1).astype(float)
    occurring = matrix.sum(-1) + matrix.sum(-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 2 * true_positive / occurring


def macro_f1_of(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Mean F1 over the classes that occur in truth or prediction."""
    scores = f1_per_class(matrix)
    occurring = ~np.isnan(scores)
    return np.where(occurring, scores, 0.0).sum(-1) / np.maximum(occurring.sum(-1), 1)


def accuracy_of(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Share of rows on the diagonal."""
    return np.diagonal(matrix, axis1=-2, axis2=-1).sum(-1) / matrix.sum((-2, -1))


def bootstrap(
    truth: Sequence[int] | Classes,
    predicted: Sequence[int] | Classes,
    metric: Metric = macro_f1_of,
    *,
    classes: int,
    seed: int = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Estimate:
    """A metric of a confusion matrix with its percentile bootstrap interval over rows.

    Args:
        truth: Class ids, shape (n,).
        predicted: Class ids, shape (n,).
        metric: Maps confusion matrices (..., classes, classes) to values (...).
        classes: Number of classes.
        seed: Seed of the resampling.
        resamples: Number of resamples.
        confidence: Coverage of the interval (0-1).

    Raises:
        NotEnoughDataError: There is no row, or not one prediction for each label.
        DataContractError: A class id is not below `classes`.
    """
    return _resampled([truth, predicted], metric, classes, seed, resamples, confidence)


def paired_bootstrap(
    truth: Sequence[int] | Classes,
    first: Sequence[int] | Classes,
    second: Sequence[int] | Classes,
    metric: Metric = macro_f1_of,
    *,
    classes: int,
    seed: int = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Estimate:
    """A metric of one model minus that of another on the same resampled rows, with its percentile bootstrap interval.

    Args:
        truth: Class ids, shape (n,).
        first: Class ids that one model predicts for these rows, shape (n,).
        second: Class ids that the other model predicts for them, shape (n,).
        metric: Maps confusion matrices (..., classes, classes) to values (...).
        classes: Number of classes.
        seed: Seed of the resampling.
        resamples: Number of resamples.
        confidence: Coverage of the interval (0-1).

    Raises:
        NotEnoughDataError: There is no row, or not one prediction of each model for each label.
        DataContractError: A class id is not below `classes`.
    """

    def difference(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        # Axes of the counts: truth, first, second. Summed over one model, they are the confusion matrix of the other.
        return metric(counts.sum(-1)) - metric(counts.sum(-2))

    return _resampled([truth, first, second], difference, classes, seed, resamples, confidence)


def _resampled(
    given: Sequence[Sequence[int] | Classes],
    statistic: Metric,
    classes: int,
    seed: int,
    resamples: int,
    confidence: float,
) -> Estimate:
    """A statistic of how often each combination of truth and predictions occurs, with its percentile interval.

    Resampling n rows with replacement is one multinomial draw over these combinations: the cost does not grow with n.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.
    """
    truth, *predicted = (np.asarray(ids, dtype=np.int64) for ids in given)
    if truth.size == 0 or any(ids.shape != truth.shape for ids in predicted):
        raise NotEnoughDataError(
            "a metric needs as many predictions of each model as labels, and at least one",
            given=f"{truth.size} labels, {' and '.join(str(ids.size) for ids in predicted)} predictions",
            expected="equal numbers above 0",
            remedy="check that the split has labelled rows, and that every model predicted each of them",
        )
    for ids in predicted:
        _require_classes(truth, ids, classes)
    shape = (classes,) * len(given)
    cells = np.bincount(np.ravel_multi_index((truth, *predicted), shape), minlength=classes ** len(given))
    draws = np.random.default_rng(seed).multinomial(truth.size, cells / truth.size, size=resamples)
    value, *values = statistic(np.concatenate([cells[None], draws]).reshape(-1, *shape))
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(value), float(low), float(high), int(truth.size), confidence)


def proportion(successes: int, n: int, confidence: float = 0.95) -> Estimate:
    """A share of n rows with its Wilson score interval, which unlike a bootstrap has a width at 0 and at 1.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference.

    Raises:
        NotEnoughDataError: There is no row.
    """
    from scipy.stats import binomtest

    if n < 1:
        raise NotEnoughDataError("a share needs rows", given=f"{n} rows", expected="at least 1", remedy="add rows")
    found = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return Estimate(successes / n, float(found.low), float(found.high), n, confidence)


def agreement(reference: Classes, other: Classes) -> Estimate:
    """Share of rows on which two classifiers give the same class, shape (n,) each."""
    return proportion(int((reference == other).sum()), len(reference))


def _require_classes(truth: Classes, predicted: Classes, classes: int) -> None:
    for name, ids in (("label", truth), ("prediction", predicted)):
        wrong = ids[(ids < 0) | (ids >= classes)]
        if wrong.size:
            raise DataContractError(
                f"a {name} is not a class id",
                given=np.unique(wrong)[:10].tolist(),
                expected=f"ids from 0 to {classes - 1}",
                remedy="check the order and number of classes that the model was trained with",
            )
