"""Local copies of published versions, by digest: each is fetched once, and verified whenever it is handed out."""

import logging
import os
import shutil
import time
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from workflows_dagster.lib.errors import IntegrityError, StoreError
from workflows_dagster.lib.hashing import digest_file, digest_text
from workflows_dagster.lib.store.disk import disk_errors
from workflows_dagster.lib.store.version import FileStat, Version, stat_folder

Fetch = Callable[[Collection[str], Path], None]
"""Writes the named files of a version into a folder."""

_PARTIAL: Final = ".partial-"
_logger = logging.getLogger(__name__)


class VersionCache:
    """Folders by the digest of their content, and single files by their name and digest.

    Several processes may use it at once: what is complete appears by one rename. A copy that is damaged is fetched
    again; what is damaged in the repository itself is never handed out, and remembered until it is published anew.

    Args:
        root: The folder; made when something is first kept.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, folder: Path, digest: str) -> Path:
        """Takes a folder whose content has this digest. It is gone afterwards, unless there was such a copy."""
        with disk_errors(self._root):
            for path in folder.rglob("*"):
                if path.is_file():
                    # Its folders stay writable: `rm -r` shall still remove them.
                    path.chmod(0o444)
            return _settled(folder, self._folder(digest))

    def folder(self, version: Version, fetch: Fetch) -> Path:
        """Read-only folder with the whole content of a version.

        Raises:
            IntegrityError: The repository holds other content than was published.
        """
        place = self._folder(version.digest)
        with disk_errors(self._root):
            # Before it is verified: what was used just now is not evicted.
            if _touched(place):
                if _holds(place, version.files):
                    return place
                _logger.warning("The local copy of %s in %s is damaged; it is fetched again", version.path, place)
                self._discard(place)
            with self._fetched(version, version.files, fetch) as partial:
                return self.keep(partial, version.digest)

    def file(self, version: Version, name: str, fetch: Fetch) -> Path:
        """Read-only path of one file of a version; others are not fetched for it.

        Raises:
            IntegrityError: The repository holds other content than was published.
        """
        stat = version.files[name]
        base = name.rpartition("/")[2]
        whole = self._folder(version.digest)
        single = self._root / "files" / digest_text(stat.sha256, base)
        with disk_errors(self._root):
            for place, path in ((whole, whole / name), (single, single / base)):
                if _touched(place) and path.is_file() and digest_file(path) == stat.sha256:
                    return path
            self._discard(single)
            with self._fetched(version, {name: stat}, fetch) as partial:
                (partial / name).chmod(0o444)
                return _settled((partial / name).parent, single) / base

    def is_doubted(self, digest: str) -> bool:
        """Whether the repository was seen to hold other content than was published under this digest."""
        return self._doubt(digest).exists()

    def trust(self, digest: str) -> None:
        """Takes back the doubt, once the content was published anew."""
        with disk_errors(self._root):
            self._doubt(digest).unlink(missing_ok=True)

    def evict(self, unused_for_s: float) -> int:
        """Removes copies that nobody asked for in that time, and what crashes left; returns the bytes freed."""
        limit = time.time() - unused_for_s
        freed = 0
        with disk_errors(self._root):
            for pattern in ("folders/*", "files/*", f"{_PARTIAL}*"):
                for place in sorted(self._root.glob(pattern)):
                    with suppress(FileNotFoundError):
                        if place.stat().st_mtime < limit:
                            freed += self._discard(place)
        return freed

    def _folder(self, digest: str) -> Path:
        return self._root / "folders" / digest

    def _doubt(self, digest: str) -> Path:
        return self._root / "doubted" / digest

    @contextmanager
    def _fetched(self, version: Version, files: Mapping[str, FileStat], fetch: Fetch) -> Generator[Path]:
        """A folder with these files as the repository holds them, checked; it is gone at the end."""
        partial = self._partial()
        try:
            try:
                fetch(files.keys(), partial)
                _verify(version, stat_folder(partial), files)
            except IntegrityError:
                self._doubt(version.digest).parent.mkdir(parents=True, exist_ok=True)
                self._doubt(version.digest).touch()
                raise
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _partial(self) -> Path:
        partial = self._root / f"{_PARTIAL}{uuid4().hex}"
        partial.mkdir(parents=True)
        return partial

    def _discard(self, place: Path) -> int:
        """Removes a copy; returns its bytes.

        It is set aside by one rename first, since half a folder must not stand under its digest. Before that there is
        no time for somebody else to come and use it.
        """
        aside = self._root / f"{_PARTIAL}{uuid4().hex}"
        try:
            place.rename(aside)
        except FileNotFoundError:
            return 0
        size_bytes = sum(path.lstat().st_size for path in aside.rglob("*") if path.is_file())
        shutil.rmtree(aside, ignore_errors=True)
        return size_bytes


def _settled(folder: Path, place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.rename(place)
    except OSError:
        # A folder renamed onto one that is not empty is refused: another process was first with equal content.
        if not place.is_dir():
            raise
    os.utime(place)
    return place


def _touched(place: Path) -> bool:
    """Marks a copy as used now; False where there is none."""
    try:
        os.utime(place)
    except FileNotFoundError:
        return False
    return True


def _holds(place: Path, files: Mapping[str, FileStat]) -> bool:
    try:
        return stat_folder(place) == files
    except (StoreError, FileNotFoundError):
        return False


def _verify(version: Version, found: Mapping[str, FileStat], wanted: Mapping[str, FileStat]) -> None:
    wrong = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    if wrong:
        raise IntegrityError(
            f"{version.path} at {version.commit[:12]} is not what was published",
            given=_digests(found, wrong),
            expected=f"the recorded digests {_digests(wanted, wrong)}",
            remedy=f"materialize {version.path} again, and check the disk or server that holds the repository",
        )


def _digests(files: Mapping[str, FileStat], names: Collection[str]) -> dict[str, str]:
    return {name: files[name].sha256[:12] if name in files else "no such file" for name in names}
