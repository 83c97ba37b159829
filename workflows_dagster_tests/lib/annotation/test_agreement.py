"""Agreement against published worked examples, against other libraries, and what must hold of any answers.

Each annotator beside the others, and their pace, worked out by hand.
"""

import random
from collections.abc import Callable
from datetime import timedelta
from itertools import permutations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa

from workflows_dagster.lib.annotation.agreement import (
    Agreement,
    Annotator,
    Counts,
    Level,
    Resampling,
    Values,
    agreeing_pairs,
    alpha_of,
    ballot,
    cohen_kappa_of,
    coincidences,
    fleiss_kappa_of,
    fleiss_sums,
    measure,
    rate_annotators,
    resample,
    seconds_per_answer,
)
from workflows_dagster.lib.annotation.desk import UNFINISHED
from workflows_dagster.lib.errors import DataContractError
from workflows_dagster.lib.schema import LABELS
from workflows_dagster_tests.lib.annotation.made_up import START, responses

FEW = Resampling(resamples=200)

# Krippendorff (2011), section C: four observers, twelve units, "." where one did not answer.
FOUR_OBSERVERS = ("1233214 12...", "1233224 125.3", ".333234 2251.", "1233244 1251.")
# The same paper, section B: two observers, ten units.
TWO_OBSERVERS = ("0100000010", "1110010000")
# Fleiss (1971): 14 raters, ten subjects, five categories.
FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def votes_of(observers: tuple[str, ...], first: int, classes: int) -> Counts:
    """Answers by class of each unit with at least two answers."""
    rows = [row.replace(" ", "") for row in observers]
    units = [[int(row[place]) - first for row in rows if row[place] != "."] for place in range(len(rows[0]))]
    return np.array([np.bincount(unit, minlength=classes) for unit in units if len(unit) > 1])


def alpha_by_pairs(units: list[list[int]], level: Level, classes: int) -> float:
    """Alpha from its definition: mean distance of pairs within units over that of pairs of all answers."""
    units = [unit for unit in units if len(unit) > 1]
    answers = [answer for unit in units for answer in unit]
    frequency = [answers.count(label) for label in range(classes)]

    def distance(first: int, second: int) -> float:
        if level == "nominal":
            return float(first != second)
        low, high = min(first, second), max(first, second)
        return (sum(frequency[low : high + 1]) - (frequency[low] + frequency[high]) / 2) ** 2

    within = sum(distance(*pair) / (len(unit) - 1) for unit in units for pair in permutations(unit, 2)) / len(answers)
    among = sum(distance(*pair) for pair in permutations(answers, 2)) / (len(answers) * (len(answers) - 1))
    return 1 - within / among


@pytest.mark.parametrize(("level", "expected"), [("nominal", 0.743), ("ordinal", 0.815)])
def test_alpha_of_krippendorffs_worked_example(level: Level, expected: float) -> None:
    votes = votes_of(FOUR_OBSERVERS, 1, 5)
    sums = coincidences(votes).sum(axis=0)

    # His coincidence matrix: 40 answers in 11 units; the twelfth has one answer and does not count.
    assert sums.sum(axis=1) == pytest.approx([9, 13, 10, 5, 3])
    assert sums[0] == pytest.approx([7, 4 / 3, 1 / 3, 1 / 3, 0])
    assert sums[1] == pytest.approx([4 / 3, 10, 4 / 3, 1 / 3, 0])
    assert float(alpha_of(sums, level)) == pytest.approx(expected, abs=5e-4)


def test_alpha_of_krippendorffs_example_of_two_observers() -> None:
    votes = votes_of(TWO_OBSERVERS, 0, 2)
    assert float(alpha_of(coincidences(votes).sum(axis=0), "nominal")) == pytest.approx(0.095, abs=5e-4)


def test_fleiss_kappa_of_his_worked_example() -> None:
    votes = np.array(FLEISS)
    ours = float(fleiss_kappa_of(fleiss_sums(votes).sum(axis=0)))
    assert ours == pytest.approx(0.210, abs=5e-4)
    assert ours == pytest.approx(fleiss_kappa(votes))


