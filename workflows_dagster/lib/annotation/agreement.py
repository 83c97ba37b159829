"""How far people agree beyond chance, each figure with an interval over reviews."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from workflows_dagster.lib.annotation.measures import (
    Counts,
    Level,
    Resampling,
    Values,
    agreeing_pairs,
    alpha_of,
    cohen_kappa_of,
    coincidences,
    confusions,
    fleiss_kappa_of,
    fleiss_sums,
    one_hot,
    ratio,
    resample,
)
from workflows_dagster.lib.errors import DataContractError
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.schema import LABELS

MISSING: Final = -1


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
