"""The lock of the embedded repository: one process at a time changes it."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from workflows_dagster.lib.errors import StoreUnavailableError

_POLL_S: Final = 0.01


@contextmanager
def locked(path: Path, timeout_s: float) -> Generator[None]:
    """Holds an advisory lock (flock) on a file, which the kernel takes back from a process that dies.

    Args:
        path: The file; made where it is missing.
        timeout_s: How long to wait for it.

    Raises:
        StoreUnavailableError: Others held it all that time.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _wait_for(descriptor, path, timeout_s)
        try:
            yield
        finally:
            # Explicit, as a forked child that still has the descriptor would keep the lock past its closing here.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, path: Path, timeout_s: float) -> None:
    limit = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= limit:
                raise StoreUnavailableError(
                    f"the lock {path} was held by another process all the time",
                    given=f"{timeout_s:g} s of waiting",
                    expected="writers and prune that are done before that",
                    remedy="try again; `fuser` or `lslocks` names the process that holds it",
                ) from None
            time.sleep(_POLL_S)
        else:
            return
