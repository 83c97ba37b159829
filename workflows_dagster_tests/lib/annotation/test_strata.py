"""The random draw: strata and their seats, rows at random first, and what people disputed before in its place."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.annotation.strata import (
    DISPUTED,
    RANDOM,
    SUSPECT,
    allocate,
    draw_test,
    draw_train,
    first_of_each,
    in_order,
    sizes_of,
    split_rows,
    take_turns,
    with_stratum,
)


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


def ordered(**sizes: int) -> pl.DataFrame:
    """Rows x00, x01, ... of each stratum, in turns."""
    rows = [(f"{stratum}{number:02}", stratum) for stratum, size in sizes.items() for number in range(size)]
    frame = pl.DataFrame(rows, schema=["review_id", "stratum"], orient="row")
    return frame.sort(pl.col("review_id").str.slice(1), "review_id")


def listed(**reasons: list[str]) -> pl.DataFrame:
    """What a round asks next, the first of each reason with the highest score."""
    rows = [(id_, reason, 1 - place / 10) for reason, ids in reasons.items() for place, id_ in enumerate(ids)]
    return pl.DataFrame(rows, schema={"review_id": pl.String, "reason": pl.String, "score": pl.Float64}, orient="row")


@pytest.mark.parametrize(
    ("available", "rows", "ratio", "expected"),
    [
        ({"train": 900, "test": 100}, 100, 0.3, {"train": 70, "test": 30}),
        ({"train": 900, "test": 20}, 100, 1.0, {"train": 80, "test": 20}),
        ({"train": 10, "test": 100}, 100, 0.5, {"train": 10, "test": 90}),
        ({"train": 3, "test": 2}, 100, 0.5, {"train": 3, "test": 2}),
        ({"train": 9}, 5, 0.5, {"train": 5, "test": 0}),
    ],
)
def test_where_one_split_is_short_the_other_makes_up_for_it(
    available: dict[str, int], rows: int, ratio: float, expected: dict[str, int]
) -> None:
    assert split_rows(available, rows, ratio) == expected


def test_test_rows_are_the_first_of_their_stratum_with_their_weight() -> None:
    drawn = draw_test(ordered(a=60, b=30, c=10), 10)

    # Seats 5, 3 and 2, as worked out above.
    assert sorted(drawn["review_id"]) == ["a00", "a01", "a02", "a03", "a04", "b00", "b01", "b02", "c00", "c01"]
    assert set(drawn["pick"]) == {RANDOM}
    assert dict(drawn.select("review_id", "weight").iter_rows())["b01"] == 10
    assert drawn["weight"].sum() == 100


def test_train_rows_keep_a_random_part_in_every_stratum() -> None:
    draw = draw_train(ordered(a=60, b=30, c=10), listed(), 10, 0.3)

    # Of 5, 3 and 2 seats 0.3 each, rounded up: 2, 1 and 1. The other 6 by what is left, 58, 29 and 9 of 96: 3.63, 1.81
    # and 0.56, so 3, 1 and 0, one more for b and one for a.
    assert sorted(draw.rows["review_id"]) == ["a00", "a01", "b00", "c00"]
    assert draw.rows["weight"].sum() == 100
    assert draw.seats == {"a": 4, "b": 2, "c": 0}
    assert draw.candidates.height == 96


def test_disputed_rows_and_suspects_come_first_in_turns() -> None:
    asked = listed(disagreement=["p1", "p2"], weak_label_suspect=["b05", "p1", "b06"], human_label_suspect=["p3"])

    assert take_turns(asked).select("review_id", "pick").rows() == [
        ("p1", DISPUTED),
        ("p3", SUSPECT),
        ("b05", SUSPECT),
        ("p2", DISPUTED),
        ("b06", SUSPECT),
    ]


def test_listed_rows_never_take_the_places_of_random_ones() -> None:
    many = listed(disagreement=[f"p{number}" for number in range(20)])

    draw = draw_train(ordered(a=60, b=30), many, 10, 0.3)

    # At most 7 of 10; the 3 that are left are 2 and 1 seats, of which 0.3 rounded up is one each.
    assert draw.rows["pick"].value_counts().sort("pick").rows() == [(DISPUTED, 7), (RANDOM, 2)]
    assert sum(draw.seats.values()) == 1


def test_suspect_that_is_drawn_at_random_counts_as_random() -> None:
    draw = draw_train(ordered(a=60), listed(weak_label_suspect=["a00", "a01"]), 10, 0.2)

    # 8 seats of which 2 at random: a00 and a01 themselves. The rest is for informative rows.
    assert draw.rows.select("review_id", "pick").rows() == [("a00", RANDOM), ("a01", RANDOM)]
    assert draw.seats == {"a": 8}


@pytest.mark.parametrize(("rows", "ratio"), [(0, 0.3), (5, 1.0), (90, 0.3), (7, 0.0)])
def test_every_seat_is_given(rows: int, ratio: float) -> None:
    draw = draw_train(ordered(a=60, b=30), listed(weak_label_suspect=["a50"]), rows, ratio)

    assert draw.rows.height + sum(draw.seats.values()) == rows
    assert draw.rows["review_id"].is_unique().all()
