"""Measures of agreement as functions of sums over reviews, and the one resampling that gives each its interval.

The libraries that know these measures (scikit-learn, statsmodels, crowd-kit) give point estimates, one call for each
resample, and statsmodels refuses reviews with unequal numbers of answers; the tests hold ours to theirs. Here the cost
of an interval grows with the number of different vote patterns, not with the number of reviews.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from workflows_dagster.lib.metrics import Estimate

Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Level = Literal["nominal", "ordinal"]
"""Whether two labels merely differ, or differ by how many answers lie between them (negative < neutral < positive)."""


@dataclass(frozen=True)
class Resampling:
    """How intervals are made.

    Attributes:
        seed: Of the draws.
        resamples: Draws of as many reviews as there are, with replacement.
        confidence: Coverage of the interval (0-1).
    """

    seed: int = 20
    resamples: int = 2000
    confidence: float = 0.95


def resample(
    units: Counts, statistics: Callable[[Counts], Values], value: Callable[[Values], Values], resampling: Resampling
) -> Estimate | None:
    """A function of sums over reviews, with its percentile bootstrap interval; None where it is undefined.

    Reviews with equal rows are interchangeable, so drawing n reviews is one multinomial draw over the different rows.
    Resamples for which the value is undefined (as when all answers name one label) do not count.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    Args:
        units: What is known of each review, shape (reviews, any).
        statistics: Maps rows of it to what is summed, shape (reviews, ...).
        value: Maps sums, shape (..., as summed), to values (...); NaN where undefined.
        resampling: Number and seed of the draws.
    """
    if not len(units):
        return None
    patterns, counts = np.unique(units, axis=0, return_counts=True)
    parts = statistics(patterns)
    draws = np.random.default_rng(resampling.seed).multinomial(
        len(units), counts / len(units), size=resampling.resamples
    )
    values = value(np.tensordot(np.vstack([counts, draws]).astype(float), parts, axes=1))
    defined = values[1:][~np.isnan(values[1:])]
    if np.isnan(values[0]) or not defined.size:
        return None
    tail = (1 - resampling.confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Estimate(float(values[0]), float(low), float(high), len(units), resampling.confidence)


def share(hits: npt.NDArray[np.integer], resampling: Resampling) -> Estimate | None:
    """The part of the reviews that are a hit; None without any.

    Args:
        hits: 0 or 1 by review.
        resampling: Number and seed of the draws.
    """
    return resample(
        hits.astype(np.int64)[:, None],
        lambda hit: np.hstack([1 - hit, hit]).astype(float),
        lambda sums: ratio(sums[..., 1], sums.sum(axis=-1)),
        resampling,
    )


def weighted_share(hits: npt.NDArray[np.integer], weights: Values, resampling: Resampling) -> Estimate | None:
    """The part of all reviews that are a hit, by reviews that each stand for some of them; None without any.

    Args:
        hits: 0 or 1 by review.
        weights: How many reviews each stands for; counted in thousandths.
        resampling: Number and seed of the draws.
    """
    return resample(
        np.stack([hits.astype(np.int64), np.rint(weights * 1000).astype(np.int64)], axis=1),
        lambda units: np.stack([units[:, 0] * units[:, 1], units[:, 1]], axis=1).astype(float),
        lambda sums: ratio(sums[..., 0], sums[..., 1]),
        resampling,
    )


def coincidences(votes: Counts) -> Values:
    """How often two labels meet in a review, each answer counting once, shape (reviews, classes, classes).

    Args:
        votes: Answers by class of reviews with at least two, shape (reviews, classes).
    """
    together = votes[:, :, None] * votes[:, None, :] - votes[:, :, None] * np.eye(votes.shape[1], dtype=np.int64)
    return together.astype(float) / (votes.sum(axis=1) - 1)[:, None, None]


def alpha_of(sums: Values, level: Level) -> Values:
    """Krippendorff's alpha of summed coincidences; NaN where only one label was ever given.

    Source: Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, sections C to E.

    Args:
        sums: Shape (..., classes, classes), the classes in their order.
        level: Whether the order counts.
    """
    marginals = sums.sum(axis=-1)
    if level == "ordinal":
        # The distance of two labels is how many answers lie between their middles.
        middles = marginals.cumsum(axis=-1) - marginals / 2
        distances = (middles[..., :, None] - middles[..., None, :]) ** 2
    else:
        distances = np.broadcast_to(1 - np.eye(sums.shape[-1]), sums.shape)
    observed = (sums * distances).sum(axis=(-2, -1))
    expected = (marginals[..., :, None] * marginals[..., None, :] * distances).sum(axis=(-2, -1))
    return 1 - ratio((marginals.sum(axis=-1) - 1) * observed, expected)


def fleiss_sums(votes: Counts) -> Values:
    """Agreement within the review, one, and its votes, shape (reviews, 2 + classes)."""
    answers = votes.sum(axis=1)
    within = (votes * (votes - 1)).sum(axis=1) / (answers * (answers - 1))
    return np.column_stack([within, np.ones(len(votes)), votes]).astype(float)


def fleiss_kappa_of(sums: Values) -> Values:
    """Fleiss' kappa, reviews with unequal numbers of answers included.

    Source: Fleiss (1971), Measuring nominal scale agreement among many raters.

    Args:
        sums: Of `fleiss_sums`, shape (..., 2 + classes).
    """
    observed = ratio(sums[..., 0], sums[..., 1])
    shares = ratio(sums[..., 2:], sums[..., 2:].sum(axis=-1, keepdims=True))
    expected = (shares**2).sum(axis=-1)
    return ratio(observed - expected, 1 - expected)


def agreeing_pairs(votes: Counts) -> Values:
    """Ordered pairs of answers that agree on a label, and those in which the first names it: (reviews, classes, 2)."""
    others = votes.sum(axis=1, keepdims=True) - 1
    return np.stack([votes * (votes - 1), votes * others], axis=-1).astype(float)


def cohen_kappa_of(matrix: Values) -> Values:
    """Cohen's kappa of confusion matrices (..., classes, classes); NaN where both always gave the same one label."""
    total = matrix.sum(axis=(-2, -1))
    observed = ratio(np.trace(matrix, axis1=-2, axis2=-1), total)
    expected = ratio((matrix.sum(axis=-1) * matrix.sum(axis=-2)).sum(axis=-1), total**2)
    return ratio(observed - expected, 1 - expected)


def one_hot(ids: npt.NDArray[np.integer], classes: int) -> Counts:
    """Class ids as rows of zeros and one, MISSING as zeros, shape (reviews, classes)."""
    return (ids[:, None] == np.arange(classes)).astype(np.int64)


def confusions(sides: Counts) -> Values:
    """How often a vote of one side meets a vote of the other in a review, shape (reviews, classes, classes).

    Args:
        sides: Shape (reviews, 2 * classes): the votes of the one, then those of the other.
    """
    one, other = np.split(sides, 2, axis=1)
    return (one[:, :, None] * other[:, None, :]).astype(float)


def ratio(part: Values, whole: Values) -> Values:
    """Part by whole, NaN where the whole is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.abs(whole) < 1e-12, np.nan, part / whole)
