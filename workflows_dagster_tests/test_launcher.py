"""Runs whose process died: the health check by its rules, and what becomes of runs that are really killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.events import EngineEventData

from workflows_dagster.instance import project_instance
from workflows_dagster.launcher import (
    GRPC_INFO_TAG,
    HOST_TAG,
    GuardedRunLauncher,
    end_lost_runs,
    host_tags,
    is_alive,
)
from workflows_dagster.settings import Settings
from workflows_dagster_tests.dagster_dev import Query, dagster_dev, launch, wait_for

LOCAL_SERVER = {GRPC_INFO_TAG: json.dumps({"host": "localhost", "socket": "/tmp/any"})}
OTHER_SERVER = {GRPC_INFO_TAG: json.dumps({"host": "gpu-host", "port": 4000})}


@dg.job
def empty_job() -> None:
    """A run of it is a run."""


@pytest.fixture
def launcher(instance: dg.DagsterInstance) -> GuardedRunLauncher:
    """A launcher that looks at the session's instance."""
    launcher = GuardedRunLauncher()
    launcher.register_instance(instance)
    return launcher


@pytest.fixture
def ended_pid() -> int:
    """Pid of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        (LOCAL_SERVER, "NOT_FOUND"),
        (host_tags(), "NOT_FOUND"),
        (OTHER_SERVER, "RUNNING"),
        ({HOST_TAG: "another-host"}, "RUNNING"),
        ({}, "RUNNING"),
    ],
    ids=["queued here", "executed by its caller here", "queued elsewhere", "executed elsewhere", "unknown"],
)
def test_health_of_a_run_whose_process_ended(
    launcher: GuardedRunLauncher, instance: dg.DagsterInstance, ended_pid: int, tags: dict[str, str], status: str
) -> None:
    run = instance.create_run_for_job(empty_job, tags=tags)
    instance.report_engine_event("Started process for run", run, EngineEventData.in_process(ended_pid))
    health = launcher.check_run_worker_health(run)
    assert health.status.value == status
    assert status == "RUNNING" or f"process {ended_pid} is gone" in str(health.msg)


def test_health_is_running_while_the_process_lives(launcher: GuardedRunLauncher, instance: dg.DagsterInstance) -> None:
    result = empty_job.execute_in_process(instance=instance, tags=host_tags())
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert launcher.supports_check_run_worker_health
    health = launcher.check_run_worker_health(run)
    assert (health.status.value, health.run_worker_id) == ("RUNNING", str(os.getpid()))


def test_health_is_running_before_the_process_is_known(
    launcher: GuardedRunLauncher, instance: dg.DagsterInstance
) -> None:
    run = instance.create_run_for_job(empty_job, tags=LOCAL_SERVER)
    assert launcher.check_run_worker_health(run).status.value == "RUNNING"


def test_process_that_began_after_the_event_is_another_one() -> None:
    began = psutil.Process().create_time()
    assert is_alive(os.getpid(), known_since=began)
    assert not is_alive(os.getpid(), known_since=began - 60)


def test_process_that_ended_and_was_not_waited_for_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.02)
        assert not is_alive(child.pid, known_since=time.time())


PROJECT = """
import time
from pathlib import Path
import dagster as dg
from workflows_dagster.jobs import MULTIPROCESS

@dg.asset(pool="gpu")
def trained(context: dg.AssetExecutionContext) -> None:
    if context.run.parent_run_id is None:
        time.sleep(3600)

defs = dg.Definitions(assets=[trained], jobs=[dg.define_asset_job("train")], executor=MULTIPROCESS)
"""
EVENTS = """query($id: ID!) {
    runOrError(runId: $id) {... on Run {eventConnection {events {... on MessageEvent {message}}}}}
}"""
RUNS = "{runsOrError {... on Runs {results {runId parentRunId status}}}}"


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Query]:
    """`dagster dev` in a project of its own; yields its GraphQL."""
    with dagster_dev(tmp_path, PROJECT) as query:
        yield query


def _worker_pid(query: Query, run_id: str) -> int | None:
    """Pid of a run's process once its step has begun."""
    events = query(EVENTS, id=run_id)["runOrError"]["eventConnection"]["events"]
    messages = [event["message"] for event in events]
    if 'Started execution of step "trained".' not in messages:
        return None
    started = next(message for message in messages if message.startswith("Started process for run (pid: "))
    return int(started.split("pid: ")[1].rstrip(")."))


@pytest.mark.slow
def test_killed_run_fails_frees_its_pool_and_is_tried_again(dev: Query) -> None:
    run_id = launch(dev, "train")
    pids: list[int | None] = []
    wait_for(lambda: pids.append(_worker_pid(dev, run_id)) or pids[-1] is not None, "the step has begun")
    worker = pids[-1]
    assert worker is not None
    os.kill(worker, signal.SIGKILL)

    def ended() -> bool:
        runs = dev(RUNS)["runsOrError"]["results"]
        return [(run["parentRunId"], run["status"]) for run in runs] == [(run_id, "SUCCESS"), (None, "FAILURE")]

    # The retry needs the pool's only slot: it can succeed only if the killed run's slot came free.
    wait_for(ended, "the killed run has failed and its retry has succeeded")


ROOT = Path(__file__).parents[1]
COMMAND_LINE = textwrap.dedent(
    """
    import sys, time
    import dagster as dg
    from workflows_dagster.instance import project_instance
    from workflows_dagster.launcher import end_lost_runs, host_tags
    from workflows_dagster.settings import Settings

    @dg.asset(pool="gpu")
    def pooled() -> None:
        print("holding", flush=True)
        time.sleep(float(sys.argv[1]))

    with project_instance(Settings()) as instance:
        print(len(end_lost_runs(instance)), "lost", flush=True)
        dg.materialize([pooled], instance=instance, tags=host_tags())
        print("done", flush=True)
    """
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with this repository's dagster.yaml, as a checkout has it."""
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", COMMAND_LINE, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_next_run_gets_the_pool_slot_of_a_killed_one() -> None:
    with start(3600) as first:
        assert first.stdout is not None
        assert [first.stdout.readline().strip(), first.stdout.readline().strip()] == ["0 lost", "holding"]
        first.send_signal(signal.SIGKILL)
    with start(0) as second:
        output, _ = second.communicate(timeout=600)
    assert output.split("\n")[:3] == ["1 lost", "holding", "done"]
    with project_instance(Settings()) as instance:
        statuses = sorted(run.status.value for run in instance.get_runs())
    assert statuses == ["FAILURE", "SUCCESS"]


@pytest.mark.usefixtures("folder")
def test_nothing_is_ended_where_nothing_was_lost() -> None:
    @dg.asset
    def made() -> None:
        """A run that ends well."""

    with project_instance(Settings()) as instance:
        dg.materialize([made], instance=instance)
        assert end_lost_runs(instance) == []
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS]
