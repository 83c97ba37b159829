"""Classification metrics with sample size and interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workflows_dagster.lib.errors import DataContractError, NotEnoughDataError

Classes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Estimate:
    """A measured value with a two-sided bootstrap interval.

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

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.n:,}"


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
    metric: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]] = macro_f1_of,
    *,
    classes: int,
    seed: int = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Estimate:
    """A metric of a confusion matrix with its percentile bootstrap interval over rows.

    Resampling n rows with replacement is one multinomial draw over the cells of the confusion matrix, so the cost
    does not grow with n.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

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
    truth_ids = np.asarray(truth, dtype=np.int64)
    predicted_ids = np.asarray(predicted, dtype=np.int64)
    if truth_ids.size == 0 or truth_ids.shape != predicted_ids.shape:
        raise NotEnoughDataError(
            "a metric needs as many predictions as labels, and at least one",
            given=f"{truth_ids.size} labels, {predicted_ids.size} predictions",
            expected="equal numbers above 0",
            remedy="check that the split has labelled rows",
        )
    matrix = confusion(truth_ids, predicted_ids, classes)
    cells = matrix.ravel() / truth_ids.size
    draws = np.random.default_rng(seed).multinomial(truth_ids.size, cells, size=resamples)
    values = metric(draws.reshape(resamples, classes, classes))
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(metric(matrix)), float(low), float(high), int(truth_ids.size), confidence)


def paired_bootstrap(
    truth: Sequence[int] | Classes,
    first: Sequence[int] | Classes,
    second: Sequence[int] | Classes,
    metric: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]] = macro_f1_of,
    *,
    classes: int,
    seed: int = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Estimate:
    """A metric of one model minus that of another, with its percentile bootstrap interval over rows.

    Both see the same resampled rows: a resample is one multinomial draw over the cells (truth, first, second).

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

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
    ids = [np.asarray(given, dtype=np.int64) for given in (truth, first, second)]
    rows = ids[0].size
    if rows == 0 or any(one.shape != ids[0].shape for one in ids):
        raise NotEnoughDataError(
            "a comparison needs as many predictions of each model as labels, and at least one",
            given=f"{rows} labels, {ids[1].size} and {ids[2].size} predictions",
            expected="equal numbers above 0",
            remedy="predict with both models on the same labelled rows",
        )
    for predicted in ids[1:]:
        _require_classes(ids[0], predicted, classes)
    cells = np.bincount((ids[0] * classes + ids[1]) * classes + ids[2], minlength=classes**3)
    draws = np.random.default_rng(seed).multinomial(rows, cells / rows, size=resamples)
    counts = np.concatenate([cells[None], draws]).reshape(-1, classes, classes, classes)
    differences = metric(counts.sum(-1)) - metric(counts.sum(-2))
    low, high = np.quantile(differences[1:], [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(differences[0]), float(low), float(high), rows, confidence)


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
