"""What can be chosen about the bundled sample."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

HELD_OUT: Final = {"validation_ratio": 0.16, "test_ratio": 0.2}
"""Splits of the corpus for so few reviews: with the default ratios, a class would have under 30 rows in test."""


class SampleSettings(BaseModel):
    """Seed and label noise of the bundled sample; its reviews are always the same."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=2_024, ge=0, description="Seed of every choice: the same seed writes the same bytes.")
    wrong_label_ratio: float = Field(
        default=0.03, ge=0, le=0.5, description="Share of reviews whose stars, score or label contradict their text."
    )
