"""Candidate pairs and the choice of the best copies."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.cleaning.near_duplicates import NEIGHBOURS, candidate_pairs, keep_best


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
    near = keep_best(frame, pl.DataFrame({"row": ranks}, schema={"row": pl.UInt32}))

    found = zip(near.kept_row.tolist(), near.similarity.tolist(), strict=True)
    assert dict(zip(near.row.tolist(), found, strict=True)) == dropped
