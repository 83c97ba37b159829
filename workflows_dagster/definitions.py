"""The one Definitions of the project: everything that Dagster loads is named here."""

from collections.abc import Mapping

import dagster as dg

from workflows_dagster import assets
from workflows_dagster.automation import follow_new_model_sensor, refresh_changed_data_sensor
from workflows_dagster.chain import chain_job
from workflows_dagster.console import terminal_logger
from workflows_dagster.jobs import JOBS, MULTIPROCESS
from workflows_dagster.maintenance import maintenance_job
from workflows_dagster.resources.registry import build_resources
from workflows_dagster.schedules import SCHEDULES
from workflows_dagster.sensors.new_commits import ingest_new_commits_sensor
from workflows_dagster.sensors.new_files import ingest_new_files_sensor
from workflows_dagster.sensors.pilot_responses import pilot_responses_sensor
from workflows_dagster.sensors.run_failure import alert_on_failed_run
from workflows_dagster.sensors.synthetic_verdicts import synthetic_verdicts_sensor
from workflows_dagster.settings import Settings, load_settings


def build_definitions(settings: Settings, replaced: Mapping[str, object] | None = None) -> dg.Definitions:
    """The definitions of a deployment.

    Args:
        settings: Of the deployment.
        replaced: Resources that stand in for those of the settings, by key.
    """
    return dg.Definitions(
        assets=dg.load_assets_from_package_module(assets, include_specs=True),
        jobs=[chain_job, *JOBS, maintenance_job],
        schedules=SCHEDULES,
        sensors=[
            ingest_new_files_sensor,
            ingest_new_commits_sensor,
            pilot_responses_sensor,
            synthetic_verdicts_sensor,
            refresh_changed_data_sensor,
            follow_new_model_sensor,
            alert_on_failed_run,
        ],
        resources={**build_resources(settings), **(replaced or {})},
        executor=MULTIPROCESS,
        loggers={"console": dg.colored_console_logger, "terminal": terminal_logger},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of this process, by its environment; made when Dagster asks for them, not at import."""
    return build_definitions(load_settings())
