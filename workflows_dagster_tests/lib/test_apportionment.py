"""Largest remainder, worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.apportionment import apportion


@pytest.mark.parametrize(
    ("weights", "seats", "expected"),
    [
        # 47 %, 16 %, 15.8 %, 12 %, 6.1 %, 3.1 % of 10 seats: the example of Hamilton's method in textbooks.
        (
            {"a": 47000, "b": 16000, "c": 15800, "d": 12000, "e": 6100, "f": 3100},
            10,
            {"a": 5, "b": 2, "c": 1, "d": 1, "e": 1, "f": 0},
        ),
        ({"a": 1, "b": 1}, 3, {"a": 2, "b": 1}),
        ({"a": 0, "b": 0}, 3, {"a": 0, "b": 0}),
        ({}, 3, {}),
    ],
)
def test_apportion_by_largest_remainder(weights: dict[str, int], seats: int, expected: dict[str, int]) -> None:
    assert apportion(weights, seats) == expected


@given(st.dictionaries(st.text(max_size=2), st.integers(0, 10**9), min_size=1), st.integers(0, 10**4))
def test_apportion_gives_every_seat_within_one_of_its_share(weights: dict[str, int], seats: int) -> None:
    total = sum(weights.values())
    granted = apportion(weights, seats)

    assert sum(granted.values()) == (seats if total else 0)
    if total:
        assert all(abs(granted[key] * total - seats * weight) < total for key, weight in weights.items())
