"""Train, validation and test: a fixed function of a review's group, so that a row never moves when others arrive."""

import hashlib

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from workflows_dagster.lib.schema import SPLITS

TRAIN, VALIDATION, TEST, NONE = SPLITS


class SplitSettings(BaseModel):
    """How large the splits are and which seed draws them."""

    model_config = ConfigDict(frozen=True)

    split_seed: str = Field(
        default="splits-1", description="Another seed draws other splits; never change it between runs."
    )
    validation_ratio: float = Field(
        default=0.1, gt=0, lt=1, description="Share of groups held out for choosing models."
    )
    test_ratio: float = Field(
        default=0.1, gt=0, lt=1, description="Share of groups held out for the final measurement."
    )

    @model_validator(mode="after")
    def _leaves_training(self) -> "SplitSettings":
        held_out = self.validation_ratio + self.test_ratio
        if held_out >= 1:
            raise ValueError(
                f"validation_ratio={self.validation_ratio} + test_ratio={self.test_ratio} is {held_out}: "
                "expected less than 1, so that rows are left to train on"
            )
        return self


def split_targets(settings: SplitSettings) -> dict[str, float]:
    """The share of labelled rows that each split is meant to have."""
    held_out = settings.validation_ratio + settings.test_ratio
    return {TRAIN: 1 - held_out, VALIDATION: settings.validation_ratio, TEST: settings.test_ratio}


def position(seed: str, group_key: str) -> float:
    """Where a group lies in [0, 1): the first 53 bits of SHA-256 of `seed`, a zero byte and the key."""
    digest = hashlib.sha256(f"{seed}\0{group_key}".encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def split_groups(group_key: pl.Series, settings: SplitSettings) -> pl.Series:
    """The split of each group: test below `test_ratio`, then validation, then train.

    The lowest positions are test rows whatever the share of validation is, so that changing the one leaves the other.
    """
    # polars' own hash is not the same from release to release; this digest costs 1 us for each distinct group.
    groups = group_key.unique()
    positions = pl.Series([position(settings.split_seed, key) for key in groups], dtype=pl.Float64)
    held_out = settings.test_ratio + settings.validation_ratio
    splits = pl.select(
        pl.when(positions < settings.test_ratio)
        .then(pl.lit(TEST))
        .when(positions < held_out)
        .then(pl.lit(VALIDATION))
        .otherwise(pl.lit(TRAIN))
    ).to_series()
    return group_key.replace_strict(groups, splits, return_dtype=pl.String)


def split_column(frame: pl.DataFrame, settings: SplitSettings) -> pl.DataFrame:
    """The frame with `split`: that of its group, "none" where there is no label."""
    splits = split_groups(frame["group_key"], settings)
    return frame.with_columns(split=pl.when(pl.col("label").is_not_null()).then(splits).otherwise(pl.lit(NONE)))
