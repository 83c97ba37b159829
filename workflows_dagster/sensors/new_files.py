"""Starts an ingest run for each batch of new files."""

import json
import time
from typing import Final

import dagster as dg

from workflows_dagster.lib.ingest.plan import Plan, in_lakefs
from workflows_dagster.resources.sources import SourcesResource, partition_requests, unstarted

INTERVAL_S: Final = 30


@dg.sensor(
    job_name="ingest_job",
    minimum_interval_seconds=INTERVAL_S,
    description="Requests an ingest run for each batch of new or changed files, once they have stopped growing.",
)
def ingest_new_files_sensor(
    context: dg.SensorEvaluationContext, sources: SourcesResource
) -> dg.SensorResult | dg.SkipReason:
    """Requests a run for each batch of new or changed files, once they have stopped growing.

    What was seen is recorded by the manifests, what was started by the instance; the cursor only says how it stands.
    """
    plan = sources.plan_settled(context.instance, time.time())
    for source, error in plan.failures.items():
        context.log.error("source %s was passed over: %s", source, error)
    keys = unstarted(context.instance, [batch.key for batch in plan.batches])
    if not keys:
        elsewhere = [source.name for source in in_lakefs(sources.catalog()).sources]
        left = f"; {', '.join(elsewhere)} left to ingest_new_commits_sensor" if elsewhere else ""
        return dg.SkipReason(f"{_idle(plan)}{left}")
    taken = keys[: sources.catalog().batching.max_runs_per_tick]
    standing = {"requested": len(taken), "batches_left": len(keys) - len(taken), "files_waiting": len(plan.waiting)}
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=key, partition_key=key) for key in taken],
        dynamic_partitions_requests=partition_requests(taken),
        cursor=json.dumps(standing),
    )


def _idle(plan: Plan) -> str:
    """Why no run is requested.

    Raises:
        SourceUnreadableError: No source at all could be listed.
    """
    if plan.failures and not plan.listed:
        raise next(iter(plan.failures.values()))
    failed = f"; passed over: {'; '.join(map(str, plan.failures.values()))}" if plan.failures else ""
    if plan.waiting:
        return f"waiting until {len(plan.waiting):,} files stop growing{failed}"
    nothing = f"; none at all in {', '.join(plan.empty)}" if plan.empty else ""
    return f"no new files in {plan.listed} sources{nothing}{failed}"
