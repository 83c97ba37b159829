"""What a killed command line leaves behind does not hold up the next one."""

import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import dagster as dg
import pytest

from workflows_dagster.instance import project_instance
from workflows_dagster.recovery import end_lost_runs
from workflows_dagster.settings import Settings

ROOT = Path(__file__).parents[1]
PROGRAM = textwrap.dedent(
    """
    import sys, time
    import dagster as dg
    from workflows_dagster.instance import project_instance
    from workflows_dagster.launcher import host_tags
    from workflows_dagster.recovery import end_lost_runs
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
    command = [sys.executable, "-c", PROGRAM, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_next_run_gets_the_pool_slot_of_a_killed_one() -> None:
    with start(600) as first:
        assert first.stdout is not None
        assert [first.stdout.readline().strip(), first.stdout.readline().strip()] == ["0 lost", "holding"]
        first.send_signal(signal.SIGKILL)
    with start(0) as second:
        output, _ = second.communicate(timeout=120)
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
