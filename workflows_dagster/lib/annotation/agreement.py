"""How far people agree beyond chance, each figure with an interval over reviews.

Every measure here is a function of sums over reviews: of coincidences, of votes, of pairs. So one resampling serves
them all, and its cost grows with the number of different vote patterns, not with the number of reviews. The libraries
that know these measures (scikit-learn, statsmodels, crowd-kit) give point estimates, one call for each resample, and
statsmodels refuses reviews with unequal numbers of answers; the tests hold ours to theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from workflows_dagster.lib.errors import DataContractError
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.schema import LABELS

Counts = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Level = Literal["nominal", "ordinal"]
"""Whether two labels merely differ, or differ by how many answers lie between them (negative < neutral < positive)."""

MISSING: Final = -1


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


@dataclass(frozen=True)
class Ballot:
    """Who answered what, as numbers.

    Attributes:
        reviews: Ids, sorted; the rows of `answers`.
        annotators: Names, sorted; the columns of `answers`.
        answers: Class ids, MISSING where somebody did not answer; shape (reviews, annotators).
        labels: What could be answered, in its order; index = class id.
    """

    reviews: Sequence[str]
    annotators: Sequence[str]
    answers: npt.NDArray[np.int8]
    labels: Sequence[str] = LABELS

    @property
    def votes(self) -> Counts:
        """Answers by class, shape (reviews, classes)."""
        return np.stack([(self.answers == label).sum(axis=1) for label in range(len(self.labels))], axis=1)


@dataclass(frozen=True)
class Agreement:
    """Agreement between annotators; a figure is None where it is undefined, as without any review with two answers.

    Attributes:
        rows: Reviews with at least two answers; the others say nothing about agreement.
        pairs: Pairs of answers to one review.
        raw: Part of these pairs that name the same label.
        alpha: Krippendorff's alpha by level.
        fleiss_kappa: Fleiss' kappa.
        per_class: Specific agreement: how likely another answer names a label, given that one does.
        per_pair: Cohen's kappa of two annotators on the reviews that both answered, by `first & second`.
    """

    rows: int
    pairs: int
    raw: Estimate | None
    alpha: Mapping[Level, Estimate | None]
    fleiss_kappa: Estimate | None
    per_class: Mapping[str, Estimate | None]
    per_pair: Mapping[str, Estimate | None] = field(default_factory=dict[str, Estimate | None])


def ballot(responses: pl.DataFrame, labels: Sequence[str] = LABELS) -> Ballot:
    """The answers as a matrix, independent of the order of the rows.

    Args:
        responses: Columns review_id, annotator, label; one row an annotator and review.
        labels: What could be answered, in its order.

    Raises:
        DataContractError: Another label than these, or two answers of one annotator to one review.
    """
    strange = responses.filter(~pl.col("label").is_in(labels))
    repeated = responses.filter(pl.struct("review_id", "annotator").is_duplicated())
    for wrong, expected in ((strange, f"labels among {labels}"), (repeated, "one answer an annotator and review")):
        if not wrong.is_empty():
            raise DataContractError(
                "answers cannot be counted",
                given=wrong.select("review_id", "annotator", "label").head(3).rows(),
                expected=expected,
                remedy="refuse such answers where the desk reads them",
            )
    reviews = responses["review_id"].unique().sort()
    annotators = responses["annotator"].unique().sort()
    answers = np.full((reviews.len(), annotators.len()), MISSING, dtype=np.int8)
    row, column = reviews.search_sorted(responses["review_id"]), annotators.search_sorted(responses["annotator"])
    class_ids = {label: number for number, label in enumerate(labels)}
    answers[row.to_numpy(), column.to_numpy()] = [class_ids[label] for label in responses["label"]]
    return Ballot(reviews.to_list(), annotators.to_list(), answers, labels)


def measure(answers: Ballot, resampling: Resampling) -> Agreement:
    """All measures of agreement of a round."""
    votes = answers.votes
    votes = votes[votes.sum(axis=1) > 1]

    def estimate(statistics: Callable[[Counts], Values], value: Callable[[Values], Values]) -> Estimate | None:
        return resample(votes, statistics, value, resampling)

    per_review = votes.sum(axis=1)
    return Agreement(
        rows=len(votes),
        pairs=int((per_review * (per_review - 1)).sum() // 2),
        raw=estimate(agreeing_pairs, lambda sums: _ratio(sums[..., 0].sum(-1), sums[..., 1].sum(-1))),
        alpha={
            "nominal": estimate(coincidences, lambda sums: alpha_of(sums, "nominal")),
            "ordinal": estimate(coincidences, lambda sums: alpha_of(sums, "ordinal")),
        },
        fleiss_kappa=estimate(fleiss_sums, fleiss_kappa_of),
        per_class={
            label: estimate(agreeing_pairs, lambda sums, place=place: _ratio(sums[..., place, 0], sums[..., place, 1]))
            for place, label in enumerate(answers.labels)
        },
        per_pair=_per_pair(answers, resampling),
    )


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
        lambda sums: _ratio(sums[..., 1], sums.sum(axis=-1)),
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
    return 1 - _ratio((marginals.sum(axis=-1) - 1) * observed, expected)


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
    observed = _ratio(sums[..., 0], sums[..., 1])
    shares = _ratio(sums[..., 2:], sums[..., 2:].sum(axis=-1, keepdims=True))
    expected = (shares**2).sum(axis=-1)
    return _ratio(observed - expected, 1 - expected)


def agreeing_pairs(votes: Counts) -> Values:
    """Ordered pairs of answers that agree on a label, and those in which the first names it: (reviews, classes, 2)."""
    others = votes.sum(axis=1, keepdims=True) - 1
    return np.stack([votes * (votes - 1), votes * others], axis=-1).astype(float)


def cohen_kappa_of(matrix: Values) -> Values:
    """Cohen's kappa of confusion matrices (..., classes, classes); NaN where both always gave the same one label."""
    total = matrix.sum(axis=(-2, -1))
    observed = _ratio(np.trace(matrix, axis1=-2, axis2=-1), total)
    expected = _ratio((matrix.sum(axis=-1) * matrix.sum(axis=-2)).sum(axis=-1), total**2)
    return _ratio(observed - expected, 1 - expected)


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


def _per_pair(answers: Ballot, resampling: Resampling) -> dict[str, Estimate | None]:
    found: dict[str, Estimate | None] = {}
    for (place, name), (other_place, other) in combinations(enumerate(answers.annotators), 2):
        both = answers.answers[:, [place, other_place]]
        both = both[(both != MISSING).all(axis=1)]
        if len(both):
            units = np.hstack([one_hot(both[:, place], len(answers.labels)) for place in (0, 1)])
            found[f"{name} & {other}"] = resample(units, confusions, cohen_kappa_of, resampling)
    return found


def _ratio(part: Values, whole: Values) -> Values:
    """Part by whole, NaN where the whole is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.abs(whole) < 1e-12, np.nan, part / whole)
