"""The random part of the pilot: strata, the seats they get, and the rows that are drawn from them.

Test rows are drawn at random alone. They are the gold rows that a model is judged on: rows picked because they are
hard, or look mislabelled, would not show how the model does on reviews as they come.
"""

import hashlib
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import polars as pl

from workflows_dagster.lib.annotation.next_round import DISAGREEMENT
from workflows_dagster.lib.apportionment import apportion

STRATUM: Final = ("label", "source", "language")
OTHER_LANGUAGE: Final = "other"

RANDOM: Final = "random"
DISPUTED: Final = "disputed"
SUSPECT: Final = "suspect"

DRAWN: Final = pl.Schema(
    {"review_id": pl.String(), "pick": pl.String(), "pick_score": pl.Float64(), "weight": pl.Float64()}
)
"""A drawn row: why it was picked, the score it was picked for, and how many rows a random one stands for."""

_Key = TypeVar("_Key", bound=Hashable)


def with_stratum(reviews: pl.DataFrame, language_ratio: float) -> pl.DataFrame:
    """The reviews with a column stratum, `label/source/language`.

    Rare and unknown languages count as one: otherwise each wrong guess of the language detector would take a seat.

    Args:
        reviews: Columns of STRATUM.
        language_ratio: Share of the reviews below which a language is rare (0-1).
    """
    common = pl.col("language").is_not_null() & (pl.len().over("language") >= language_ratio * pl.len())
    language = pl.when(common).then("language").otherwise(pl.lit(OTHER_LANGUAGE))
    return reviews.with_columns(stratum=pl.concat_str("label", "source", language, separator="/"))


def in_order(reviews: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The reviews by digest of seed and id, so that the first of them are a random draw.

    Not by polars' own hash, which differs by version.
    """
    prefix = f"{seed}/"
    digests = [hashlib.blake2b((prefix + id_).encode(), digest_size=8).digest() for id_ in reviews["review_id"]]
    ordered = reviews.with_columns(_digest=pl.Series(digests, dtype=pl.Binary)).sort("_digest", "review_id")
    return ordered.drop("_digest")


def sizes_of(reviews: pl.DataFrame) -> dict[str, int]:
    """Rows of each stratum."""
    return dict(reviews.group_by("stratum").len().sort("stratum").iter_rows())


def allocate(sizes: Mapping[_Key, int], seats: int) -> dict[_Key, int]:
    """Seats for each stratum: one each, the rest in proportion to its remaining rows, by largest remainder.

    With fewer seats than strata the largest strata get one each. Ties go to the lower key.

    Args:
        sizes: Rows of each stratum, at least one.
        seats: Rows to draw; never more than there are.
    """
    seats = min(seats, sum(sizes.values()))
    if seats <= len(sizes):
        largest = sorted(sizes, key=lambda key: (-sizes[key], key))
        return dict.fromkeys(largest[:seats], 1)
    rest = apportion({key: size - 1 for key, size in sizes.items()}, seats - len(sizes))
    return {key: 1 + more for key, more in rest.items()}


def first_of_each(ordered: pl.DataFrame, seats: Mapping[str, int]) -> pl.DataFrame:
    """The first rows of each stratum, as many as it has seats, with a column weight: the rows that each stands for.

    Args:
        ordered: Columns review_id and stratum, in the order of `in_order`.
        seats: Rows to take of each stratum; none of a stratum that is not named.
    """
    quota = pl.col("stratum").replace_strict(dict(seats), default=0, return_dtype=pl.Int64)
    taken = pl.int_range(pl.len()).over("stratum") < quota
    return ordered.with_columns(weight=(pl.len().over("stratum") / quota).round(6)).filter(taken)


def split_rows(available: Mapping[str, int], rows: int, test_ratio: float) -> dict[str, int]:
    """Rows to draw from train and from test; if one has too few, the other makes up for it."""
    wanted = min(rows, sum(available.values()))
    from_test = min(round(wanted * test_ratio), available.get("test", 0))
    from_train = min(wanted - from_test, available.get("train", 0))
    return {"train": from_train, "test": wanted - from_train}


def draw_test(ordered: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Rows of the test split, stratified and at random: columns of DRAWN.

    Args:
        ordered: Columns review_id and stratum of the rows that nobody answered, in the order of the draw.
        rows: How many.
    """
    return _at_random(first_of_each(ordered, allocate(sizes_of(ordered), rows)))


@dataclass(frozen=True)
class TrainDraw:
    """The train rows of a pilot without its informative ones.

    Attributes:
        rows: Columns of DRAWN.
        candidates: The train rows that are left, in the order of the draw; columns review_id and stratum.
        seats: Informative rows to pick of each stratum.
    """

    rows: pl.DataFrame
    candidates: pl.DataFrame
    seats: Mapping[str, int]


def draw_train(ordered: pl.DataFrame, listed: pl.DataFrame, rows: int, random_ratio: float) -> TrainDraw:
    """Rows of the train split; the random ones are drawn first, so that no other pick can change them.

    Every stratum that has a seat has a random row.

    Args:
        ordered: Columns review_id and stratum of the rows that nobody answered, in the order of the draw.
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
    return TrainDraw(drawn, left, apportion(sizes_of(left), min(rows - drawn.height, left.height)))


def take_turns(listed: pl.DataFrame) -> pl.DataFrame:
    """The listed rows, the best of each reason in turn, each row once: columns of DRAWN.

    Args:
        listed: Columns of NEXT_ROUND.
    """
    rank = pl.col("score").rank("ordinal", descending=True).over("reason")
    pick = pl.when(pl.col("reason") == DISAGREEMENT).then(pl.lit(DISPUTED)).otherwise(pl.lit(SUSPECT))
    turns = listed.sort("review_id").with_columns(_rank=rank).sort("_rank", "reason")
    once = turns.unique("review_id", keep="first", maintain_order=True)
    return once.select("review_id", pick=pick, pick_score="score", weight=pl.lit(None, pl.Float64))


def _at_random(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select("review_id", pick=pl.lit(RANDOM), pick_score=pl.lit(None, pl.Float64), weight="weight")
