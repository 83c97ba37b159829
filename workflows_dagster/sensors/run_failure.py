"""Tells people that a run has failed."""

import re
from typing import Final

import dagster as dg

from workflows_dagster.resources.webhook import WebhookResource

_CREDENTIALS: Final = re.compile(r"//[^/@\s]+@")


@dg.run_failure_sensor(
    name="alert_on_failed_run",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Logs each failed run and posts it to the webhook, where one is configured.",
)
def alert_on_failed_run(context: dg.RunFailureSensorContext, webhook: WebhookResource) -> None:
    """Logs a failed run and posts it to the webhook.

    A webhook that fails makes this tick fail, with the reason, and is not tried again for the same run: the next
    failed run is reported all the same.
    """
    failure = describe_failure(context)
    context.log.error("Run %s of %s failed: %s", failure["run_id"], failure["job"], failure["error"])
    if not webhook.post(failure | {"url": f"{webhook.ui_url.rstrip('/')}/runs/{failure['run_id']}"}):
        context.log.info("No webhook is configured: the failure was only logged.")


def describe_failure(context: dg.RunFailureSensorContext) -> dict[str, str | None]:
    """What a person needs to find a failed run and to see what is wrong; no configuration, no credentials."""
    run = context.dagster_run
    failed = next(iter(context.get_step_failure_events()), None)
    return {
        "run_id": run.run_id,
        "job": run.job_name,
        "partition": context.partition_key,
        "step": failed.step_key if failed else None,
        "error": _first_line(_step_error(failed) if failed else context.failure_event.message or "no reason was given"),
    }


def _step_error(event: dg.DagsterEvent) -> str:
    """The message of the error that the asset's own code raised, without the wrapping that Dagster adds."""
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error.cause or data.error if data.error else None
    return error.message if error else event.message or "no reason was given"


def _first_line(message: str) -> str:
    return _CREDENTIALS.sub("//***@", message.strip().splitlines()[0])
