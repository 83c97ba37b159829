"""Tells people that a run has failed."""

import itertools
import re
from typing import Final

import dagster as dg

from workflows_dagster.resources.webhook import WebhookResource

_LOST: Final = "This run has been marked as failed from outside the execution context."
"""What Dagster says of a run whose process has died. An engine event before it tells what happened to the process."""

_CREDENTIALS: Final = re.compile(r"//[^/@\s]+@")


@dg.run_failure_sensor(
    name="alert_on_failed_run",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Logs each failed run and posts it to the webhook, where one is configured.",
)
def alert_on_failed_run(context: dg.RunFailureSensorContext, webhook: WebhookResource) -> None:
    """Logs a failed run and posts it to the webhook.

    If the webhook fails, this tick fails with the reason, and the run is not reported again. Later failed runs are.
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
        "error": _first_line(_step_error(failed) if failed else _run_error(context)),
    }


def _run_error(context: dg.RunFailureSensorContext) -> str:
    """Why a run failed outside any step: the failure's own message, or the last engine event before it."""
    message = context.failure_event.message
    if message and message != _LOST:
        return message
    run_id = context.dagster_run.run_id
    seen = context.instance.all_logs(
        run_id, of_type={dg.DagsterEventType.ENGINE_EVENT, dg.DagsterEventType.RUN_FAILURE}
    )
    events = [entry.dagster_event for entry in seen if entry.dagster_event is not None]
    before = itertools.takewhile(lambda event: event.event_type is dg.DagsterEventType.ENGINE_EVENT, events)
    return next((event.message for event in reversed(list(before)) if event.message), message or "no reason was given")


def _step_error(event: dg.DagsterEvent) -> str:
    """The message of the error that the asset's code raised, without what Dagster wraps around it."""
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error.cause or data.error if data.error else None
    return error.message if error else event.message or "no reason was given"


def _first_line(message: str) -> str:
    return _CREDENTIALS.sub("//***@", message.strip().splitlines()[0])
