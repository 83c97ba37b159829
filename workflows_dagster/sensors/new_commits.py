"""Starts an ingest run for each batch of files that a commit has brought to a location in lakeFS."""

import json
from collections.abc import Mapping
from typing import Final

import dagster as dg

from workflows_dagster.lib.errors import WorkflowError
from workflows_dagster.resources.sources import SourcesResource, partition_requests, unstarted

INTERVAL_S: Final = 30
COMMIT_TAG: Final = "ingest/commit"
"""Tag of a run: the commit that brought its files."""


@dg.sensor(
    job_name="ingest_job",
    minimum_interval_seconds=INTERVAL_S,
    description="Requests an ingest run for each batch of files that a new commit brought to a lakefs:// location.",
)
def ingest_new_commits_sensor(
    context: dg.SensorEvaluationContext, sources: SourcesResource
) -> dg.SensorResult | dg.SkipReason:
    """Requests a run for each batch of files that a new commit brought to a source's location in lakeFS.

    What this project publishes itself is no such commit. The cursor holds the commit of each source that was dealt with
    last; what was started is recorded by the instance, so that a tick that is lost or repeated does no harm.
    """
    found = sources.commits()
    for source, error in found.failures.items():
        context.log.error("source %s was passed over: %s", source, error)
    seen: dict[str, str] = json.loads(context.cursor or "{}")
    moved = {source: commit for source, commit in found.newest.items() if seen.get(source) != commit}
    if not moved:
        return dg.SkipReason(_idle(found.newest, found.failures))
    plan = sources.take(context.instance, moved)
    if plan.failures and not plan.listed:
        raise next(iter(plan.failures.values()))
    source_of = {batch.key: batch.source for batch in plan.batches if batch.source in moved}
    open_keys = unstarted(context.instance, list(source_of))
    taken = open_keys[: sources.catalog().batching.max_runs_per_tick]
    # A source with batches left over, or that cannot be listed, is dealt with at the next tick.
    waiting = {source_of[key] for key in open_keys[len(taken) :]} | plan.failures.keys()
    done = {source: commit for source, commit in moved.items() if source not in waiting}
    requests = [
        dg.RunRequest(
            run_key=f"{moved[source_of[key]]}/{key}", partition_key=key, tags={COMMIT_TAG: moved[source_of[key]]}
        )
        for key in taken
    ]
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else _nothing_new(moved, plan.failures),
        dynamic_partitions_requests=partition_requests(taken),
        cursor=json.dumps(seen | done, sort_keys=True),
    )


def _idle(newest: Mapping[str, str], failures: Mapping[str, WorkflowError]) -> str:
    """Why no location is looked at.

    Raises:
        SourceUnreadableError: No location could be asked about.
    """
    if failures and not newest:
        raise next(iter(failures.values()))
    failed = f"; passed over: {'; '.join(map(str, failures.values()))}" if failures else ""
    if not newest:
        return "no source has a lakefs:// location, or nothing was committed there yet"
    return f"no new commit: {_standing(newest)}{failed}"


def _nothing_new(moved: Mapping[str, str], failures: Mapping[str, WorkflowError]) -> str:
    failed = f"; passed over: {'; '.join(map(str, failures.values()))}" if failures else ""
    return f"no new files: {_standing(moved)}{failed}"


def _standing(commits: Mapping[str, str]) -> str:
    return ", ".join(f"{source} at {commit[:12]}" for source, commit in commits.items())
