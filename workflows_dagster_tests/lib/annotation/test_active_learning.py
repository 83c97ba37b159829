"""Picks by hand: by disagreement, by uncertainty and by distance, within the seats of their strata."""

import math
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.annotation.active_learning import DISAGREES, DIVERSE, JUDGED, UNCERTAIN, judge, pick


def candidates(*judged: tuple[float | None, float | None, float | None], strata: str = "") -> pl.DataFrame:
    rows = pl.DataFrame(list(judged), schema=JUDGED, orient="row")
    ids = pl.Series("review_id", [f"r{place}" for place in range(len(judged))])
    return rows.with_columns(ids, stratum=pl.Series(list(strata or "s" * len(judged))))


def axes(*places: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Vectors along axes: equal places are alike, others have nothing in common."""
    return np.eye(8, dtype=np.float32)[list(places)]


def test_judge_by_hand() -> None:
    judged = judge(np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8], [0.0, 1.0, 0.0]]), np.array([0, 0, 1]))

    # Entropy of 1/2, 1/4, 1/4 is 1.5 bits, of at most log2(3); of 0.1, 0.1, 0.8 it is 0.9219.
    assert judged.rows() == [
        (0.5, pytest.approx(1.5 / math.log2(3), abs=1e-6), 0.0),
        (0.1, pytest.approx(0.921928 / math.log2(3), abs=1e-6), 0.7),
        (1.0, 0.0, 0.0),
    ]
    assert judged.schema == JUDGED


def test_reasons_take_turns() -> None:
    rows = candidates((0.1, 0.2, 0.8), (0.2, 0.3, 0.6), (0.4, 0.9, 0.0), (0.9, 0.1, 0.0))

    picked = pick(rows, axes(0, 1, 2, 3), axes(), {"s": 4}, 0.3)

    assert picked.rows() == [
        ("r0", DISAGREES, 0.8),
        ("r2", UNCERTAIN, 0.9),
        ("r1", DISAGREES, 0.6),
        ("r3", DIVERSE, 1.0),
    ]


def test_near_copy_of_a_chosen_row_is_passed_over() -> None:
    rows = candidates((0.1, 0.2, 0.8), (0.1, 0.2, 0.7), (0.2, 0.2, 0.6))

    # r0 is alike to what was drawn: 0.7 * 0.8 - 0.3 * 1 is less than 0.7 * 0.6.
    assert pick(rows, axes(0, 0, 1), axes(0), {"s": 1}, 0.3)["review_id"].to_list() == ["r2"]
    assert pick(rows, axes(0, 0, 1), axes(0), {"s": 1}, 0.0)["review_id"].to_list() == ["r0"]


def test_seats_of_a_stratum_are_kept() -> None:
    rows = candidates((0.1, 0.2, 0.9), (0.1, 0.2, 0.8), (0.9, 0.1, 0.0), strata="aab")

    picked = pick(rows, axes(0, 1, 2), axes(), {"a": 1, "b": 1}, 0.3)

    assert picked.select("review_id", "pick").rows() == [("r0", DISAGREES), ("r2", UNCERTAIN)]


def test_without_a_model_rows_are_picked_for_their_distance_and_wordless_ones_last() -> None:
    nothing = (None, None, None)
    vectors = np.vstack([np.zeros((1, 8), np.float32), axes(0, 0, 1)])

    picked = pick(candidates(*[nothing] * 4), vectors, axes(0), {"s": 4}, 0.3)

    assert picked["review_id"][0] == "r3"
    assert set(picked["pick"]) == {DIVERSE}
    assert picked["pick_score"].to_list() == [1, 0, 0, 0]


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=20), st.floats(0, 1), st.data())
def test_every_seat_is_filled_once(
    judged: list[tuple[float, float, float]], diversity: float, data: st.DataObject
) -> None:
    seats = data.draw(st.integers(0, len(judged)))
    vectors = axes(*[place % 8 for place in range(len(judged))])

    picked = pick(candidates(*judged), vectors, axes(3), {"s": seats}, diversity)

    assert picked.height == seats
    assert picked["review_id"].is_unique().all()


def test_distances_fall_when_nothing_but_distance_counts() -> None:
    vectors = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    picked = pick(candidates(*[(None, None, None)] * 40), vectors, axes(), {"s": 40}, 0.3)

    # Farthest first: each is at most as far from those before it as the one before was.
    assert all(first >= second for first, second in pairwise(picked["pick_score"].to_list()))
