"""Views: read-only folders that show published versions, checked against their digests whenever they are handed out."""

import errno
import logging
import os
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Final
from uuid import uuid4

from workflows_dagster.lib.errors import IntegrityError, StoreError
from workflows_dagster.lib.hashing import digest_file, digest_text
from workflows_dagster.lib.store.disk import disk_errors
from workflows_dagster.lib.store.version import FileStat, Version, regular_files, stat_folder

Fetch = Callable[[Collection[str], Path], None]
"""Puts the named files of a version into a folder: git links its objects there, lakeFS downloads."""

_PARTIAL: Final = ".partial-"
_LONGEST_BUILDING_S: Final = 86_400.0
"""How long a view may take to be built: that of a large model is downloaded from lakeFS."""

_logger = logging.getLogger(__name__)


class Views:
    """Folders by the digest of their content, and single files by their own digest and name.

    Several processes may use them at once: a view is built aside and appears by one rename. A damaged view is built
    again. Content that is damaged in the repository itself is never handed out; its digest is remembered as doubted
    until the content is published again.

    Where the folder may only be read, its views are used, and others are built in a temporary folder that is gone when
    these views are.

    Args:
        root: Folder of the views; made with the first of them.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, folder: Path, digest: str) -> None:
        """Turns a folder whose content has this digest into its view. The folder is gone afterwards.

        A folder on another file system is left alone: the view is then built when somebody reads the version.
        """
        with disk_errors(self._root):
            _make_read_only(folder)
            try:
                _settle(folder, self._folder(digest))
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise

    def folder(self, version: Version, fetch: Fetch) -> Path:
        """Read-only folder with the whole content of a version.

        Raises:
            IntegrityError: The repository holds other content than was published.
        """
        with disk_errors(self._root):
            there = self._candidates(self._folder(version.digest))
            for view in there:
                # Marked before it is verified: what was used just now is not evicted.
                if _mark_used(view):
                    if _holds(view, version.files):
                        return view
                    _logger.warning("The view of %s in %s is damaged; it is built again", version.path, view)
            view = there[-1]
            self._discard(view)
            with self._fetched(version, version.files, fetch) as partial:
                _settle(partial, view)
        return view

    def file(self, version: Version, name: str, fetch: Fetch) -> Path:
        """Read-only path of one file of a version; others are not fetched for it.

        Raises:
            IntegrityError: The repository holds other content than was published.
        """
        stat = version.files[name]
        base = name.rpartition("/")[2]
        whole = self._folder(version.digest)
        singles = self._candidates(self._root / "files" / f"{stat.sha256}-{digest_text(base)[:8]}")
        single = singles[-1]
        with disk_errors(self._root):
            for view, path in ((whole, whole / name), *((one, one / base) for one in singles)):
                if _mark_used(view) and path.is_file() and digest_file(path) == stat.sha256:
                    return path
            self._discard(single)
            with self._fetched(version, {name: stat}, fetch) as partial:
                _settle((partial / name).parent, single)
        return single / base

    def is_doubted(self, digest: str) -> bool:
        """Whether the repository was seen to hold other content than was published under this digest."""
        return self._doubt(digest).exists()

    def trust(self, digest: str) -> None:
        """Takes back the doubt, once the content was published again."""
        with disk_errors(self._root):
            self._doubt(digest).unlink(missing_ok=True)

    def evict(self, unused_for_s: float, keep: Collection[str] = ()) -> int:
        """Removes views that nobody asked for in that time, and what crashes left.

        Args:
            unused_for_s: Since when nobody asked for them.
            keep: Digests of versions and of single files whose views stay.

        Returns:
            The bytes freed. Files that are links to objects of the repository free nothing.
        """
        limit = time.time() - unused_for_s
        limits = {"folders/*": limit, "files/*": limit, f"{_PARTIAL}*": min(limit, time.time() - _LONGEST_BUILDING_S)}
        freed = 0
        with disk_errors(self._root):
            for pattern, oldest in limits.items():
                for view in sorted(self._root.glob(pattern)):
                    with suppress(FileNotFoundError):
                        if view.name.partition("-")[0] not in keep and view.stat().st_mtime < oldest:
                            freed += self._discard(view)
        return freed

    def _folder(self, digest: str) -> Path:
        return self._root / "folders" / digest

    def _doubt(self, digest: str) -> Path:
        return self._place / "doubted" / digest

    def _candidates(self, view: Path) -> list[Path]:
        """Where a view may stand; the last of these is where it is built."""
        return list(dict.fromkeys((view, self._place / view.relative_to(self._root))))

    @cached_property
    def _place(self) -> Path:
        """Where views are built: the folder of the views, unless that may only be read."""
        there = next(folder for folder in (self._root, *self._root.parents) if folder.exists())
        if os.access(there, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            return self._root
        temporary = tempfile.TemporaryDirectory(prefix="workflows_dagster-views-")
        weakref.finalize(self, temporary.cleanup)
        return Path(temporary.name)

    @contextmanager
    def _fetched(self, version: Version, files: Mapping[str, FileStat], fetch: Fetch) -> Generator[Path]:
        """A folder with these files as the repository holds them, verified and read-only; it is gone at the end."""
        partial = self._place / f"{_PARTIAL}{uuid4().hex}"
        partial.mkdir(parents=True)
        try:
            try:
                fetch(files.keys(), partial)
                _verify(version, stat_folder(partial), files)
            except IntegrityError:
                self._doubt(version.digest).parent.mkdir(parents=True, exist_ok=True)
                self._doubt(version.digest).touch()
                raise
            _make_read_only(partial)
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _discard(self, view: Path) -> int:
        """Removes a view; returns the bytes freed.

        It is renamed first: half a view must not stand under its digest, and nobody may begin to use it meanwhile.
        """
        aside = self._place / f"{_PARTIAL}{uuid4().hex}"
        try:
            view.rename(aside)
        except FileNotFoundError:
            return 0
        found = [path.lstat() for path in aside.rglob("*") if path.is_file()]
        shutil.rmtree(aside, ignore_errors=True)
        return sum(file.st_size for file in found if file.st_nlink == 1)


def _make_read_only(folder: Path) -> None:
    """Protects the files of a folder. Its folders stay writable, so that `rm -r` can remove them."""
    for name, file in regular_files(folder):
        # A link to an object is read-only already. To say so again would cost a write to disk.
        if file.st_mode & 0o222:
            (folder / name).chmod(0o444)


def _settle(folder: Path, view: Path) -> None:
    view.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.rename(view)
    except OSError:
        # A folder renamed onto one that is not empty is refused: another process was first with equal content.
        if not view.is_dir():
            raise
    os.utime(view)


def _mark_used(view: Path) -> bool:
    """Marks a view as used now, where it may be marked; False where there is none."""
    try:
        os.utime(view)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        return view.exists()
    return True


def _holds(view: Path, files: Mapping[str, FileStat]) -> bool:
    try:
        return stat_folder(view) == files
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
