"""Settings of a release."""

from pydantic import BaseModel, ConfigDict, Field


class ReleaseSettings(BaseModel):
    """What becomes of a chain that passed its gates."""

    model_config = ConfigDict(frozen=True)

    deploy: bool = Field(
        default=True,
        description="Whether a new release is put in force at once. One that was in force before stays as it is.",
    )
    deploy_worse: bool = Field(
        default=False,
        description="Whether that holds, too, for one whose macro-F1 is below that of the release in force, with 95 % "
        "confidence on the test rows of both.",
    )
