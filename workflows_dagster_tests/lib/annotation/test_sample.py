"""The pilot is stratified, seeded, stable, and drawn from train and test in the stated proportion."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.annotation.sample import PilotSettings, allocate, draw


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


def candidates(rows: int) -> pl.DataFrame:
    """Of ten rows one is test; labels 6:3:1; two sources."""
    labels = ["positive"] * 6 + ["negative"] * 3 + ["neutral"]
    return pl.DataFrame(
        {
            "review_id": [f"r{number:05}" for number in range(rows)],
            "split": ["test" if number % 7 == 0 else "train" for number in range(rows)],
            "label": [labels[number % 10] for number in range(rows)],
            "source": ["shop" if number % 3 else "posts" for number in range(rows)],
        }
    )


def test_draw_keeps_proportion_and_covers_every_stratum() -> None:
    drawn = draw(candidates(4200), PilotSettings(rows=100, test_ratio=0.3))

    assert drawn["split"].value_counts().sort("split").rows() == [("test", 30), ("train", 70)]
    assert drawn.select("split", "label", "source").n_unique() == 12


@pytest.mark.parametrize("rows", [1, 7, 60, 300])
def test_draw_takes_everything_when_fewer_rows_are_there(rows: int) -> None:
    drawn = draw(candidates(rows), PilotSettings(rows=300))
    assert sorted(drawn["review_id"]) == candidates(rows)["review_id"].to_list()


def test_draw_tops_up_from_train_when_test_is_short() -> None:
    drawn = draw(candidates(140), PilotSettings(rows=100, test_ratio=1.0))
    assert dict(drawn["split"].value_counts().iter_rows()) == {"test": 20, "train": 80}


@given(st.randoms(use_true_random=False))
def test_draw_is_independent_of_row_order(random: object) -> None:
    frame = candidates(300)
    order = list(range(300))
    random.shuffle(order)  # pyright: ignore[reportAttributeAccessIssue]
    settings = PilotSettings(rows=40)
    assert set(draw(frame[order], settings)["review_id"]) == set(draw(frame, settings)["review_id"])


def test_draw_depends_on_seed() -> None:
    first, second = (draw(candidates(1000), PilotSettings(seed=seed))["review_id"] for seed in (1, 2))
    assert set(first) != set(second)
