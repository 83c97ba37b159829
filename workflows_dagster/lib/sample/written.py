"""The reviews that the authors of this project wrote for the sample, and the products that they are about."""

from importlib.resources import files
from typing import Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict

Platform = Literal["northgate_shop", "pipit_posts", "hearth_survey"]

_PACKAGE: Final = files("workflows_dagster.lib.sample")


class WrittenReview(BaseModel):
    """One review as it was written; `reviews/README.md` says what its fields mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: Platform
    product: str
    language: Literal["en", "de", "es", "fr", "id", "pt"]
    label: Literal["positive", "neutral", "negative"]
    title: str
    text: str


def read_reviews() -> tuple[WrittenReview, ...]:
    """All reviews, in the order of the files and their lines."""
    tables = sorted(
        (path for path in _PACKAGE.joinpath("reviews").iterdir() if path.name.endswith(".jsonl")),
        key=lambda path: path.name,
    )
    # Not splitlines: it also splits at the line separators that a text may hold.
    lines = [line for table in tables for line in table.read_text("utf-8").split("\n") if line]
    return tuple(WrittenReview.model_validate_json(line) for line in lines)


def read_products() -> dict[str, str]:
    """The name of each product by its key."""
    return yaml.safe_load(_PACKAGE.joinpath("products.yaml").read_text("utf-8"))
