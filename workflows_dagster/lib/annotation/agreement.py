"""How far people agree beyond chance, and each annotator with the others; every figure with an interval over reviews.

The libraries that know these measures (scikit-learn, statsmodels, crowd-kit) give point estimates, one call for each
resample, and statsmodels refuses reviews with unequal numbers of answers; the tests compare ours with theirs. Here each
measure is a function of sums over reviews, so that the cost of an interval grows with the number of different vote
patterns, not with the number of reviews.
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
_MINIMUM_GAPS: Final = 5
_MINIMUM_DISTINCT_RATIO: Final = 0.9


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
        raw=estimate(agreeing_pairs, lambda sums: ratio(sums[..., 0].sum(-1), sums[..., 1].sum(-1))),
        alpha={
            "nominal": estimate(coincidences, lambda sums: alpha_of(sums, "nominal")),
            "ordinal": estimate(coincidences, lambda sums: alpha_of(sums, "ordinal")),
        },
        fleiss_kappa=estimate(fleiss_sums, fleiss_kappa_of),
        per_class={
            label: estimate(agreeing_pairs, lambda sums, place=place: ratio(sums[..., place, 0], sums[..., place, 1]))
            for place, label in enumerate(answers.labels)
        },
        per_pair=_per_pair(answers, resampling),
    )


def _per_pair(answers: Ballot, resampling: Resampling) -> dict[str, Estimate | None]:
    found: dict[str, Estimate | None] = {}
    for (place, name), (other_place, other) in combinations(enumerate(answers.annotators), 2):
        both = answers.answers[:, [place, other_place]]
        both = both[(both != MISSING).all(axis=1)]
        if len(both):
            units = np.hstack([one_hot(both[:, place], len(answers.labels)) for place in (0, 1)])
            found[f"{name} & {other}"] = resample(units, confusions, cohen_kappa_of, resampling)
    return found


@dataclass(frozen=True)
class Annotator:
    """One annotator's work in a round.

    Attributes:
        name: Who.
        answers: Valid answers.
        discarded: Reviews they would not judge.
        drafts: Answers they saved and did not submit.
        accuracy: Part of their answers that are the majority of the others', where the others have one.
        kappa: Cohen's kappa with the answers of the others, each other counting alike.
        confused: Answers by `others->theirs` where they differ from the others' majority, most frequent first.
        seconds_per_answer: Median time between two answers; None where the desk does not know when each was given.
    """

    name: str
    answers: int
    discarded: int
    drafts: int
    accuracy: Estimate | None
    kappa: Estimate | None
    confused: Mapping[str, int]
    seconds_per_answer: float | None


def rate_annotators(
    answers: Ballot, responses: pl.DataFrame, unfinished: pl.DataFrame, resampling: Resampling
) -> list[Annotator]:
    """Every annotator who answered, discarded or drafted anything, by name.

    Args:
        answers: The valid answers.
        responses: The same as a table: annotator and submitted_at.
        unfinished: Columns annotator and status (discarded or draft).
        resampling: How intervals are made.
    """
    votes = answers.votes
    speeds = seconds_per_answer(responses)
    left: dict[tuple[str, str], int] = {
        (name, status): count for name, status, count in unfinished.group_by("annotator", "status").len().iter_rows()
    }
    rated: list[Annotator] = []
    for name in sorted({*answers.annotators, *unfinished["annotator"]}):
        given = np.full(len(answers.reviews), MISSING, dtype=np.int8)
        if name in answers.annotators:
            given = answers.answers[:, answers.annotators.index(name)]
        answered = given != MISSING
        own = one_hot(given[answered], len(answers.labels))
        others = votes[answered] - own
        majority = _majority(others)
        paired = others.any(axis=1)
        rated.append(
            Annotator(
                name=name,
                answers=int(answered.sum()),
                discarded=left.get((name, "discarded"), 0),
                drafts=left.get((name, "draft"), 0),
                accuracy=share((majority * own).sum(axis=1)[majority.any(axis=1)], resampling),
                kappa=resample(np.hstack([own, others])[paired], confusions, cohen_kappa_of, resampling),
                confused=_differences(majority.T @ own, answers.labels),
                seconds_per_answer=speeds.get(name),
            )
        )
    return rated


def seconds_per_answer(responses: pl.DataFrame) -> dict[str, float]:
    """Median seconds between consecutive answers of each annotator whose answers have times of their own.

    Pauses hardly move the median: it takes half of all gaps for that. Answers that come from one saved file share a
    time, which says nothing about speed: an annotator with mostly such answers is left out.

    Args:
        responses: Columns annotator and submitted_at.
    """
    gaps = responses.sort("annotator", "submitted_at").group_by("annotator", maintain_order=True)
    table = gaps.agg(
        distinct=pl.col("submitted_at").n_unique() / pl.len(),
        gaps=pl.col("submitted_at").diff().drop_nulls().len(),
        median=pl.col("submitted_at").diff().dt.total_microseconds().median() / 1e6,
    )
    timed = table.filter(pl.col("distinct") >= _MINIMUM_DISTINCT_RATIO, pl.col("gaps") >= _MINIMUM_GAPS)
    return dict(timed.select("annotator", pl.col("median").round(3)).iter_rows())


def _majority(votes: Counts) -> Counts:
    """The majority as rows of zeros and one, shape (reviews, classes); zeros where there is none."""
    most = votes == votes.max(axis=1, keepdims=True)
    decided = (most.sum(axis=1, keepdims=True) == 1) & (votes.sum(axis=1, keepdims=True) > 0)
    return (most & decided).astype(np.int64)


def _differences(matrix: Counts, labels: Sequence[str]) -> dict[str, int]:
    """The cells off the diagonal of `[others' majority, own]` that are not 0, the largest first."""
    cells = {
        f"{labels[truth]}->{labels[given]}": int(matrix[truth, given])
        for truth in range(len(labels))
        for given in range(len(labels))
        if truth != given and matrix[truth, given]
    }
    return dict(sorted(cells.items(), key=lambda cell: (-cell[1], cell[0])))


def resample(
    units: Counts, statistics: Callable[[Counts], Values], value: Callable[[Values], Values], resampling: Resampling
) -> Estimate | None:
    """A function of sums over reviews, with its percentile bootstrap interval; None where it is undefined.

    Reviews with equal rows are interchangeable, so drawing n reviews is one multinomial draw over the different rows.
    Resamples for which the value is undefined (as when all answers name one label) do not count.

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    Args:
        units: One row of numbers for each review, shape (reviews, any).
        statistics: Maps these rows to the terms of the sums, shape (reviews, ...).
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
    bounds = np.quantile(defined, [tail, 1 - tail])
    # Rounded, so that noise of the last bits makes no other data version.
    point, low, high = (round(float(number), 10) for number in (values[0], *bounds))
    return Estimate(point, low, high, len(units), resampling.confidence)


def share(hits: npt.NDArray[np.integer], resampling: Resampling, weights: Values | None = None) -> Estimate | None:
    """The part of the reviews that are a hit; None without any.

    Args:
        hits: 0 or 1 by review.
        resampling: Number and seed of the draws.
        weights: How many reviews each stands for, counted in thousandths; 1 each if not given.
    """
    counted = np.ones(len(hits)) if weights is None else weights
    return resample(
        np.stack([hits.astype(np.int64), np.rint(counted * 1000).astype(np.int64)], axis=1),
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
