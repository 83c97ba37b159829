"""Ends what a killed process left behind where no daemon does: runs still STARTED, pool slots still held."""

from collections.abc import Iterator
from typing import Final

import dagster as dg

# The launcher's answer is typed by this, which Dagster does not export at its top level.
from dagster._core.launcher import WorkerStatus

ENDED: Final = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def end_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """Fails the runs whose process is gone and frees the pool slots of all ended runs; returns the runs it failed.

    `dagster dev` and the daemon do the same all the time. A command line that starts a run must not wait for a slot
    that nobody will ever give back.
    """
    lost = list(_lost_runs(instance))
    for run, why in lost:
        instance.report_run_failed(run, f"The run was lost: {why}")
    storage = instance.event_log_storage
    held = set(storage.get_concurrency_run_ids()) if storage.supports_global_concurrency_limits else set[str]()
    if held:
        for run in instance.get_runs(dg.RunsFilter(run_ids=sorted(held), statuses=ENDED)):
            storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run, _ in lost]


def _lost_runs(instance: dg.DagsterInstance) -> Iterator[tuple[dg.DagsterRun, str]]:
    launcher = instance.run_launcher
    if not launcher.supports_check_run_worker_health:
        return
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        health = launcher.check_run_worker_health(run)
        if health.status is WorkerStatus.NOT_FOUND:
            yield run, health.msg or "its process is gone"
