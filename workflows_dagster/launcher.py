"""Launches runs as Dagster's default launcher does, and ends runs whose process has died."""

import json
import platform
from typing import Final

import dagster as dg
import psutil

# The launcher's health check is typed by these two, which Dagster does not export at its top level.
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

HOST_TAG: Final = "workflows_dagster/host"
"""Tag of a run that was started without the queue: the machine that its process runs on."""

GRPC_INFO_TAG: Final = ".dagster/grpc_info"
CLOCK_SLACK_S: Final = 5.0
ENDED: Final = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


class GuardedRunLauncher(dg.DefaultRunLauncher):
    """The default launcher with a health check, so that run monitoring ends runs whose process is gone.

    Without it, a run whose machine crashed stays STARTED and keeps its pool slots for ever. A run on another machine
    cannot be judged by its pid and counts as running.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """That run monitoring may ask whether the process of a run is alive."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process that executes a run is still there.

        Args:
            run: A run whose status is STARTED.
        """
        if not _is_local(run):
            return CheckRunHealthResult(WorkerStatus.RUNNING, "runs on another machine: not checked")
        worker = _worker(self._instance, run.run_id)
        if worker is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "has not reported its process yet")
        pid, known_since = worker
        if is_alive(pid, known_since):
            return CheckRunHealthResult(WorkerStatus.RUNNING, run_worker_id=str(pid))
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND,
            f"its process {pid} is gone without having ended the run (killed, out of memory, or a crash of the host)",
            run_worker_id=str(pid),
        )


def host_tags() -> dict[str, str]:
    """Tags for a run that this process executes itself: the machine of its process, and that no daemon retries it.

    Whoever called the command sees that it failed, and calls it again.
    """
    return {HOST_TAG: platform.node(), "dagster/max_retries": "0"}


def _is_local(run: dg.DagsterRun) -> bool:
    """Whether the process of the run is on this machine."""
    if GRPC_INFO_TAG in run.tags:
        server = json.loads(run.tags[GRPC_INFO_TAG])
        return "socket" in server or server["host"] in {"localhost", "127.0.0.1", "::1"}
    return run.tags.get(HOST_TAG) == platform.node()


def _worker(instance: dg.DagsterInstance, run_id: str) -> tuple[int, float] | None:
    """Pid of the process that executes a run, and a time at which it was alive; None while unknown.

    The first engine event with a pid is the worker's own: "Started process for run" of a launched run, "Executing
    steps" of one that its own caller executes.
    """
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        if entry.dagster_event is not None and "pid" in entry.dagster_event.engine_event_data.metadata:
            return int(str(entry.dagster_event.engine_event_data.metadata["pid"].value)), entry.timestamp
    return None


def is_alive(pid: int, known_since: float) -> bool:
    """Whether the process that had this pid at that time still runs."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        # After a reboot, or late enough, the pid belongs to another process, which began after the event.
        return process.create_time() <= known_since + CLOCK_SLACK_S
    except psutil.NoSuchProcess:
        return False


def end_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """Fails the runs whose process is gone, and frees the pool slots of all ended runs; returns the ids of failed ones.

    The daemon of `dagster dev` does the same all the time. The command line runs without one: it must not wait for a
    pool slot that a killed run still holds.
    """
    lost: list[str] = []
    launcher = instance.run_launcher
    started = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    for run in started if launcher.supports_check_run_worker_health else ():
        health = launcher.check_run_worker_health(run)
        if health.status is WorkerStatus.NOT_FOUND:
            instance.report_run_failed(run, f"The run was lost: {health.msg or 'its process is gone'}")
            lost.append(run.run_id)
    storage = instance.event_log_storage
    held = storage.get_concurrency_run_ids() if storage.supports_global_concurrency_limits else ()
    if held:
        for run in instance.get_runs(dg.RunsFilter(run_ids=sorted(held), statuses=ENDED)):
            storage.free_concurrency_slots_for_run(run.run_id)
    return lost
