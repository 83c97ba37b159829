"""Local folders that transactions write into before anything is published."""

import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from workflows_dagster.lib.errors import AlreadyRunningError
from workflows_dagster.lib.process_guard import LOCK_FILE, exclusive

OUTPUT_FOLDER: Final = "output"
"""What a transaction writes into, beside the lock that shows that its process is alive."""


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

        It is removed at the end. It stays where the process dies or is interrupted, for inspection and `sweep`.
        """
        place = self._root / branch
        with exclusive(place):
            output = place / OUTPUT_FOLDER
            output.mkdir()
            try:
                yield output
            except Exception:
                # What was written is under the branch by now, or else was left here for lack of a repository.
                if not any(output.iterdir()):
                    shutil.rmtree(place)
                raise
            # It is published: what cannot be removed now is left to the next sweep.
            shutil.rmtree(place, ignore_errors=True)

    def sweep(self, older_than_s: float) -> list[str]:
        """Removes what nobody works in and nothing was written to for that long; names of the branches."""
        limit = time.time() - older_than_s
        stale = [place for place in sorted(self._root.glob("*")) if _abandoned(place, limit)]
        for place in stale:
            shutil.rmtree(place)
        return [place.name for place in stale]


def _abandoned(place: Path, limit: float) -> bool:
    try:
        with exclusive(place):
            return all(path.lstat().st_mtime < limit for path in place.rglob("*") if path.name != LOCK_FILE)
    except AlreadyRunningError:
        return False
