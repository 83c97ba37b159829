"""Real reviews cut in folds, so that the judge of a synthetic text has never seen what it was made from."""

from typing import Final

import polars as pl

from workflows_dagster.lib.hashing import digest_text

FOLDS: Final = 3


def fold_of(group_key: str) -> int:
    """The fold of a review; reviews of one group share it."""
    return int(digest_text("synthesis/fold", group_key)[:8], 16) % FOLDS


def with_folds(reviews: pl.DataFrame) -> pl.DataFrame:
    """The reviews with their fold beside."""
    keys = reviews["group_key"].unique().to_list()
    schema = {"group_key": pl.String, "fold": pl.Int8}
    folds = pl.DataFrame({"group_key": keys, "fold": [fold_of(key) for key in keys]}, schema)
    return reviews.join(folds, on="group_key", how="left", maintain_order="left")
