"""The Dagster instance of this project: the one that `dagster dev` shows when it is started in the same folder."""

from pathlib import Path
from typing import Any, Final

import dagster as dg

# The UI's timeline and the jobs' pages show only runs with such an origin, which Dagster does not export.
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.settings import Settings

DAGSTER_FILE: Final = "dagster.yaml"

REPOSITORY: Final = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("workflows_dagster"), "__repository__")
"""The definitions as the UI knows them: by the name of their code location in workspace.yaml and pyproject.toml."""


def project_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance that dagster.yaml describes; to be used as a context manager.

    The runs that this process executes with it are recorded as those of the code location, where the UI looks for them.

    As with Dagster's own commands, the file is that of DAGSTER_HOME if this is set, else that of the working directory.

    Raises:
        ConfigurationError: There is neither. Dagster would take a temporary instance, whose runs nobody sees later.
    """
    if settings.dagster_home is not None:
        return with_origin(dg.DagsterInstance.from_config(str(settings.dagster_home)))
    folder = Path.cwd()
    if not (folder / DAGSTER_FILE).is_file():
        raise ConfigurationError(
            f"there is no {DAGSTER_FILE} to say where runs are recorded",
            given=str(folder),
            expected=f"a working directory that holds {DAGSTER_FILE}, as the project's own folder does",
            remedy="call this in the project's folder, or set DAGSTER_HOME",
        )
    return with_origin(dg.DagsterInstance.from_config(str(folder)))


def with_origin(instance: dg.DagsterInstance) -> dg.DagsterInstance:
    """The instance, which gives each run that it creates the origin that `execute_in_process` leaves out."""
    create = instance.create_run_for_job

    def create_run_for_job(job_def: dg.JobDefinition, *others: Any, **named: Any) -> dg.DagsterRun:
        return create(job_def, *others, **named, remote_job_origin=REPOSITORY.get_job_origin(job_def.name))

    instance.create_run_for_job = create_run_for_job
    return instance
