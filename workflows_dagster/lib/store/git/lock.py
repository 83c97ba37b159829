"""Locks between the processes that use the embedded repository."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from workflows_dagster.lib.errors import StoreUnavailableError

_GATE: Final = "gate.flock"
_WRITERS: Final = "writers.flock"
_WRITERS_TIMEOUT_S: Final = 600.0
_POLL_S: Final = 0.01


@contextmanager
def locked(path: Path, *, shared: bool, timeout_s: float) -> Generator[None]:
    """Holds an advisory lock (flock) on a file, which the kernel takes back from a process that dies.

    Args:
        path: The file; made where it is missing.
        shared: Whether others may hold it shared at the same time.
        timeout_s: How long to wait for it.

    Raises:
        StoreUnavailableError: It was held by others all that time.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _wait_for(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, path, timeout_s)
        try:
            yield
        finally:
            # Explicit, as a forked child that still has the descriptor would keep the lock past its closing here.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, operation: int, path: Path, timeout_s: float) -> None:
    limit = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
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


@contextmanager
def writing(root: Path) -> Generator[None]:
    """The right to write objects that no ref leads to yet, held by any number of writers at once.

    Raises:
        StoreUnavailableError: A prune was under way all the time.
    """
    with ExitStack() as held:
        with locked(root / _GATE, shared=True, timeout_s=_WRITERS_TIMEOUT_S):
            held.enter_context(locked(root / _WRITERS, shared=True, timeout_s=_WRITERS_TIMEOUT_S))
        yield


@contextmanager
def alone(root: Path, timeout_s: float) -> Generator[None]:
    """The right to remove objects, while nobody writes any.

    Raises:
        StoreUnavailableError: Writers were at work all that time.
    """
    # New writers wait at the gate while the last of those at work finish: the kernel would let them in for ever.
    with (
        locked(root / _GATE, shared=False, timeout_s=timeout_s),
        locked(root / _WRITERS, shared=False, timeout_s=timeout_s),
    ):
        yield
