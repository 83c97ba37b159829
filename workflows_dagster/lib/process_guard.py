"""Guards against two processes doing the same work: nothing outlives its parent, one owner for each folder."""

import ctypes
import fcntl
import json
import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from workflows_dagster.lib.errors import AlreadyRunningError

LOCK_FILE: Final = ".lock"
_PR_SET_PDEATHSIG: Final = 1


def die_with_parent(parent_pid: int | None = None) -> bool:
    """Has the kernel kill this process when the one that started it dies, however it dies.

    Linux binds this to the *thread* that started the process: do not call it in a process started by a thread that
    ends before its process does. Elsewhere it does nothing, and an orphan is then stopped by `exclusive` alone.

    Args:
        parent_pid: Pid of the parent as known before this process was started. Without it, a parent that was gone
            before the call goes unnoticed.

    Returns:
        Whether the guard is set; False on other systems than Linux.

    Raises:
        OSError: The kernel refused.
    """
    if sys.platform != "linux":
        return False
    expected = os.getppid() if parent_pid is None else parent_pid
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl(PR_SET_PDEATHSIG): {os.strerror(code)}")
    # A parent that died before prctl sends no signal any more: the process already has another one.
    if os.getppid() != expected:
        os.kill(os.getpid(), signal.SIGKILL)
    return True


@contextmanager
def exclusive(folder: Path) -> Generator[None]:
    """Holds a folder for one process; the kernel gives it back when that process ends, however it ends.

    Args:
        folder: What only one process may work on; made if it is missing. A file `.lock` in it names the holder and
            stays behind afterwards: removing it could let two processes lock two different files.

    Raises:
        AlreadyRunningError: Another process holds the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise AlreadyRunningError(
                f"{folder} is in use by another process",
                given=_holder(lock.read()),
                expected="a folder that no running process works on",
                remedy="wait until it ends, or stop it, then run this step again",
            ) from error
        lock.truncate(0)
        json.dump({"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}, lock)
        lock.flush()
        yield


def _holder(record: str) -> str:
    """Who holds a lock; the record is empty for the moment between taking the lock and signing it."""
    if not record:
        return "held by a process that has just started"
    holder = json.loads(record)
    return f"held by process {holder['pid']} since {holder['since']}"
