"""What people are told of a failed run."""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

import dagster as dg
import pytest

from workflows_dagster.resources.webhook import WebhookResource
from workflows_dagster.sensors.run_failure import alert_on_failed_run


class RecordingWebhook(WebhookResource):
    """Keeps what it is asked to post. Dagster works on a copy of a resource: what is kept belongs to the class."""

    posted: ClassVar[list[Mapping[str, object]]] = []

    def post(self, payload: Mapping[str, object]) -> bool:
        self.posted.append(payload)
        return True


@pytest.fixture
def posted() -> list[Mapping[str, object]]:
    RecordingWebhook.posted.clear()
    return RecordingWebhook.posted


@dg.op
def refuse() -> None:
    raise dg.Failure("too few rows\nmore of it in a second line")


@dg.op
def crash() -> None:
    raise ConnectionError("could not reach https://bob:hunter2@store.example/x")


@dg.job
def refusing_job() -> None:
    refuse()


@dg.job
def crashing_job() -> None:
    crash()


def failure_context(instance: dg.DagsterInstance, job: dg.JobDefinition, **tags: str) -> Any:
    """The context of the sensor for a run of a job that has just failed."""
    result = job.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
    event = next(event for event in result.all_events if event.event_type == dg.DagsterEventType.RUN_FAILURE)
    return dg.build_run_status_sensor_context(
        sensor_name="alert_on_failed_run",
        dagster_event=event,
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        partition_key=tags.get("dagster/partition"),
    ).for_run_failure()


def test_alert_names_run_job_partition_step_and_first_line_of_the_error(
    instance: dg.DagsterInstance, posted: list[Mapping[str, object]]
) -> None:
    webhook = RecordingWebhook(ui_url="https://dagster.example/")
    context = failure_context(instance, refusing_job, **{"dagster/partition": "shop-1"})
    alert_on_failed_run(context, webhook=webhook)
    run_id = context.dagster_run.run_id
    assert posted == [
        {
            "run_id": run_id,
            "job": "refusing_job",
            "partition": "shop-1",
            "step": "refuse",
            "error": "too few rows",
            "url": f"https://dagster.example/runs/{run_id}",
        }
    ]


def test_alert_on_a_run_whose_process_died_says_what_became_of_it(
    instance: dg.DagsterInstance, posted: list[Mapping[str, object]]
) -> None:
    run = instance.create_run_for_job(refusing_job, status=dg.DagsterRunStatus.STARTED)
    instance.report_engine_event("Started process for run (pid: 17).", run)
    instance.report_engine_event("The process was terminated by signal 9.", run)
    event = instance.report_run_failed(run)
    instance.report_engine_event("Retrying the run", run)
    context = dg.build_run_status_sensor_context(
        sensor_name="alert_on_failed_run", dagster_event=event, dagster_instance=instance, dagster_run=run
    )
    alert_on_failed_run(context.for_run_failure(), webhook=RecordingWebhook())
    assert posted[0]["error"] == "The process was terminated by signal 9."


def test_alert_hides_credentials_in_urls(instance: dg.DagsterInstance, posted: list[Mapping[str, object]]) -> None:
    alert_on_failed_run(failure_context(instance, crashing_job), webhook=RecordingWebhook())
    assert posted[0]["error"] == "ConnectionError: could not reach https://***@store.example/x"


def test_alert_is_only_logged_when_no_webhook_is_configured(
    instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    context = failure_context(instance, refusing_job)
    context.log.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO):
        alert_on_failed_run(context, webhook=WebhookResource())
    assert f"Run {context.dagster_run.run_id} of refusing_job failed: too few rows" in caplog.text
    assert "only logged" in caplog.text


def test_alert_fails_the_tick_once_when_the_webhook_is_down(instance: dg.DagsterInstance) -> None:
    """Evaluated as the daemon does it: the error is in the tick, and the cursor has moved past the run."""
    webhook = WebhookResource(url="http://127.0.0.1:9/secret", attempts=1)

    def tick(cursor: str | None) -> Any:
        resources = {"webhook": webhook}
        return alert_on_failed_run.evaluate_tick(
            dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources)
        )

    cursor = tick(None).cursor
    refusing_job.execute_in_process(instance=instance, raise_on_error=False)
    first = tick(cursor)
    reaction = first.dagster_run_reactions[0]
    assert "WebhookError" in str(reaction.error)
    assert "secret" not in str(reaction.error)
    assert tick(first.cursor).dagster_run_reactions == []
