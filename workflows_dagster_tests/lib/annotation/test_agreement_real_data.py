"""Agreement and consensus on 3,708 sentences that 20 people rated from -4 to 4 (Hutto and Gilbert 2014).

A rating from 0.5 on is positive, one to -0.5 negative. Two limits of the data: nothing says that one place in the list
of ratings is one person throughout, so what a model learns of a place is not what it would learn of a person; and the
last two places follow the mean far closer than any other (correlation with the mean of the rest 0.94 and 0.97, against
0.88 to 0.91), so raters are drawn from the first 18 alone.
"""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from workflows_dagster.lib.annotation.agreement import (
    Ballot,
    Level,
    Resampling,
    Values,
    alpha_of,
    coincidences,
    measure,
    resample,
)
from workflows_dagster.lib.annotation.consensus import consensus
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.schema import LABELS

pytestmark = pytest.mark.real_data

PERSONS = 18
Ratings = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def published(real_data: Path) -> list[tuple[str, float, float, list[int]]]:
    """Id, mean, standard deviation and ratings of each sentence."""
    path = real_data / "vader_amazon_raters" / "amazonReviewSnippets_anonDataRatings.txt"
    lines = path.read_text("utf-8-sig").splitlines()
    return [
        (cells[0], float(cells[1]), float(cells[2]), json.loads(cells[3]))
        for cells in (line.split("\t") for line in lines)
    ]


@pytest.fixture(scope="module")
def ratings(published: list[tuple[str, float, float, list[int]]]) -> Ratings:
    """Shape (sentences, 20)."""
    return np.array([row[3] for row in published])


def classes(values: npt.NDArray[np.floating] | Ratings) -> npt.NDArray[np.int8]:
    """Class ids of ratings or of means, cut at 0.5 on both sides."""
    return (1 + (values >= 0.5).astype(np.int8) - (values <= -0.5).astype(np.int8)).astype(np.int8)


def alpha_by_counting(answers: Ratings, distance: Callable[[int, int], float]) -> float:
    """Alpha of complete answers from its definition, pair by pair: nothing is shared with the module under test."""
    values, frequency = np.unique(answers, return_counts=True)
    people = answers.shape[1]
    within = 0.0
    for unit in answers.tolist():
        for place, first in enumerate(unit):
            within += sum(2 * distance(first, second) for second in unit[place + 1 :])
    within /= answers.size * (people - 1)
    among = sum(
        distance(int(first), int(second)) * int(m) * int(n)
        for first, m in zip(values, frequency, strict=True)
        for second, n in zip(values, frequency, strict=True)
    )
    return 1 - within / (among / (answers.size * (answers.size - 1)))


def ordinal_distance(answers: Ratings) -> Callable[[int, int], float]:
    values, frequency = np.unique(answers, return_counts=True)
    counts = dict(zip(values.tolist(), frequency.tolist(), strict=True))
    table = {
        (low, high): float(
            (sum(n for value, n in counts.items() if low <= value <= high) - (counts[low] + counts[high]) / 2) ** 2
        )
        for low in counts
        for high in counts
        if low <= high
    }
    return lambda first, second: table[min(first, second), max(first, second)] if first != second else 0.0


def interval_alpha(votes: npt.NDArray[np.int64]) -> float:
    """Alpha with squared differences of the ratings, from the coincidences of the module."""
    sums = coincidences(votes).sum(axis=0)
    scale = np.arange(votes.shape[1])
    distances = np.subtract.outer(scale, scale) ** 2
    marginals = sums.sum(axis=0)
    expected = (np.outer(marginals, marginals) * distances).sum() / (marginals.sum() - 1)
    return float(1 - (sums * distances).sum() / expected)


def test_published_means_are_those_of_the_raw_ratings(
    published: list[tuple[str, float, float, list[int]]], ratings: Ratings
) -> None:
    means, deviations = (np.array([row[place] for row in published]) for place in (1, 2))

    assert ratings.shape == (3708, 20)
    assert np.abs(ratings.mean(axis=1) - means).max() == 0
    # Printed to five places.
    assert np.abs(ratings.std(axis=1) - deviations).max() <= 5e-6


