"""The Dagster instance of this project: the one that `dagster dev` shows when it is started in the same folder."""

from pathlib import Path
from typing import Final

import dagster as dg

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.settings import Settings

DAGSTER_FILE: Final = "dagster.yaml"


def project_instance(settings: Settings) -> dg.DagsterInstance:
    """The instance that dagster.yaml describes; to be used as a context manager.

    As with Dagster's own commands, the file is that of DAGSTER_HOME if this is set, else that of the working directory.

    Raises:
        ConfigurationError: There is neither. Dagster would take a temporary instance, whose runs nobody sees later.
    """
    if settings.dagster_home is not None:
        return dg.DagsterInstance.from_config(str(settings.dagster_home))
    folder = Path.cwd()
    if not (folder / DAGSTER_FILE).is_file():
        raise ConfigurationError(
            f"there is no {DAGSTER_FILE} to say where runs are recorded",
            given=str(folder),
            expected=f"a working directory that holds {DAGSTER_FILE}, as the project's own folder does",
            remedy="call this in the project's folder, or set DAGSTER_HOME",
        )
    return dg.DagsterInstance.from_config(str(folder))
