"""The lock of the embedded repository: one process at a time changes it."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from workflows_dagster.lib.errors import StoreUnavailableError


@contextmanager
def locked(path: Path, timeout_s: float) -> Generator[None]:
    """Holds an advisory lock (flock) on a file, which the kernel takes back from a process that dies.

    Raises:
        StoreUnavailableError: Others held it all that time.
    """
    retrying = Retrying(
        retry=retry_if_exception_type(BlockingIOError), wait=wait_fixed(0.01), stop=stop_after_delay(timeout_s)
    )
    with path.open("a") as file:
        try:
            retrying(fcntl.flock, file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except RetryError as error:
            raise StoreUnavailableError(
                f"the lock {path} was held by another process all the time",
                given=f"{timeout_s:g} s of waiting",
                expected="writers and prune that are done before that",
                remedy="try again; `fuser` or `lslocks` names the process that holds it",
            ) from error
        try:
            yield
        finally:
            # Explicit, as a forked child that still has the file open would keep the lock past its closing here.
            fcntl.flock(file, fcntl.LOCK_UN)