def test_last_two_places_are_no_raters_like_the_others(ratings: Ratings) -> None:
    others = (ratings.sum(axis=1, keepdims=True) - ratings) / 19
    follows = [float(np.corrcoef(ratings[:, place], others[:, place])[0, 1]) for place in range(20)]

    assert 0.87 < min(follows[:PERSONS]) < max(follows[:PERSONS]) < 0.92
    assert follows[18] > 0.93
    assert follows[19] > 0.96


@pytest.mark.slow
def test_alpha_of_nine_levels_equals_counting_pair_by_pair(ratings: Ratings) -> None:
    votes = np.stack([(ratings == level).sum(axis=1) for level in range(-4, 5)], axis=1)
    ordinal = float(alpha_of(coincidences(votes).sum(axis=0), "ordinal"))

    assert ordinal == pytest.approx(alpha_by_counting(ratings, ordinal_distance(ratings)), abs=1e-12)
    assert interval_alpha(votes) == pytest.approx(
        alpha_by_counting(ratings, lambda first, second: (first - second) ** 2), abs=1e-12
    )
    assert (ordinal, interval_alpha(votes)) == (pytest.approx(0.829, abs=5e-4), pytest.approx(0.820, abs=5e-4))


@pytest.mark.parametrize(("level", "expected"), [("nominal", 0.691), ("ordinal", 0.801)])
def test_alpha_of_three_classes_equals_counting(ratings: Ratings, level: Level, expected: float) -> None:
    answers = classes(ratings).astype(np.int64)
    votes = np.stack([(answers == label).sum(axis=1) for label in range(3)], axis=1)
    found = resample(votes, coincidences, lambda sums: alpha_of(sums, level), Resampling(resamples=500))
    distance = ordinal_distance(answers) if level == "ordinal" else lambda first, second: float(first != second)

    assert found is not None
    assert found.value == pytest.approx(alpha_by_counting(answers, distance), abs=1e-9)
    assert found.value == pytest.approx(expected, abs=5e-4)
    assert found.high - found.low < 0.04


def test_real_pilot_of_a_hundred_passes_the_gate_and_careless_answers_do_not(ratings: Ratings) -> None:
    rng = np.random.default_rng(11)
    passed = {"trained": 0, "a fifth at random": 0, "all at random": 0}
    for _ in range(40):
        rows, people = rng.choice(len(ratings), 100, replace=False), rng.choice(PERSONS, 3, replace=False)
        answers = classes(ratings[np.ix_(rows, people)])
        for name, share in zip(passed, (0, 0.2, 1), strict=True):
            careless = np.where(rng.random(answers.shape) < share, rng.integers(0, 3, answers.shape), answers)
            sentences = [str(row) for row in range(100)]
            found = measure(Ballot(sentences, ["a", "b", "c"], careless.astype(np.int8)), Resampling(resamples=300))
            alpha = found.alpha["ordinal"]
            passed[name] += alpha is not None and alpha.low >= 0.5

    assert passed["trained"] >= 38
    assert passed["a fifth at random"] <= 8
    assert passed["all at random"] == 0


def as_responses(answers: npt.NDArray[np.int8]) -> pl.DataFrame:
    sentences, people = np.indices(answers.shape)
    return pl.DataFrame(
        {
            "review_id": [f"s{number:04}" for number in sentences.ravel()],
            "annotator": [f"a{number}" for number in people.ravel()],
            "label": np.array(LABELS)[answers.ravel()].tolist(),
        }
    )


