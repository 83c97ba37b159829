"""Strata of the pilot and the seats they get, and what is drawn from them at random."""

import hashlib
from collections.abc import Hashable, Mapping
from typing import Final, TypeVar

import polars as pl

from workflows_dagster.lib.apportionment import apportion

STRATUM: Final = ("label", "source", "language")
OTHER_LANGUAGE: Final = "other"
_Key = TypeVar("_Key", bound=Hashable)


def with_stratum(reviews: pl.DataFrame, language_ratio: float) -> pl.DataFrame:
    """The reviews with a column stratum, `label/source/language`.

    Languages that are rare, or not known, count as one: a detector's odd guesses would take a seat each.

    Args:
        reviews: Columns of STRATUM.
        language_ratio: Share of the reviews below which a language is rare (0-1).
    """
    common = pl.col("language").is_not_null() & (pl.len().over("language") >= language_ratio * pl.len())
    language = pl.when(common).then("language").otherwise(pl.lit(OTHER_LANGUAGE))
    return reviews.with_columns(stratum=pl.concat_str("label", "source", language, separator="/"))


def in_order(reviews: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The reviews by digest of seed and id, so that the first of them are a draw; polars' hash differs by version."""
    prefix = f"{seed}/"
    digests = [hashlib.blake2b((prefix + id_).encode(), digest_size=8).digest() for id_ in reviews["review_id"]]
    return (
        reviews.with_columns(_digest=pl.Series(digests, dtype=pl.Binary)).sort("_digest", "review_id").drop("_digest")
    )


def first_of_each(ordered: pl.DataFrame, seats: Mapping[str, int]) -> pl.DataFrame:
    """The first rows of each stratum, as many as it has seats, with a column weight: rows that each stands for.

    Args:
        ordered: Columns review_id and stratum, in the order of `in_order`.
        seats: Rows to take of each stratum; none where it is not named.
    """
    quota = pl.col("stratum").replace_strict(dict(seats), default=0, return_dtype=pl.Int64)
    taken = pl.int_range(pl.len()).over("stratum") < quota
    return ordered.with_columns(weight=(pl.len().over("stratum") / quota).round(6)).filter(taken)


def sizes_of(reviews: pl.DataFrame) -> dict[str, int]:
    """Rows of each stratum."""
    return dict(reviews.group_by("stratum").len().sort("stratum").iter_rows())


def allocate(sizes: Mapping[_Key, int], seats: int) -> dict[_Key, int]:
    """Seats for each stratum: one each, the rest in proportion to what is left of it, by largest remainder.

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
