"""The guards are tried on real processes that are really killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import psutil
import pytest

from workflows_dagster.lib.errors import AlreadyRunningError
from workflows_dagster.lib.process_guard import LOCK_FILE, die_with_parent, exclusive

linux = pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's own")

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(3600)
"""
GUARDED_CHILD = """
import time
from workflows_dagster.lib.process_guard import die_with_parent
die_with_parent()
print("ready", flush=True)
time.sleep(3600)
"""
UNGUARDED_CHILD = 'import time; print("ready", flush=True); time.sleep(3600)'
HOLDER = """
import sys, time
from pathlib import Path
from workflows_dagster.lib.process_guard import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(3600)
"""
Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a Python process, waits for its first line, and kills it at the end."""
    with ExitStack() as stack:

        def _start(code: str, *arguments: str) -> tuple[subprocess.Popen[str], str]:
            process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
            stack.callback(_end, process)
            return process, _pipe(process).readline().strip()

        yield _start


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    _pipe(process).close()


def _pipe(process: subprocess.Popen[str]) -> IO[str]:
    if process.stdout is None:
        raise RuntimeError("the process was started with a pipe")
    return process.stdout


def _gone(pid: int, within_s: float = 600) -> bool:
    """Whether a process ends in time; one that nobody has waited for yet counts as ended."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


@linux
def test_child_dies_when_its_parent_is_killed(start: Start) -> None:
    parent, child_pid = start(PARENT, GUARDED_CHILD)
    parent.send_signal(signal.SIGKILL)
    assert _gone(int(child_pid))


@linux
def test_child_without_the_guard_outlives_its_parent(start: Start) -> None:
    """Shows that the test above measures the guard and not the test's own plumbing."""
    parent, child_pid = start(PARENT, UNGUARDED_CHILD)
    parent.kill()
    parent.wait()
    assert not _gone(int(child_pid), within_s=0.5)
    os.kill(int(child_pid), signal.SIGKILL)


@linux
def test_process_kills_itself_when_the_parent_was_gone_before() -> None:
    code = f"from workflows_dagster.lib.process_guard import die_with_parent; die_with_parent({os.getpid() + 1})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL


def test_die_with_parent_does_nothing_on_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert die_with_parent(parent_pid=-1) is False


def test_exclusive_names_the_holder_when_another_process_has_the_folder(start: Start, tmp_path: Path) -> None:
    holder, _ = start(HOLDER, str(tmp_path / "checkpoints"))
    with (
        pytest.raises(AlreadyRunningError, match=rf"held by process {holder.pid} since 20\d\d-") as caught,
        exclusive(tmp_path / "checkpoints"),
    ):
        pass
    assert isinstance(caught.value, BlockingIOError)


def test_exclusive_is_free_again_when_its_holder_was_killed(start: Start, tmp_path: Path) -> None:
    holder, _ = start(HOLDER, str(tmp_path))
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with exclusive(tmp_path):
        assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getpid()


def test_exclusive_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), exclusive(tmp_path):
        raise KeyError("work failed")
    with exclusive(tmp_path):
        pass


def test_exclusive_refuses_a_second_holder_in_the_same_process(tmp_path: Path) -> None:
    with exclusive(tmp_path), pytest.raises(AlreadyRunningError), exclusive(tmp_path):
        pass


def test_exclusive_says_so_when_the_holder_has_not_signed_yet(tmp_path: Path) -> None:
    with exclusive(tmp_path):
        (tmp_path / LOCK_FILE).write_text("")
        with pytest.raises(AlreadyRunningError, match="just started"), exclusive(tmp_path):
            pass
