"""Strata, their seats, and draws from them that do not depend on the order of the rows."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.annotation.strata import allocate, first_of_each, in_order, sizes_of, with_stratum


@pytest.mark.parametrize(
    ("sizes", "seats", "expected"),
    [
        # One each, then 7 over spares 59, 29, 9 (97): shares 4.26, 2.09, 0.65: floors 4, 2, 0 and one to c.
        ({"a": 60, "b": 30, "c": 10}, 10, {"a": 5, "b": 3, "c": 2}),
        ({"a": 5, "b": 5}, 3, {"a": 2, "b": 1}),
        ({"a": 1, "b": 9, "c": 5}, 2, {"b": 1, "c": 1}),
        ({"a": 2, "b": 1}, 9, {"a": 2, "b": 1}),
        ({"a": 3}, 0, {}),
    ],
)
def test_allocate_by_largest_remainder(sizes: dict[str, int], seats: int, expected: dict[str, int]) -> None:
    assert allocate(sizes, seats) == expected


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 1000), min_size=1), st.integers(0, 500))
def test_allocate_gives_all_seats_and_never_more_than_there_is(sizes: dict[str, int], seats: int) -> None:
    granted = allocate(sizes, seats)

    assert sum(granted.values()) == min(seats, sum(sizes.values()))
    assert all(1 <= granted[key] <= sizes[key] for key in granted)


def test_rare_and_unknown_languages_are_one_stratum() -> None:
    languages = ["en"] * 17 + ["de"] * 2 + ["la"] + [None] * 5
    reviews = pl.DataFrame({"label": ["positive"] * 25, "source": ["shop"] * 25, "language": languages})

    # A twelfth of 25 rows is 2.08: de has 2.
    assert sizes_of(with_stratum(reviews, 1 / 12)) == {"positive/shop/en": 17, "positive/shop/other": 8}
    assert sizes_of(with_stratum(reviews, 0.08)) == {
        "positive/shop/de": 2,
        "positive/shop/en": 17,
        "positive/shop/other": 6,
    }


def test_first_of_each_stands_for_its_stratum() -> None:
    reviews = pl.DataFrame({"review_id": list("abcdef"), "stratum": ["x", "y", "x", "x", "y", "z"]})

    taken = first_of_each(reviews, {"x": 2, "y": 1})

    assert taken.select("review_id", "weight").rows() == [("a", 1.5), ("b", 2.0), ("c", 1.5)]


@given(st.permutations(list(range(30))), st.integers(0, 5))
def test_order_is_that_of_the_seed_alone(places: list[int], seed: int) -> None:
    reviews = pl.DataFrame({"review_id": [f"r{number}" for number in range(30)]})

    assert in_order(reviews[places], seed).equals(in_order(reviews, seed))
    assert not in_order(reviews, seed).equals(in_order(reviews, seed + 1))
