"""The settings of a deployment: the only place that reads the environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from workflows_dagster.lib.accelerator import DEFAULT_THREADS


class Settings(BaseSettings):
    """What differs between a laptop, a GPU host and production; read from the environment and from `.env`."""

    model_config = SettingsConfigDict(
        env_prefix="WORKFLOWS_DAGSTER_",
        env_file=".env",
        env_file_encoding="utf-8",
        # A setting left blank in a template is unset: an empty path would mean the working directory.
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    home: Path = Field(
        default=Path(".workflows_dagster"),
        description="Folder of everything this deployment stores: published data, manifests, checkpoints.",
    )
    sources: Path | None = Field(
        default=None,
        description="The sources.yaml in use. Unset: the bundled sample of made-up reviews, labelled as such.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Where models run. Anything but auto is an error where it is not there."
    )
    threads: int = Field(
        default=DEFAULT_THREADS,
        ge=1,
        description="CPU threads of training, at most. Small encoders gain little from more than two.",
    )
    alert_webhook_url: SecretStr | None = Field(
        default=None, description="URL that failed runs are posted to as JSON. Unset: failures are only logged."
    )

    ui_url: str = Field(default="http://127.0.0.1:3000", description="Address of the Dagster UI as alerts link to it.")
    dagster_home: Path | None = Field(
        default=None,
        validation_alias="dagster_home",
        description="Dagster's own DAGSTER_HOME. Unset: the dagster.yaml of the working directory counts.",
    )

    @property
    def store_root(self) -> Path:
        """Folder of the embedded versioned store."""
        return self.home.absolute() / "store"

    @property
    def manifests(self) -> Path:
        """Folder of the batch manifests that partitions point to."""
        return self.home.absolute() / "manifests"

    @property
    def checkpoints(self) -> Path:
        """Folder of training checkpoints; resumable, not published."""
        return self.home.absolute() / "checkpoints"

    @property
    def annotation(self) -> Path:
        """Folder that the file-based annotation writes its forms to and reads them from."""
        return self.home.absolute() / "annotation"

    @property
    def sample(self) -> Path:
        """Folder of the bundled sample, generated on demand."""
        return self.home.absolute() / "sample"


def load_settings() -> Settings:
    """The settings of this process."""
    return Settings()


def environment() -> Mapping[str, str]:
    """The variables that a sources.yaml may refer to by name."""
    return dict(os.environ)
