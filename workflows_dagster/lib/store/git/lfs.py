"""The contents of larger files, and of all files with review text, in the layout of Git LFS.

A tree holds a pointer of three lines in place of such a file. Its content is the file
`lfs/objects/ab/cd/<sha256>` of the repository: written once, read in place, shown in views by hard links. Unlike git
objects it can be forgotten again, so whatever may have to be forgotten one day belongs here.

Specification: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
"""

import errno
import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final
from uuid import uuid4

from workflows_dagster.lib.hashing import digest_file
from workflows_dagster.lib.store.durable import rename_into, sync_file_system
from workflows_dagster.lib.store.version import FileStat

ATTRIBUTES_FILE: Final = ".gitattributes"

_THREADS: Final = 4
_BEGINNING_S: Final = 60.0
"""How long a folder may belong to a writer that is about to lock it."""

_MOST_BYTES: Final = 64 * 1024
_ORDINARY_SUFFIXES: Final = (".json", ".md", ".txt")
_PLAIN_NAME: Final = re.compile(r"[\w./-]{1,200}", re.ASCII)
_NO_LINK: Final = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)


def is_ordinary(name: str, size_bytes: int) -> bool:
    """Whether a file is an ordinary git object: a small report, a record or a note.

    Texts of reviews belong in files of other kinds, such as Parquet. Only names that need no quoting in
    `.gitattributes` qualify; other files do no harm under LFS.
    """
    small = size_bytes < _MOST_BYTES and PurePosixPath(name).suffix in _ORDINARY_SUFFIXES
    return small and _PLAIN_NAME.fullmatch(name) is not None


def attributes(ordinary: Iterable[str], *, top: bool = False) -> bytes:
    """The `.gitattributes` of a folder: git-lfs takes every file for a pointer but those that are named.

    Args:
        ordinary: Names relative to the folder.
        top: Whether it is the folder at the top, which says so for all below.
    """
    lines = ["* filter=lfs diff=lfs merge=lfs -text"] if top else []
    lines += [f"/{name} !filter !diff !merge !text" for name in sorted([ATTRIBUTES_FILE, *ordinary])]
    return ("\n".join(lines) + "\n").encode()


def pointer(stat: FileStat) -> bytes:
    """What stands in a tree for a content. An empty file stands for itself, as the specification says."""
    from dulwich.lfs import LFSPointer

    return LFSPointer(stat.sha256, stat.size_bytes).to_bytes() if stat.size_bytes else b""


def pointed_at(blob: bytes) -> str | None:
    """Digest of the content that a pointer stands for; None for an ordinary file."""
    from dulwich.lfs import LFSPointer

    found = LFSPointer.from_bytes(blob) if len(blob) < 1024 else None
    return found.oid if found else None


class LfsObjects:
    """Contents by their SHA-256.

    Args:
        folder: The folder `lfs` of a repository.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.aside = folder / "tmp"
        """Where files are written that are renamed once they are whole."""
        self._read_logs: dict[str, frozenset[str]] = {}

    def place(self, digest: str) -> Path:
        """Where a content is kept."""
        return Path(self._place(digest))

    def link(self, digest: str, target: str) -> None:
        """Shows a content under another name: by a hard link, or a copy where that is impossible.

        Raises:
            FileNotFoundError: There is no such content.
        """
        _link(self._place(digest), target)

    @contextmanager
    def incoming(self, files: Mapping[Path, str]) -> Generator[Callable[[], None]]:
        """Brings contents to the disk of the repository; what it yields puts them in place.

        Others need not wait meanwhile: the caller takes the lock of the repository afterwards, and syncs at the end.
        Where it can, it links files instead of copying them, and makes them read-only. A content that is there already
        stays, unless it is damaged; a file with the same content becomes a link to it.

        Args:
            files: Digest of each file.
        """
        folder = self.aside / uuid4().hex
        folder.mkdir()
        # Tells prune that this is no leftover, whatever its age.
        held = os.open(folder, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_SH)
        contents = {digest: file for file, digest in files.items()}
        sound = {
            digest for digest in contents if (place := self.place(digest)).exists() and digest_file(place) == digest
        }
        try:
            for digest, file in contents.items():
                target = folder / digest
                _link(file, target)
                target.chmod(0o444)
                # The time of this publication, not of the step's last write: prune spares what is young.
                os.utime(target)
            sync_file_system(folder)
            yield partial(self._settle, folder, files, sound)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)

    def _settle(self, folder: Path, files: Mapping[Path, str], sound: Collection[str]) -> None:
        def put(digest: str) -> None:
            place = self.place(digest)
            if digest in sound and place.exists():
                os.utime(place)
            else:
                rename_into(folder / digest, place)

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(put, set(files.values())))
        for file, digest in files.items():
            if not os.path.samestat(file.stat(), self.place(digest).stat()):
                again = folder / uuid4().hex
                # On another file system the file stays a copy.
                with suppress(OSError):
                    os.link(self.place(digest), again)
                    again.replace(file)

    def remove(self, keep: Collection[str], limit: float) -> tuple[int, int]:
        """Removes the contents that are not kept and were written before a moment (seconds since 1970).

        What goes is logged first, so that whoever asks for it later can be told. The caller holds the lock.

        Returns:
            How many went, and their bytes.
        """
        old = {place: place.stat().st_size for place in self._all() if _is_old(place, limit) and place.name not in keep}
        if old:
            self._log(sorted(place.name for place in old))
        for place in old:
            place.unlink()
        for left in self.aside.glob("*"):
            # A writer that ends meanwhile removes its folder itself.
            with suppress(FileNotFoundError):
                if left.is_file():
                    # Half an object: who writes objects holds the lock that the caller holds now.
                    left.unlink()
                elif _is_abandoned(left):
                    shutil.rmtree(left, ignore_errors=True)
        return len(old), sum(old.values())

    def removed_at(self, digests: Iterable[str]) -> str | None:
        """When any of these contents was removed, ISO 8601; None if all are there or were never here."""
        asked = frozenset(digests)
        for log in sorted(self._logs.glob("*"), reverse=True):
            if log.name not in self._read_logs:
                self._read_logs[log.name] = frozenset(log.read_text().split())
            if any(not self.place(digest).exists() for digest in asked & self._read_logs[log.name]):
                return log.name
        return None

    def _place(self, digest: str) -> str:
        # Text: of 2,000 files the making of paths would take as long as the links.
        return f"{self._folder}/objects/{digest[:2]}/{digest[2:4]}/{digest}"

    @property
    def _logs(self) -> Path:
        return self._folder / "pruned"

    def _log(self, digests: list[str]) -> None:
        self._logs.mkdir(exist_ok=True)
        unfinished = self.aside / uuid4().hex
        unfinished.write_text("".join(f"{digest}\n" for digest in digests))
        sync_file_system(self._folder)
        unfinished.rename(self._logs / datetime.now(UTC).isoformat(timespec="milliseconds"))
        sync_file_system(self._folder)

    def _all(self) -> Iterator[Path]:
        return (self._folder / "objects").glob("??/??/*")


def _is_abandoned(folder: Path) -> bool:
    """Whether the writer of a folder of `incoming` was killed."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(held)
    return _is_old(folder, time.time() - _BEGINNING_S)


def _is_old(path: Path, limit: float) -> bool:
    return path.stat().st_mtime < limit


def _link(source: Path | str, target: Path | str) -> None:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copyfile(source, target)
