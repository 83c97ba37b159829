"""Local copies of published versions, by digest: each is fetched once, and verified whenever it is handed out."""

import logging
import os
import shutil
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from workflows_dagster.lib.errors import IntegrityError, StoreError
from workflows_dagster.lib.hashing import digest_file
from workflows_dagster.lib.store.version import FileStat, Version, content_digest, stat_folder

Fetch = Callable[[Collection[str], Path], None]
"""Writes the named files of a version into a folder."""

_PARTIAL: Final = ".partial-"
_logger = logging.getLogger(__name__)


class VersionCache:
    """Folders by the digest of their content, and single files by theirs.

    Several processes may use it at once: what is complete appears by one rename. A copy that is damaged is fetched
    again; what is damaged in the repository itself is never handed out.

    Args:
        root: The folder; made when something is first kept.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, staged: Path, digest: str) -> Path:
        """Takes a folder whose content has this digest; afterwards `staged` is gone."""
        for path in staged.rglob("*"):
            if path.is_file():
                # Its folders stay writable: `rm -r` shall still remove them.
                path.chmod(0o444)
        return self._settle(staged, self._root / "folders" / digest)

    def folder(self, version: Version, fetch: Fetch) -> Path:
        """Read-only folder with the whole content of a version.

        Raises:
            IntegrityError: The repository holds other content than was published.
        """
        place = self._root / "folders" / version.digest
        if place.is_dir():
            if stat_folder(place) == version.files:
                os.utime(place)
                return place
            _logger.warning("The local copy of %s in %s is damaged; it is fetched again", version.path, place)
            self._discard(place)
        partial = self._partial()
        try:
            fetch(version.files.keys(), partial)
            _verify(version, stat_folder(partial), version.files)
            return self.keep(partial, version.digest)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def file(self, version: Version, name: str, fetch: Fetch) -> Path:
        """Read-only path of one file of a version; others are not fetched for it.

        Raises:
            IntegrityError: The repository holds other content than was published.
        """
        stat = version.files[name]
        whole = self._root / "folders" / version.digest / name
        single = self._root / "files" / stat.sha256 / Path(name).name
        for path in (whole, single):
            if path.is_file() and digest_file(path) == stat.sha256:
                os.utime(path.parent if path is single else self._root / "folders" / version.digest)
                return path
        self._discard(single.parent)
        partial = self._partial()
        try:
            fetch([name], partial)
            _verify(version, stat_folder(partial), {name: stat})
            (partial / name).chmod(0o444)
            self._settle((partial / name).parent, single.parent)
            return single
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def evict(self, unused_for_s: float) -> int:
        """Removes copies that nobody asked for in that time, and what crashes left; returns the bytes freed."""
        limit = time.time() - unused_for_s
        freed = 0
        for place in [*self._root.glob("folders/*"), *self._root.glob("files/*"), *self._root.glob(f"{_PARTIAL}*")]:
            if place.stat().st_mtime < limit:
                freed += sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
                self._discard(place)
        return freed

    def _partial(self) -> Path:
        partial = self._root / f"{_PARTIAL}{uuid4().hex}"
        partial.mkdir(parents=True)
        return partial

    def _settle(self, folder: Path, place: Path) -> Path:
        place.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            # A folder renamed onto one that is not empty is refused: another process was first with equal content.
            _rename(folder, place)
        os.utime(place)
        return place

    def _discard(self, place: Path) -> None:
        """Removes a copy; set aside by one rename first, since half a folder must not stand under its digest."""
        aside = self._root / f"{_PARTIAL}{uuid4().hex}"
        with suppress(FileNotFoundError):
            place.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)


def _rename(folder: Path, place: Path) -> None:
    try:
        folder.rename(place)
    except OSError as error:
        if place.is_dir():
            raise FileExistsError(place) from error
        raise StoreError(
            "the local cache cannot take a version",
            given=str(error),
            expected=f"a writable folder {place.parent} on the same file system as the staging folder",
            remedy="check its owner, its file system and the room left",
        ) from error


def _verify(version: Version, found: dict[str, FileStat], expected: Collection[str] | dict[str, FileStat]) -> None:
    wanted = {name: version.files[name] for name in expected}
    wrong = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    if wrong:
        raise IntegrityError(
            f"{version.path} at {version.commit[:12]} is not what was published",
            given=f"other content in {wrong}: digest {content_digest(found)[:12]}",
            expected="files with their recorded digests",
            remedy=f"materialize {version.path} again, and check the disk or server that holds the repository",
        )
