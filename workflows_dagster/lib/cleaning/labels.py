"""The label of a review: the one its source gives, else the one its stars stand for."""

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from workflows_dagster.lib.schema import NEGATIVE, NEUTRAL, POSITIVE

TRUST: dict[str, int] = {"human": 3, "given": 2, "rating": 1}
"""Where labels of one text disagree, those of the most trusted kind decide."""


class LabelSettings(BaseModel):
    """Which stars stand for which label."""

    model_config = ConfigDict(frozen=True)

    negative_up_to_stars: int = Field(default=2, ge=1, le=4, description="Most stars of a negative review.")
    positive_from_stars: int = Field(
        default=4, ge=2, le=5, description="Fewest stars of a positive one; between is neutral."
    )

    @model_validator(mode="after")
    def _in_order(self) -> "LabelSettings":
        if self.negative_up_to_stars >= self.positive_from_stars:
            raise ValueError(
                f"negative_up_to_stars={self.negative_up_to_stars} is not below "
                f"positive_from_stars={self.positive_from_stars}: expected negative < neutral < positive"
            )
        return self


def label_columns(settings: LabelSettings) -> list[pl.Expr]:
    """The columns `label` and `label_source` from `label` (given by the source) and `stars`."""
    stars = pl.col("stars")
    by_stars = (
        pl.when(stars <= settings.negative_up_to_stars)
        .then(pl.lit(NEGATIVE))
        .when(stars >= settings.positive_from_stars)
        .then(pl.lit(POSITIVE))
        .when(stars.is_not_null())
        .then(pl.lit(NEUTRAL))
    )
    source = (
        pl.when(pl.col("label").is_not_null()).then(pl.lit("given")).when(stars.is_not_null()).then(pl.lit("rating"))
    )
    return [pl.coalesce("label", by_stars).alias("label"), source.alias("label_source")]
