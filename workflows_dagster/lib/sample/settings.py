"""What can be chosen about the bundled sample."""

from pydantic import BaseModel, ConfigDict, Field


class SampleSettings(BaseModel):
    """Size, seed and difficulty of the bundled sample."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(default=5_000, ge=200, le=100_000, description="Rows over all platforms, planted ones included.")
    seed: int = Field(default=2_024, ge=0, description="Seed of every choice: the same seed writes the same bytes.")
    indirect_ratio: float = Field(
        default=0.22,
        ge=0,
        le=1,
        description="Share of statements that say it by negation, comparison or disappointed expectation: "
        "their words point one way and their meaning the other.",
    )
    wrong_label_ratio: float = Field(
        default=0.045, ge=0, le=0.5, description="Share of rows whose stars or label contradict their text."
    )