def test_cohen_kappa_by_hand() -> None:
    # 50 grants, two readers: both yes 20, both no 15, yes/no 5, no/yes 10. Observed 0.7,
    # expected 25 * 30 + 25 * 20 of 2500.
    matrix = np.array([[20.0, 5, 0], [10, 15, 0], [0, 0, 0]])
    assert float(cohen_kappa_of(matrix)) == pytest.approx((0.7 - 0.5) / 0.5)


def test_measures_by_hand() -> None:
    # a: ppn (3 pairs, 1 agrees), b: uu (1 pair, agrees), c: p alone, d: pp (agrees): 3 of 5 pairs.
    found = measure(ballot(responses(a="ppn", b="uu.", c="p..", d=".pp")), FEW)

    assert (found.rows, found.pairs) == (3, 5)
    assert found.raw is not None
    assert (found.raw.value, found.raw.n) == (pytest.approx(3 / 5), 3)
    # Positive is named in a twice and in d twice: 2 + 2 of the 4 + 2 ordered pairs it begins agree.
    shares = {label: one.value for label, one in found.per_class.items() if one is not None}
    assert shares == pytest.approx({"negative": 0, "neutral": 1, "positive": 4 / 6})
    # 0 and 1 answered a (pp) and b (uu); 1 and 2 answered a (pn) and d (pp); 0 and 2 only a (pn).
    assert found.per_pair["annotator0 & annotator1"] is not None
    assert found.per_pair["annotator0 & annotator1"].value == 1
    assert found.per_pair["annotator1 & annotator2"] is not None
    assert found.per_pair["annotator1 & annotator2"].value == pytest.approx(0)
    assert found.per_pair["annotator0 & annotator2"] is not None
    assert found.per_pair["annotator0 & annotator2"].n == 1


@pytest.mark.parametrize("letters", [{}, {"a": "p", "b": "n"}, {"a": ".p", "b": "n."}])
def test_agreement_is_undefined_without_two_answers_to_a_review(letters: dict[str, str]) -> None:
    found = measure(ballot(responses(**letters)), FEW)

    assert (found.rows, found.pairs) == (0, 0)
    assert [found.raw, found.fleiss_kappa, *found.alpha.values(), *found.per_class.values()] == [None] * 7
    assert dict(found.per_pair) == {}


def test_agreement_beyond_chance_is_undefined_where_everybody_says_the_same() -> None:
    found = measure(ballot(responses(a="pp", b="pp")), FEW)

    assert found.raw is not None
    assert found.raw.value == 1
    assert (found.alpha["nominal"], found.alpha["ordinal"], found.fleiss_kappa) == (None, None, None)


def test_rounds_with_other_answers_are_measured_alike() -> None:
    verdicts = {"positive": "keep", "neutral": "fix", "negative": "reject"}
    reviews = responses(a="ppn", b="uu.", c="npn")
    renamed = reviews.with_columns(pl.col("label").replace(verdicts))

    before = measure(ballot(reviews), FEW)
    after = measure(ballot(renamed, ("reject", "fix", "keep")), FEW)

    assert after.alpha == before.alpha
    assert list(after.per_class) == ["reject", "fix", "keep"]
    assert list(after.per_class.values()) == list(before.per_class.values())


def test_label_of_nobody_is_refused() -> None:
    with pytest.raises(DataContractError, match=r"'mixed'.*labels among"):
        ballot(pl.DataFrame({"review_id": ["a"], "annotator": ["x"], "label": ["mixed"]}))


def test_second_answer_to_a_review_is_refused() -> None:
    twice = pl.DataFrame({"review_id": ["a"] * 2, "annotator": ["x"] * 2, "label": ["positive", "negative"]})
    with pytest.raises(DataContractError, match="one answer an annotator and review"):
        ballot(twice)


ROUNDS = st.lists(st.text("pnu.", min_size=4, max_size=4), min_size=1, max_size=12).map(
    lambda rows: responses(**{f"r{number:02}": letters for number, letters in enumerate(rows)})
)


@given(ROUNDS)
def test_alpha_is_that_of_its_definition(answers: pl.DataFrame) -> None:
    found = measure(ballot(answers), FEW)
    units = [[LABELS.index(label) for label in group["label"]] for _, group in answers.group_by("review_id")]
    for level in ("nominal", "ordinal"):
        named = {label for unit in units if len(unit) > 1 for label in unit}
        one = found.alpha[level]
        if len(named) < 2:
            assert one is None
        else:
            assert one is not None
            assert one.value == pytest.approx(alpha_by_pairs(units, level, len(LABELS)))


