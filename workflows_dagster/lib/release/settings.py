"""Settings of a release."""

from pydantic import BaseModel, ConfigDict, Field


class ReleaseSettings(BaseModel):
    """What becomes of a chain that passed its gates."""

    model_config = ConfigDict(frozen=True)

    deploy: bool = Field(
        default=True,
        description="Whether a new release is put in force at once. One that was in force before stays as it is.",
    )
