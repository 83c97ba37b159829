"""The draw of a pilot: rows at random from test, and from train rows at random, rows people disputed, informative ones.

Test rows are drawn at random alone. They are the gold rows that a model is judged on: picked for being hard, or for
looking mislabelled, they would say nothing of how it does on reviews as they come.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from workflows_dagster.lib.annotation.informative import RANDOM
from workflows_dagster.lib.annotation.next_round import DISAGREEMENT
from workflows_dagster.lib.annotation.strata import allocate, first_of_each, sizes_of
from workflows_dagster.lib.apportionment import apportion

DISPUTED: Final = "disputed"
SUSPECT: Final = "suspect"

DRAWN: Final = pl.Schema(
    {"review_id": pl.String(), "pick": pl.String(), "pick_score": pl.Float64(), "weight": pl.Float64()}
)
"""A drawn row: why it was picked, the score it was picked for, and how many rows a random one stands for."""


@dataclass(frozen=True)
class Draw:
    """A pilot but for its informative rows.

    Attributes:
        rows: Columns of DRAWN.
        candidates: Train rows that are left, in the order of the draw; columns review_id and stratum.
        seats: Informative rows to pick of each stratum.
    """

    rows: pl.DataFrame
    candidates: pl.DataFrame
    seats: Mapping[str, int]


def split_rows(available: Mapping[str, int], rows: int, test_ratio: float) -> dict[str, int]:
    """Rows to draw from train and from test; where one is short the other makes up for it."""
    wanted = min(rows, sum(available.values()))
    from_test = min(round(wanted * test_ratio), available.get("test", 0))
    from_train = min(wanted - from_test, available.get("train", 0))
    return {"train": from_train, "test": wanted - from_train}


def draw_test(ordered: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Rows of the test split, stratified and at random: columns of DRAWN.

    Args:
        ordered: Columns review_id and stratum of those that nobody answered, in the order of the draw.
        rows: How many.
    """
    return _at_random(first_of_each(ordered, allocate(sizes_of(ordered), rows)))


def draw_train(ordered: pl.DataFrame, listed: pl.DataFrame, rows: int, random_ratio: float) -> Draw:
    """Rows of the train split; those at random are drawn first, so that what is picked beside them changes nothing.

    Every stratum that has a seat has a random row.

    Args:
        ordered: Columns review_id and stratum of those that nobody answered, in the order of the draw.
        listed: Columns of NEXT_ROUND, of rows of the train split.
        rows: How many in all.
        random_ratio: Part of them at random; rounded up in each stratum.
    """
    turns = take_turns(listed)
    most_listed = min(math.floor(rows * (1 - random_ratio)), turns.height)
    seats = allocate(sizes_of(ordered), rows - most_listed)
    random_seats = {stratum: math.ceil(random_ratio * count) for stratum, count in seats.items()}
    at_random = _at_random(first_of_each(ordered, random_seats))
    asked_again = turns.join(at_random, on="review_id", how="anti", maintain_order="left").head(most_listed)
    drawn = pl.concat([at_random, asked_again])
    left = ordered.join(drawn, on="review_id", how="anti", maintain_order="left")
    return Draw(drawn, left, apportion(sizes_of(left), min(rows - drawn.height, left.height)))


def take_turns(listed: pl.DataFrame) -> pl.DataFrame:
    """The listed rows, the best of each reason in turn, each row once: columns of DRAWN.

    Args:
        listed: Columns of NEXT_ROUND.
    """
    rank = pl.col("score").rank("ordinal", descending=True).over("reason")
    reason = pl.when(pl.col("reason") == DISAGREEMENT).then(pl.lit(DISPUTED)).otherwise(pl.lit(SUSPECT))
    turns = listed.sort("review_id").with_columns(_rank=rank).sort("_rank", "reason")
    once = turns.unique("review_id", keep="first", maintain_order=True)
    return once.select("review_id", pick=reason, pick_score="score", weight=pl.lit(None, pl.Float64))


def _at_random(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select("review_id", pick=pl.lit(RANDOM), pick_score=pl.lit(None, pl.Float64), weight="weight")
