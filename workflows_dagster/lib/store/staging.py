"""Local folders that transactions write into before anything is published."""

import shutil
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from workflows_dagster.lib.errors import AlreadyRunningError
from workflows_dagster.lib.process_guard import LOCK_FILE, exclusive
from workflows_dagster.lib.store.disk import disk_errors

OUTPUT_FOLDER: Final = "output"
"""What a transaction writes into, beside the lock that shows that its process is alive."""

_BEGINNING_S: Final = 60.0
"""How long an empty folder may belong to a transaction that is about to lock it."""

_ENDED: Final = (FileNotFoundError, FileExistsError)
"""What locking a folder raises while its transaction ends and removes it; `mkdir` raises the second."""


class Staging:
    """The transactions under way on this machine, and those whose process was killed.

    Args:
        root: The folder; made when a transaction begins.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def open(self, branch: str) -> Generator[Path]:
        """An empty folder for one transaction, held by this process.

        It is removed at the end. It stays for inspection and `sweep` where the process dies or is interrupted, or where
        an error leaves something in it.

        Raises:
            AlreadyRunningError: A transaction on that branch is under way.
            StoreUnavailableError: The disk is full.
            StorePermissionError: The folder may not be written.
        """
        place = self._root / branch
        output = place / OUTPUT_FOLDER
        with ExitStack() as held:
            with disk_errors(place):
                held.enter_context(exclusive(place))
                output.mkdir()
            try:
                yield output
            except Exception:
                if output.is_dir() and not any(output.iterdir()):
                    shutil.rmtree(place, ignore_errors=True)
                raise
            # It is published: what cannot be removed now is left to the next sweep. The lock goes last, so that a
            # sweep meanwhile does not take this for a dead transaction.
            shutil.rmtree(output, ignore_errors=True)
            shutil.rmtree(place, ignore_errors=True)

    def holds(self, branch: str) -> bool:
        """Whether a transaction on that branch is under way on this machine."""
        place = self._root / branch
        with disk_errors(place):
            try:
                if place.is_dir():
                    with exclusive(place):
                        pass
            except AlreadyRunningError:
                return True
            except _ENDED:
                return False
        return False

    def sweep(self, older_than_s: float) -> list[str]:
        """Removes folders that no transaction holds and nothing was written to for that long; names their branches."""
        limit = time.time() - older_than_s
        with disk_errors(self._root):
            return [place.name for place in sorted(self._root.glob("*")) if _removed(place, limit)]


def _removed(place: Path, limit: float) -> bool:
    if not (place / OUTPUT_FOLDER).is_dir():
        # Without it nobody can tell a dead transaction from one that is between making the folder and locking it.
        if _mtime(place) < min(limit, time.time() - _BEGINNING_S):
            shutil.rmtree(place, ignore_errors=True)
        return False
    try:
        with exclusive(place):
            written = [path for path in place.rglob("*") if path.name != LOCK_FILE]
            if not written or any(_mtime(path) >= limit for path in written):
                return False
            shutil.rmtree(place, ignore_errors=True)
    except (AlreadyRunningError, *_ENDED):
        return False
    return True


def _mtime(path: Path) -> float:
    """When a file or folder was last written to; long ago if another process has just removed it."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return 0.0
