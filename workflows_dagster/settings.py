"""The settings of a deployment. Only this module reads the environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from dotenv import load_dotenv
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from workflows_dagster.lib.accelerator import DEFAULT_THREADS
from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.store.naming import RESERVED_PREFIXES

ENV_FILE: Final = ".env"
PREFIX: Final = "WORKFLOWS_DAGSTER_"
REPORTS: Final = "reports"
"""Folder of the reports of the releases, below the home folder."""


class Settings(BaseSettings):
    """What differs between a laptop, a GPU host and production; read from the environment and from `.env`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        # A blank line of a template leaves the setting unset. An empty path would mean the working directory.
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
        description="The sources.yaml to read. Unset: the bundled sample of made-up reviews, labelled as such.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Where models run. A device other than auto that is not there is an error."
    )
    threads: int = Field(
        default=DEFAULT_THREADS,
        ge=1,
        description="Most CPU threads of training. Small encoders gain little from more than two.",
    )
    alert_webhook_url: SecretStr | None = Field(
        default=None, description="URL that failed runs are posted to, as JSON. Unset: failures are only logged."
    )

    ui_url: str = Field(
        default="http://127.0.0.1:3000", description="Address of the Dagster UI that alerts and commits link to."
    )
    dagster_home: Path | None = Field(
        default=None,
        validation_alias="dagster_home",
        description="Dagster's own DAGSTER_HOME. Unset: the dagster.yaml of the working directory is used.",
    )

    store: Literal["embedded", "lakefs"] = Field(
        default="embedded",
        description="Where outputs are published: a git repository in the home folder, or a lakeFS server. "
        "Never guessed: lakeFS is used only where it is named here.",
    )
    base_branch: str = Field(
        default="main",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
        description="Branch that is published to and read from. A branch of a developer's own leaves main untouched.",
    )
    keep_versions: int = Field(
        default=10, ge=1, description="Versions of each asset and partition that pruning keeps, besides released ones."
    )
    stale_branch_days: int = Field(
        default=7, ge=1, description="Days after which maintenance removes the branches of refused and lost outputs."
    )
    unused_copy_days: int = Field(
        default=30, ge=1, description="Days after which maintenance removes local copies that nothing has read."
    )

    sample_rows: int = Field(
        default=10,
        ge=0,
        description="Rows of each table that the Dagster UI shows, personal data masked. They stay in the event log of "
        "Dagster until the run is deleted; 0 for none.",
    )

    lakefs_endpoint: str | None = Field(
        default=None,
        validation_alias="lakefs_endpoint",
        description="Address of the lakeFS server, for the store and for lakefs:// locations of sources.",
    )
    lakefs_access_key_id: SecretStr | None = Field(
        default=None, validation_alias="lakefs_access_key_id", description="Access key of this deployment at lakeFS."
    )
    lakefs_secret_access_key: SecretStr | None = Field(
        default=None, validation_alias="lakefs_secret_access_key", description="The secret of that key."
    )
    lakefs_repository: str | None = Field(default=None, description="Repository on the lakeFS server.")
    lakefs_storage_namespace: str | None = Field(
        default=None,
        description="Where lakeFS keeps the objects of the repository, as s3://bucket/prefix. Needed to create it.",
    )
    lakefs_create: bool = Field(default=False, description="Whether a missing repository is created.")

    annotation: Literal["files", "argilla"] = Field(
        default="files",
        description="Where people annotate: in CSV forms in the home folder, or on an Argilla server. "
        "Never guessed: Argilla is used only where it is named here.",
    )
    argilla_api_url: str | None = Field(
        default=None, validation_alias="argilla_api_url", description="Address of the Argilla server."
    )
    argilla_api_key: SecretStr | None = Field(
        default=None,
        validation_alias="argilla_api_key",
        description="API key of a user with the role owner, or admin of the workspace.",
    )
    argilla_workspace: str = Field(default="reviews", description="Workspace of the rounds on the Argilla server.")
    argilla_create: bool = Field(default=False, description="Whether a missing workspace is created.")

    @field_validator("base_branch")
    @classmethod
    def _is_not_reserved(cls, value: str) -> str:
        if value.startswith(RESERVED_PREFIXES):
            raise ValueError(f"branches that begin with {' or '.join(RESERVED_PREFIXES)} belong to the store")
        return value

    @property
    def manifests(self) -> Path:
        """Folder of the batch manifests that partitions point to."""
        return self.home.absolute() / "manifests"

    @property
    def checkpoints(self) -> Path:
        """Folder of training checkpoints, to resume from; they are not published."""
        return self.home.absolute() / "checkpoints"

    @property
    def annotation_forms(self) -> Path:
        """Folder of the forms of annotation by files."""
        return self.home.absolute() / "annotation"

    @property
    def reports(self) -> Path:
        """Folder of the reports of the releases, by name: copies for people."""
        return self.home.absolute() / REPORTS

    @property
    def sample(self) -> Path:
        """Folder of the bundled sample, which is generated on demand."""
        return self.home.absolute() / "sample"


def load_settings() -> Settings:
    """The settings of this process.

    Raises:
        ConfigurationError: Some values cannot be used. It names each by its environment variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = {_variable(str(each["loc"][0])): each for each in error.errors()}
        raise ConfigurationError(
            "settings cannot be used",
            given={name: each["input"] for name, each in wrong.items()},
            expected="; ".join(f"{name}: {each['msg']}" for name, each in wrong.items()),
            remedy=f"correct them in the environment or in {ENV_FILE}",
        ) from error


def take_env_file() -> None:
    """Adds the variables of `.env` to those of this process, as Dagster's own commands do; it overrides none."""
    load_dotenv(ENV_FILE)


def environment() -> Mapping[str, str]:
    """The variables that a sources.yaml may refer to by name."""
    return dict(os.environ)


def _variable(field: str) -> str:
    """Name of the environment variable of a setting."""
    has_prefix = field in Settings.model_fields and Settings.model_fields[field].validation_alias is None
    return f"{PREFIX if has_prefix else ''}{field.upper()}"
