"""Locks of the embedded repository between processes, and the errors of the disk below it."""

import errno
import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from workflows_dagster.lib.errors import StoreError, StorePermissionError, StoreUnavailableError, WorkflowError

_POLL_S: Final = 0.01
_REFUSED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def disk_errors(root: Path) -> Generator[None]:
    """Turns errors of the operating system into errors of the store.

    Raises:
        StorePermissionError: Its folder may not be read or written.
        StoreUnavailableError: The disk is full, or does not answer.
    """
    try:
        yield
    except WorkflowError:
        raise
    except OSError as error:
        if error.errno in _REFUSED:
            raise StorePermissionError(
                f"the repository {root} may not be used",
                given=str(error),
                expected="a folder that this user may read and write",
                remedy="check the owner and the mode of the file named above",
            ) from error
        raise StoreUnavailableError(
            f"the repository {root} cannot be used now",
            given=str(error),
            expected="a disk with room that answers",
            remedy="free space or mend the disk, then run it again; nothing that was published is lost",
        ) from error


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


def refused_name(kind: str, name: str) -> StoreError:
    """The error that refuses a name that git cannot hold."""
    return StoreError(
        f"git cannot hold a {kind} of that name",
        given=name,
        expected="a name as `git check-ref-format` accepts it"
        if kind != "file"
        else "a relative POSIX path without '.', '..' and '.git' in it",
        remedy="choose another name",
    )