@given(ROUNDS)
def test_cohen_kappa_is_that_of_scikit_learn(answers: pl.DataFrame) -> None:
    found = measure(ballot(answers), FEW)
    wide = answers.pivot("annotator", index="review_id", values="label")
    for names, one in found.per_pair.items():
        first, second = names.split(" & ")
        both = wide.select(first, second).drop_nulls()
        if one is None:
            assert both[first].n_unique() == 1
            assert both[first].equals(both[second])
        else:
            expected = cohen_kappa_score(both[first].to_list(), both[second].to_list(), labels=list(LABELS))
            assert one.value == pytest.approx(expected)
            assert one.n == both.height


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=20))
def test_fleiss_kappa_is_that_of_statsmodels(answers: list[tuple[int, int, int]]) -> None:
    votes = np.array([np.bincount(row, minlength=3) for row in answers])
    ours = float(fleiss_kappa_of(fleiss_sums(votes).sum(axis=0)))
    if (votes.sum(axis=0) > 0).sum() < 2:
        assert np.isnan(ours)
    else:
        assert ours == pytest.approx(fleiss_kappa(votes))


@given(st.lists(st.sampled_from(["ppp", "nnn", "uuu", "p.p", ".nn"]), min_size=2, max_size=20))
def test_everything_is_1_where_everybody_agrees(rows: list[str]) -> None:
    found = measure(ballot(responses(**{f"r{number:02}": letters for number, letters in enumerate(rows)})), FEW)
    if len({letters.replace(".", "")[0] for letters in rows}) > 1:
        given_ = [found.raw, found.fleiss_kappa, *found.alpha.values()]
        assert [(one.value, one.low, one.high) for one in given_ if one] == [(pytest.approx(1),) * 3] * 4


@given(ROUNDS, st.randoms(use_true_random=False))
def test_names_and_order_of_answers_do_not_matter(answers: pl.DataFrame, chance: random.Random) -> None:
    people = [f"annotator{place}" for place in range(4)]
    renamed = dict(zip(people, chance.sample(["zoe", "Ann", "bob", "42"], 4), strict=True))
    order = chance.sample(range(answers.height), answers.height)
    shuffled = answers[order].with_columns(pl.col("annotator").replace(renamed))

    before, after = measure(ballot(answers), FEW), measure(ballot(shuffled), FEW)

    assert _without_names(before) == _without_names(after)
    expected = {frozenset(renamed[name] for name in pair.split(" & ")): one for pair, one in before.per_pair.items()}
    found = {frozenset(pair.split(" & ")): one for pair, one in after.per_pair.items()}
    assert {pair: one and one.value for pair, one in found.items()} == pytest.approx(
        {pair: one and one.value for pair, one in expected.items()}
    )


def _without_names(found: Agreement) -> list[object]:
    return [found.rows, found.pairs, found.raw, found.alpha, found.fleiss_kappa, found.per_class]


