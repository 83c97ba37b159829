"""Near duplicates, step by step: shingles, bands, candidate pairs, similarities, and the choice of the best copies."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.cleaning.near_duplicates import (
    NEIGHBOURS,
    band_layout,
    candidate_pairs,
    keep_best,
    shingle_hashes,
    signatures,
    similarities,
)


def shingles(key: str) -> set[str]:
    padded = f"    {key}    "
    return {padded[start : start + 5] for start in range(len(padded) - 4)}


KEYS = st.lists(
    st.text(st.sampled_from("ab \N{HIRAGANA LETTER A}\N{GRINNING FACE}"), max_size=12), min_size=1, max_size=8
)


@given(left=KEYS, right=KEYS)
def test_similarities_are_those_of_the_sets(left: list[str], right: list[str]) -> None:
    pairs = list(zip(left, right, strict=False))
    ours, theirs = (pl.Series(side, dtype=pl.String) for side in zip(*pairs, strict=True))

    expected = [len(shingles(a) & shingles(b)) / len(shingles(a) | shingles(b)) for a, b in pairs]
    assert similarities(ours, theirs).tolist() == pytest.approx(expected)


@given(keys=KEYS)
def test_shingle_hashes_do_not_depend_on_the_other_keys(keys: list[str]) -> None:
    together, counts = shingle_hashes(pl.Series(keys, dtype=pl.String))

    assert counts.tolist() == [len(key) + 4 for key in keys]
    alone = [shingle_hashes(pl.Series([key], dtype=pl.String))[0].tolist() for key in keys]
    assert together.tolist() == [number for numbers in alone for number in numbers]


def test_signatures_agree_about_as_often_as_the_sets() -> None:
    left = " ".join(f"word{number}" for number in range(100))
    right = " ".join(f"word{number}" for number in range(20, 120))
    true = len(shingles(left) & shingles(right)) / len(shingles(left) | shingles(right))

    ours, theirs = signatures(pl.Series([left, right]), 512, 1)

    # Standard error of a share of 512 is at most 0.022.
    assert (ours == theirs).mean() == pytest.approx(true, abs=0.08)


@pytest.mark.parametrize(
    ("similarity", "layout"),
    [
        (0.8, (21, 6)),  # 1 - (1 - 0.8**6)**21 = 0.998; 7 rows: 1 - (1 - 0.8**7)**18 = 0.986
        (1.0, (1, 128)),
        (0.5, (42, 3)),  # 1 - (1 - 0.125)**42 = 0.996; 4 rows: 1 - (1 - 0.0625)**32 = 0.873
    ],
)
def test_band_layout_finds_pairs_with_the_recall_asked_for(similarity: float, layout: tuple[int, int]) -> None:
    assert band_layout(similarity, 128, 0.99) == layout


def candidates(hashes: list[int], rows: list[int], quality: list[int]) -> set[tuple[int, int]]:
    left, right = candidate_pairs(np.array(hashes, np.uint64), np.array(rows, np.uint32), np.array(quality, np.uint32))
    return set(zip(left.tolist(), right.tolist(), strict=True))


def test_candidate_pairs_are_rows_that_share_a_hash() -> None:
    assert candidates([9, 4, 9, 4, 7], [3, 1, 2, 8, 5], [0] * 5) == {(2, 3), (1, 8)}
    assert candidates([], [], []) == set()


def test_candidate_pairs_of_large_group_grow_linearly_and_all_meet_the_best() -> None:
    size, best = 500, 321

    pairs = candidates([1] * size, list(range(size)), [int(row == best) for row in range(size)])

    assert len(pairs) <= size * (NEIGHBOURS + 1)
    assert {row for pair in pairs if best in pair for row in pair} == set(range(size))


PAIRS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda pair: pair[0] < pair[1]), max_size=30, unique=True
)


@given(pairs=PAIRS, data=st.data())
def test_keep_best_equals_going_from_best_to_worst(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    ranks = data.draw(st.permutations(sorted({row for pair in pairs for row in pair})))
    similarity = {frozenset(pair): data.draw(st.sampled_from([0.8, 0.9, 1.0])) for pair in pairs}

    kept: list[int] = []
    dropped: dict[int, tuple[int, float]] = {}
    for row in ranks:
        partners = [other for other in kept if frozenset((row, other)) in similarity]
        if not partners:
            kept.append(row)
            continue
        best = min(partners, key=lambda other: (-similarity[frozenset((row, other))], ranks.index(other)))
        dropped[row] = (best, similarity[frozenset((row, best))])

    frame = pl.DataFrame(
        {
            "left": [a for a, _ in pairs],
            "right": [b for _, b in pairs],
            "similarity": [similarity[frozenset(pair)] for pair in pairs],
        },
        schema={"left": pl.UInt32, "right": pl.UInt32, "similarity": pl.Float64},
    )
    labels = {row: data.draw(st.sampled_from([None, "negative", "positive"])) for row in ranks}
    ordered = {"row": ranks, "label": [labels[row] for row in ranks]}
    near = keep_best(frame, pl.DataFrame(ordered, schema={"row": pl.UInt32, "label": pl.String}))

    found = zip(near.kept_row.tolist(), near.similarity.tolist(), strict=True)
    assert dict(zip(near.row.tolist(), found, strict=True)) == dropped
    pairs_of_labels = [{labels[row], labels[kept_row]} for row, (kept_row, _) in dropped.items()]
    assert near.relabelled == pairs_of_labels.count({"negative", "positive"})
