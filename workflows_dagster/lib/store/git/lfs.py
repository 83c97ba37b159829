"""The contents of larger files, and of all files with review text, in the layout of Git LFS.

A tree holds a pointer of three lines in place of such a file. Its content is the file
`lfs/objects/ab/cd/<sha256>` of the repository: written once, read in place, shown in views by hard links. Unlike git
objects it can be forgotten again, so whatever may have to be forgotten one day belongs here.

Specification: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
"""
# Names are text, not paths: of 2,000 files the making of paths would take as long as the links.
# ruff: noqa: PTH101, PTH110, PTH121

import errno
import os
import re
import shutil
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

from workflows_dagster.lib.hashing import digest_file
from workflows_dagster.lib.store.durable import replacing, sync_file_system
from workflows_dagster.lib.store.git.objects import damaged
from workflows_dagster.lib.store.repository import content_pruned
from workflows_dagster.lib.store.version import FileStat

ATTRIBUTES_FILE: Final = ".gitattributes"

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


@dataclass(frozen=True)
class Pruned:
    """What a prune removed.

    Attributes:
        contents: Files of old versions.
        freed_bytes: Their size.
    """

    contents: int
    freed_bytes: int


class LfsObjects:
    """Contents by their SHA-256. Whoever adds or removes some holds the lock of the repository.

    Args:
        folder: The folder `lfs` of a repository.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._removals = folder / "pruned"
        self._read_removals: dict[str, frozenset[str]] = {}
        self.aside = folder / "tmp"
        """Where files are written that are renamed once they are whole."""

    def place(self, digest: str) -> str:
        """Where a content is kept."""
        return f"{self._folder}/objects/{digest[:2]}/{digest[2:4]}/{digest}"

    def is_sound(self, digest: str) -> bool:
        """Whether a content is there and is what its name says."""
        place = self.place(digest)
        return os.path.exists(place) and digest_file(Path(place)) == digest

    def add(self, files: Mapping[str, str], sound: Collection[str]) -> None:
        """Keeps files as contents: where it can by a link, read-only, else by a copy. The caller syncs at the end.

        A file whose content is kept already becomes a link to it.

        Args:
            files: Digest of each file.
            sound: Digests that were seen to be sound; a content that is there and damaged is replaced.
        """
        kept = {digest for digest in sound if os.path.exists(self.place(digest))}
        for file, digest in files.items():
            place = self.place(digest)
            if digest not in kept:
                with replacing(place, self.aside) as unfinished:
                    link_or_copy(file, unfinished)
                    os.chmod(unfinished, 0o444)
                kept.add(digest)
            elif not os.path.samefile(file, place):
                # On another file system the file stays a copy.
                with suppress(OSError), replacing(file, self.aside) as unfinished:
                    os.link(place, unfinished)
            # The time of this publication, not of the step's last write: prune spares what is young.
            os.utime(place)

    def read(self, digest: str, name: str) -> bytes:
        """A content.

        Raises:
            NotPublishedError: It was removed; the message has the name.
            IntegrityError: It is lost or damaged.
        """
        place = self.place(digest)
        if not self.is_sound(digest):
            if at := self.removed_at([digest]):
                raise content_pruned(name, at)
            raise damaged(name, place, "content of another digest" if os.path.exists(place) else None)
        return Path(place).read_bytes()

    def remove(self, keep: Collection[str], limit: float) -> Pruned:
        """Removes the contents that are not kept and were written before a moment (seconds since 1970).

        What goes is logged first, so that whoever asks for it later can be told.
        """
        stats = {place: place.stat() for place in (self._folder / "objects").glob("??/??/*") if place.name not in keep}
        old = {place: stat.st_size for place, stat in stats.items() if stat.st_mtime < limit}
        if old:
            log = self._removals / datetime.now(UTC).isoformat(timespec="milliseconds")
            with replacing(str(log), self.aside) as unfinished:
                Path(unfinished).write_text("".join(f"{place.name}\n" for place in sorted(old)))
                sync_file_system(self._folder)
            sync_file_system(self._folder)
        for place in old:
            place.unlink()
        # Who writes there holds the lock that the caller holds now: these are of the killed.
        for left in self.aside.iterdir():
            left.unlink()
        return Pruned(len(old), sum(old.values()))

    def removed_at(self, digests: Iterable[str]) -> str | None:
        """When any of these contents was removed, ISO 8601; None if all are there or were never here."""
        asked = frozenset(digests)
        for log in sorted(self._removals.glob("*"), reverse=True):
            if log.name not in self._read_removals:
                self._read_removals[log.name] = frozenset(log.read_text().split())
            if any(not os.path.exists(self.place(digest)) for digest in asked & self._read_removals[log.name]):
                return log.name
        return None


def link_or_copy(source: str, target: str) -> None:
    """Gives a file another name: by a hard link, or a copy where that is impossible."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copyfile(source, target)