def mediocre_raters(reviews: int, seed: int) -> Counts:
    """Votes of three people who are right in three of four."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, size=reviews, p=[0.3, 0.2, 0.5])
    answers = np.where(rng.random((3, reviews)) < 0.75, truth, rng.integers(0, 3, (3, reviews)))
    return np.stack([(answers == label).sum(axis=0) for label in range(3)], axis=1)


@pytest.mark.parametrize(
    ("statistics", "value"),
    [
        (coincidences, lambda sums: alpha_of(sums, "ordinal")),
        (fleiss_sums, fleiss_kappa_of),
        (agreeing_pairs, lambda sums: sums[..., 1, 0] / sums[..., 1, 1]),
    ],
    ids=["alpha", "fleiss", "neutral"],
)
def test_interval_is_that_of_a_bootstrap_over_reviews(
    statistics: Callable[[Counts], Values], value: Callable[[Values], Values]
) -> None:
    votes = mediocre_raters(150, 3)
    found = resample(votes, statistics, value, Resampling(resamples=4000))
    assert found is not None

    rng = np.random.default_rng(8)
    draws = [value(statistics(votes[rng.integers(0, 150, 150)]).sum(axis=0)) for _ in range(4000)]

    # Two bootstraps of 4,000 draws differ by little: their own errors are about 0.003.
    assert [found.low, found.high] == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.015)
    assert found.low < found.value < found.high
    assert found.n == 150


def test_alpha_is_that_of_crowd_kit_on_complete_answers() -> None:
    from crowdkit.metrics.data import alpha_krippendorff

    answers = [(f"r{row}", f"a{person}", int(label)) for row, label, person in _answers(mediocre_raters(40, 5))]
    theirs = alpha_krippendorff(pd.DataFrame(answers, columns=["task", "worker", "label"]))
    ours = float(alpha_of(coincidences(mediocre_raters(40, 5)).sum(axis=0), "nominal"))

    assert ours == pytest.approx(theirs)


def _answers(votes: Counts) -> list[tuple[int, int, int]]:
    return [
        (row, label, person)
        for row, counts in enumerate(votes)
        for person, label in enumerate(np.repeat(np.arange(3), counts).tolist())
    ]


def rated(rows: list[str], unfinished: pl.DataFrame | None = None) -> dict[str, Annotator]:
    """Annotators by the number of their letter in each row, and those who finished nothing by name."""
    table = responses(**{f"r{number:02}": letters for number, letters in enumerate(rows)})
    left = UNFINISHED.to_frame() if unfinished is None else unfinished
    found = rate_annotators(ballot(table), table, left, FEW)
    return {one.name.removeprefix("annotator"): one for one in found}


def test_accuracy_is_against_the_majority_of_the_others() -> None:
    # 2 against 0 and 1: right in 0 and 1, wrong in 2; in 3 they are split, in 4 they say nothing.
    found = rated(["ppp", "nnn", "uup", "pnu", "..n"])["2"]

    assert found.answers == 5
    assert found.accuracy is not None
    assert (found.accuracy.value, found.accuracy.n) == (pytest.approx(2 / 3), 3)
    assert dict(found.confused) == {"neutral->positive": 1}


def test_the_only_other_is_the_majority() -> None:
    found = rated(["pp.", "pn.", "nn."])["1"]

    assert found.accuracy is not None
    assert found.accuracy.value == pytest.approx(2 / 3)
    # Cohen: observed 2/3, expected (2/3 * 1/3) + (1/3 * 2/3) = 4/9; (6 - 4) / (9 - 4).
    assert found.kappa is not None
    assert found.kappa.value == pytest.approx(2 / 5)


def test_annotator_without_others_has_no_accuracy() -> None:
    found = rated(["p..", "n.."])["0"]
    assert (found.answers, found.accuracy, found.kappa, dict(found.confused)) == (2, None, None, {})


def test_confusions_are_counted_most_frequent_first() -> None:
    found = rated(["ppn", "ppn", "nnp", "uuu"])["2"]
    assert list(found.confused.items()) == [("positive->negative", 2), ("negative->positive", 1)]


def test_discards_and_drafts_are_counted_also_of_those_who_answered_nothing() -> None:
    left = pl.DataFrame(
        [("r00", "annotator0", "discarded"), ("r01", "annotator0", "discarded"), ("r00", "dan", "draft")],
        schema=UNFINISHED,
        orient="row",
    )
    found = rated(["pp."], left)

    assert (found["0"].discarded, found["0"].drafts, found["0"].answers) == (2, 0, 1)
    assert (found["dan"].discarded, found["dan"].drafts, found["dan"].answers) == (0, 1, 0)
    assert (found["dan"].accuracy, found["dan"].kappa) == (None, None)


def timed(*seconds: float) -> pl.DataFrame:
    return pl.DataFrame({"annotator": "a", "submitted_at": [START + timedelta(seconds=s) for s in seconds]})


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        # Gaps 10, 20, 10, 3600 (lunch), 30: the median is 20.
        ((0, 10, 30, 40, 3640, 3670), {"a": 20.0}),
        ((3670, 0, 40, 10, 3640, 30), {"a": 20.0}),
        # Four gaps are too few to speak of a pace.
        ((0, 10, 20, 30, 40), {}),
        # One saved file, one time.
        ((5,) * 50, {}),
        # Two saved files: 49 of 50 gaps are none.
        ((*(5,) * 25, *(9,) * 25), {}),
    ],
)
def test_pace_is_the_median_gap_where_answers_have_times(
    seconds: tuple[float, ...], expected: dict[str, float]
) -> None:
    assert seconds_per_answer(timed(*seconds)) == expected
