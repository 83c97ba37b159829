"""Starts an ingest run for each batch of files that a commit brought to a location in lakeFS."""

import json
from collections.abc import Mapping
from typing import Final

import dagster as dg

from workflows_dagster.lib.errors import WorkflowError
from workflows_dagster.resources.sources import SourcesResource, partition_requests, standing

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

    Commits of this project's own publications do not count. The cursor holds the commit of each source whose files
    were all requested. The instance records what was started, so that a lost or repeated tick does no harm.

    Raises:
        SourceUnreadableError: No location could be read.
    """
    found = sources.commits()
    for source, error in found.failures.items():
        context.log.error("source %s was passed over: %s", source, error)
    seen: dict[str, str] = json.loads(context.cursor or "{}")
    moved = {source: commit for source, commit in found.newest.items() if seen.get(source) != commit}
    if found.failures and not found.newest:
        raise next(iter(found.failures.values()))
    if not found.newest:
        return dg.SkipReason("no source has a lakefs:// location, or nothing was committed there yet")
    if not moved:
        return dg.SkipReason(_reason("no new commit", found.newest, found.failures))
    plan = sources.take(context.instance, moved)
    if plan.failures and not plan.listed:
        raise next(iter(plan.failures.values()))
    catalog = sources.catalog()
    source_of = {batch.key: batch.source for batch in plan.batches if batch.source in moved}
    stands = standing(context.instance, catalog, [batch for batch in plan.batches if batch.key in source_of])
    taken = stands.due[: catalog.batching.max_runs_per_tick]
    # The next tick deals with sources that have batches left over or could not be listed.
    left = {source_of[str(request.partition_key)] for request in stands.due[len(taken) :]}
    waiting = left | {name for name in moved if name in plan.failures}
    done = {source: commit for source, commit in moved.items() if source not in waiting}
    requests: list[dg.RunRequest] = []
    for request in taken:
        key, commit = str(request.partition_key), moved[source_of[str(request.partition_key)]]
        tags = {**request.tags, COMMIT_TAG: commit}
        requests.append(dg.RunRequest(run_key=f"{commit}/{key}", partition_key=key, tags=tags))
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else _reason("no new files", moved, plan.failures),
        dynamic_partitions_requests=partition_requests([str(request.partition_key) for request in taken]),
        cursor=json.dumps(seen | done, sort_keys=True),
    )


def _reason(why: str, commits: Mapping[str, str], failures: Mapping[str, WorkflowError]) -> str:
    """Why nothing is started: where each source stands, and which sources were passed over."""
    standing = ", ".join(f"{source} at {commit[:12]}" for source, commit in commits.items())
    passed_over = f"; passed over: {'; '.join(map(str, failures.values()))}" if failures else ""
    return f"{why}: {standing}{passed_over}"
