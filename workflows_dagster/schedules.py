"""What runs at fixed times. Every schedule is switched on by hand, in the UI or by `dagster schedule start`."""

from typing import Final

import dagster as dg

from workflows_dagster.maintenance import maintenance_job
from workflows_dagster.partitions import BATCHES

TIMEZONE: Final = "UTC"


@dg.schedule(
    job_name="corpus_job",
    cron_schedule="0 1 * * 1-6",
    execution_timezone=TIMEZONE,
    description="Brings corpus, annotation and augmentation up to date with what came in. Not before training.",
)
def corpus_nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Requests the corpus once there is anything to make it of."""
    return _request(context)


@dg.schedule(
    job_name="training_job",
    cron_schedule="0 3 * * 0",
    execution_timezone=TIMEZONE,
    description="Trains a model on everything there is; follow_new_model_sensor exports and compares it.",
)
def training_weekly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Requests training once there is anything to train on."""
    return _request(context)


maintenance_weekly = dg.ScheduleDefinition(
    name="maintenance_weekly",
    job=maintenance_job,
    cron_schedule="0 5 * * 6",
    execution_timezone=TIMEZONE,
    description="Removes old runs, stale branches, old versions and unread copies.",
)

SCHEDULES: Final = [corpus_nightly, training_weekly, maintenance_weekly]


def _request(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    if not context.instance.get_dynamic_partitions(BATCHES.name or ""):
        return dg.SkipReason("no batch of reviews was ingested yet: switch on ingest_new_files_sensor")
    return dg.RunRequest()