def gain(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> Estimate:
    """Mean of what one is right more than the other, in percent points of sentences, with a paired interval."""
    points = np.rint((first - second) * 600).astype(np.int64)
    found = resample(
        points[:, None],
        lambda units: np.hstack([units, np.ones_like(units)]).astype(float),
        lambda sums: sums[..., 0] / sums[..., 1] / 6,
        Resampling(),
    )
    assert found is not None
    return found


def hits(ratings: Ratings, k: int, draws: int = 5) -> dict[str, Values]:
    """How often each way of labelling names the class of the mean of the raters left out, by sentence, over draws.

    A tied majority counts as a guess among the tied labels. The single rater is the mean over the k that were drawn.
    """
    rng = np.random.default_rng(7)
    right: dict[str, list[Values]] = {"single": [], "majority": [], "dawid-skene": [], "decided": []}
    for _ in range(draws):
        drawn = rng.choice(PERSONS, k, replace=False)
        truth = classes(np.delete(ratings[:, :PERSONS], drawn, axis=1).mean(axis=1))
        answers = classes(ratings[:, drawn])
        table = consensus(as_responses(answers), "majority", 0.9)
        truth_labels = pl.Series(np.array(LABELS)[truth].tolist())
        votes = np.stack([(answers == label).sum(axis=1) for label in range(3)], axis=1)
        top = votes == votes.max(axis=1, keepdims=True)
        right["single"].append((answers == truth[:, None]).mean(axis=1))
        right["majority"].append((top / top.sum(axis=1, keepdims=True))[np.arange(len(truth)), truth])
        right["dawid-skene"].append((table["dawid_skene"] == truth_labels).to_numpy().astype(float))
        decided = (table["majority"] == truth_labels).cast(pl.Float64).to_numpy()
        right["decided"].append(decided)
    return {name: np.nanmean(np.stack(values), axis=0) for name, values in right.items() if name != "decided"} | {
        "decided": np.concatenate(right["decided"])
    }


@pytest.mark.parametrize(
    ("k", "single", "majority", "model", "decided"),
    [(3, 0.841, 0.881, 0.887, 0.893), (5, 0.839, 0.893, 0.900, 0.910)],
)
def test_consensus_beats_a_single_rater_against_the_mean_of_the_others(
    ratings: Ratings, k: int, single: float, majority: float, model: float, decided: float
) -> None:
    right = hits(ratings, k)

    found = {name: float(np.nanmean(hit)) for name, hit in right.items()}
    # Where the majority decides, it is righter still.
    expected = {"single": single, "majority": majority, "dawid-skene": model, "decided": decided}
    assert found == pytest.approx(expected, abs=2e-3)
    assert np.isnan(right["decided"]).mean() < 0.04
    # At least three and a half of a hundred sentences, by the lower bound: 4.0 [3.8, 4.3] for k = 3 and the majority.
    for method in ("majority", "dawid-skene"):
        assert gain(right[method], right["single"]).low > 3.5


def test_more_raters_make_a_better_consensus(ratings: Ratings) -> None:
    accuracies = [float(hits(ratings, k, draws=3)["majority"].mean()) for k in (1, 3, 5)]
    assert all(before < after for before, after in pairwise(accuracies))


@pytest.mark.slow
def test_model_is_too_sure_of_ties(ratings: Ratings) -> None:
    """Why a tie stays open by default: on reviews that are hard for everybody, a posterior of 0.9 is not worth 0.9."""
    rng = np.random.default_rng(3)
    sure = right = 0
    for _ in range(30):
        rows, people = rng.choice(len(ratings), 100, replace=False), rng.choice(PERSONS, 3, replace=False)
        rest = np.delete(ratings[rows][:, :PERSONS], people, axis=1).mean(axis=1)
        table = consensus(as_responses(classes(ratings[np.ix_(rows, people)])), "majority", 0.9)
        truth = pl.Series(np.array(LABELS)[classes(rest)].tolist())
        settled = table["majority"].is_null() & (table["posterior"] >= 0.9)
        sure += settled.to_list().count(True)
        right += (settled & (table["dawid_skene"] == truth)).to_list().count(True)
    assert sure > 10
    assert right / sure < 0.7
