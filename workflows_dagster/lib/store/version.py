"""One published version of one path, and the record of it that is stored beside its files."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from workflows_dagster.lib.errors import IntegrityError, StoreError
from workflows_dagster.lib.hashing import digest_file, digest_record

VERSION_FILE: Final = ".version.json"
"""The record of a version, in the folder of its path. No two publications have equal records: if two writers publish
one path at once, the record alone puts them in conflict, so no merge can mix their files."""

_RESERVED: Final = (".git", ".gitattributes", ".gitmodules", VERSION_FILE)
_LARGE_BYTES: Final = 2**20
_THREADS: Final = 4


@dataclass(frozen=True)
class FileStat:
    """Digest (hex SHA-256) and size of one file."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Version:
    """One published version of one path.

    Attributes:
        commit: Id of the commit that holds it; "" in one that is not committed yet.
        path: What it is a version of: `asset` or `asset/partition`.
        digest: Digest of the content; equal content has equal digests.
        files: Digest and size of each file, by POSIX path relative to the folder.
        message: Why it was made, one line.
        metadata: Provenance: run, asset, partition, code version, audits, upstream commits.
        created_at: ISO 8601, UTC.
        parent: Commit of the version of the same path before it, or None.
    """

    commit: str
    path: str
    digest: str
    files: Mapping[str, FileStat]
    message: str
    metadata: Mapping[str, str]
    created_at: str
    parent: str | None

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size_bytes for file in self.files.values())

    def to_record(self) -> bytes:
        """The record that is stored with the files: everything but the commit id, which depends on the record."""
        fields = {**vars(self), "files": {name: vars(stat) for name, stat in self.files.items()}}
        del fields["commit"]
        return (json.dumps(fields, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_record(cls, commit: str, path: str, record: bytes) -> Self:
        """The version that a record describes.

        Raises:
            IntegrityError: `to_record` did not write it, or wrote it for another path.
        """
        try:
            fields: dict[str, Any] = json.loads(record)
            fields["files"] = {name: FileStat(**stat) for name, stat in fields["files"].items()}
            version = cls(commit=commit, **fields)
            sound = version.path == path and version.digest == content_digest(version.files)
            sound = sound and all(_is_sound(name, stat) for name, stat in version.files.items())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _foreign_record(commit, path) from error
        if not sound:
            raise _foreign_record(commit, path)
        return version


def content_digest(files: Mapping[str, FileStat]) -> str:
    """Digest of a folder's content: of the names and digests of its files."""
    return digest_record({name: stat.sha256 for name, stat in files.items()})


def stat_folder(folder: Path) -> dict[str, FileStat]:
    """Digest and size of every file below a folder, by POSIX path, sorted; errors as `regular_files`."""
    sizes = {name: file.st_size for name, file in sorted(regular_files(folder))}
    large = [name for name, size in sizes.items() if size >= _LARGE_BYTES]
    with ThreadPoolExecutor(_THREADS) as pool:
        digests = dict(zip(large, pool.map(lambda name: digest_file(folder / name), large), strict=True))
    # For small files the threads would cost more than they save, and so would a buffer of their own.
    for name in sizes.keys() - digests.keys():
        with open(f"{folder}/{name}", "rb", buffering=0) as file:  # noqa: PTH123  # a path takes as long as the file
            digests[name] = hashlib.sha256(file.read()).hexdigest()
    return {name: FileStat(digests[name], size) for name, size in sizes.items()}


def regular_files(folder: Path, below: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """POSIX path of every file below a folder, and what the system knows of it.

    Raises:
        StoreError: It holds a link or another special file, whose content could change after publication, or a name
            that not every repository can hold.
    """
    with os.scandir(folder / below) as entries:
        for entry in entries:
            if not _is_portable(entry.name):
                raise StoreError(
                    f"no file or folder may be published under the name {entry.name!r}",
                    given=entry.path,
                    expected=f"a name in UTF-8 without control characters, none of {', '.join(_RESERVED)}",
                    remedy="have the step choose another name",
                )
            if entry.is_dir(follow_symlinks=False):
                yield from regular_files(folder, f"{below}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                yield f"{below}{entry.name}", entry.stat(follow_symlinks=False)
            else:
                raise StoreError(
                    f"{entry.name!r} is a link or special file",
                    given=entry.path,
                    expected="regular files and folders only",
                    remedy="have the step copy the content instead of linking to it",
                )


def _is_portable(name: str) -> bool:
    """Whether a name can be used in git and in lakeFS, and has no special meaning there."""
    # Python shows the bytes of a name that is not UTF-8 as lone surrogates.
    return name.lower() not in _RESERVED and not re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", name)


def _is_sound(name: str, stat: FileStat) -> bool:
    """Whether a name stays inside the folder it is fetched into, and the digest is well formed."""
    inside = all(part not in ("", ".", "..") for part in name.split("/"))
    return inside and re.fullmatch("[0-9a-f]{64}", stat.sha256) is not None and stat.size_bytes >= 0


def _foreign_record(commit: str, path: str) -> IntegrityError:
    return IntegrityError(
        f"the record of {path} at {commit[:12]} was damaged or written by something else",
        given=f"{path}/{VERSION_FILE}",
        expected="the record as it was published",
        remedy=f"materialize {path} again, and look for what writes to that path besides this project",
    )
