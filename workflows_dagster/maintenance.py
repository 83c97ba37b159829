"""Removing after a while what Dagster and the store would keep for ever: old runs, unfinished work, old versions."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage
from pydantic import Field

from workflows_dagster.lib.release.retention import prune_store
from workflows_dagster.resources.retention import RetentionResource
from workflows_dagster.resources.store import StoreResource

FINISHED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
PAGE: Final = 500
"""Runs read at once."""

DAY_S: Final = 86_400


class RunRetention(dg.Config):
    """How long finished runs are kept."""

    older_than_days: int = Field(default=30, ge=1, description="Runs that ended longer ago than this are removed.")


@dg.op
def delete_old_runs(context: dg.OpExecutionContext, config: RunRetention) -> None:
    """Removes old finished runs with their events and logs, except those that an asset's current version came from."""
    limit = datetime.now(UTC) - timedelta(days=config.older_than_days)
    deleted, kept = 0, 0
    for run_id in list(_finished_before(context.instance, limit)):
        if holds_current_version(context.instance, run_id):
            kept += 1
        else:
            _delete_run(context.instance, run_id)
            deleted += 1
    context.log.info("Deleted %d runs that ended before %s; kept %d with current versions", deleted, limit, kept)
    context.add_output_metadata({"maintenance/runs_deleted": deleted, "maintenance/runs_kept": kept})


@dg.op
def sweep_store(context: dg.OpExecutionContext, store: StoreResource, retention: RetentionResource) -> None:
    """Removes the branches of refused and lost outputs, and local views that nothing has read for long."""
    branches = store.store().sweep(older_than_s=retention.stale_branch_days * DAY_S)
    freed_bytes = store.store().evict(unused_for_s=retention.unused_copy_days * DAY_S)
    context.log.info("Removed %d branches: %s; freed %d bytes of copies", len(branches), branches[:10], freed_bytes)
    context.add_output_metadata({"maintenance/branches_removed": len(branches), "maintenance/freed_bytes": freed_bytes})


@dg.op(ins={"swept": dg.In(dg.Nothing)})
def prune_versions(context: dg.OpExecutionContext, store: StoreResource, retention: RetentionResource) -> None:
    """Forgets the content of versions that no release and nothing published needs; the last ones of each asset stay."""
    pruned = prune_store(store.store(), retention.keep_versions)
    if pruned is None:
        where = store.store().repository.describe()
        context.log.info("Pruned nothing of %s: that is left to the garbage collection of lakeFS", where)
        return
    context.log.info("Removed %d files of old versions; freed %d bytes", pruned.contents, pruned.freed_bytes)
    context.add_output_metadata(
        {"maintenance/files_pruned": pruned.contents, "maintenance/freed_bytes": pruned.freed_bytes}
    )


@dg.job(
    description="Removes old runs, stale branches, unread views and the content of old versions. "
    "Dagster itself purges ticks only."
)
def maintenance_job() -> None:
    """All clean-ups. Pruning comes last: the branches that are gone by then hold nothing back."""
    delete_old_runs()
    prune_versions(swept=sweep_store())


def holds_current_version(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run holds the newest materialization or observation of any asset, or of any partition of one.

    Deleting a run deletes its events, and readers find the published commit in the newest of them.
    """
    return any(
        newest == run_id
        for event_type in (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION)
        for newest in _newest_runs(instance, run_id, event_type)
    )


def _delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        # Dagster empties the run's own database and leaves its file, of 128 KiB and more, behind.
        Path(storage.path_for_shard(run_id)).unlink(missing_ok=True)


def _newest_runs(instance: dg.DagsterInstance, run_id: str, event_type: dg.DagsterEventType) -> Iterator[str]:
    """For each asset or partition that a run has an event of: the run with the newest such event."""
    is_materialization = event_type is dg.DagsterEventType.ASSET_MATERIALIZATION
    fetch = instance.fetch_materializations if is_materialization else instance.fetch_observations
    for entry in instance.all_logs(run_id, of_type=event_type):
        if entry.dagster_event is not None and entry.dagster_event.asset_key is not None:
            partition = entry.dagster_event.partition
            newest = fetch(
                dg.AssetRecordsFilter(
                    asset_key=entry.dagster_event.asset_key, asset_partitions=[partition] if partition else None
                ),
                limit=1,
            )
            yield from (record.run_id for record in newest.records)


def _finished_before(instance: dg.DagsterInstance, limit: datetime) -> Iterator[str]:
    cursor: str | None = None
    while True:
        page = instance.get_run_records(
            dg.RunsFilter(statuses=FINISHED, updated_before=limit), limit=PAGE, cursor=cursor
        )
        yield from (record.dagster_run.run_id for record in page)
        if len(page) < PAGE:
            return
        cursor = page[-1].dagster_run.run_id
