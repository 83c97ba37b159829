"""Starts an ingest run for each batch of new files."""

import json
import time
from typing import Final

import dagster as dg

from workflows_dagster.lib.ingest.plan import Plan, in_lakefs
from workflows_dagster.resources.sources import SourcesResource, Standing, partition_requests, standing

INTERVAL_S: Final = 30
_SHOWN: Final = 3


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
    plan, catalog = sources.plan_settled(context.instance, time.time()), sources.catalog()
    for what, error in plan.failures.items():
        context.log.error("%s was passed over: %s", what, error)
    stands = standing(context.instance, catalog, plan.batches)
    if not stands.due:
        elsewhere = [source.name for source in in_lakefs(catalog).sources]
        left = f"; {', '.join(elsewhere)} left to ingest_new_commits_sensor" if elsewhere else ""
        return dg.SkipReason(f"{_idle(plan, stands)}{left}")
    taken = stands.due[: catalog.batching.max_runs_per_tick]
    counts = {
        "requested": len(taken),
        "batches_left": len(stands.due) - len(taken),
        "files_waiting": len(plan.waiting),
    }
    return dg.SensorResult(
        run_requests=taken,
        dynamic_partitions_requests=partition_requests([str(request.partition_key) for request in taken]),
        cursor=json.dumps(counts),
    )


def _idle(plan: Plan, stands: Standing) -> str:
    """Why no run is requested.

    Raises:
        SourceUnreadableError: No source at all could be listed.
    """
    if plan.failures and not plan.listed:
        raise next(iter(plan.failures.values()))
    if plan.waiting:
        parts = [f"waiting until {len(plan.waiting):,} files stop growing"]
    else:
        parts = [f"no new files in {plan.listed} sources"]
        if plan.empty:
            parts.append(f"none at all in {', '.join(plan.empty)}")
    if stands.failed:
        parts.append(
            f"{len(stands.failed):,} batches failed or lack files that failed, and are asked for again when their file "
            f"or source changes; to try at once, materialize raw_reviews: {', '.join(stands.failed[:_SHOWN])}"
        )
    if plan.failures:
        parts.append(f"passed over: {'; '.join(map(str, plan.failures.values()))}")
    parts += [
        f"{len(names):,} files of {source} do not fit its location, such as {', '.join(names[:_SHOWN])}"
        for source, names in plan.passed_over.items()
    ]
    return "; ".join(parts)
