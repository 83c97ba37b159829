"""One published version of one path, and the record of it that is stored beside its files."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from workflows_dagster.lib.errors import IntegrityError, StoreError
from workflows_dagster.lib.hashing import digest_file, digest_record

VERSION_FILE: Final = ".version.json"
"""The record of a version, in the folder of its path. It differs between any two publications: two writers who
publish one path at once are in conflict for it, so that no merge can mix their files."""


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
        """The record that is stored with the files: all but the id of the commit, which depends on it."""
        fields = {name: value for name, value in asdict(self).items() if name != "commit"}
        return (json.dumps(fields, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_record(cls, commit: str, path: str, record: bytes) -> Self:
        """The version that a record is of.

        Raises:
            IntegrityError: It is not a record as `to_record` writes it, or one of another path.
        """
        try:
            fields: dict[str, Any] = json.loads(record)
            fields["files"] = {name: FileStat(**stat) for name, stat in fields["files"].items()}
            version = cls(commit=commit, **fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _foreign_record(commit, path) from error
        if version.path != path or version.digest != content_digest(version.files):
            raise _foreign_record(commit, path)
        return version


def content_digest(files: Mapping[str, FileStat]) -> str:
    """Digest of a folder's content: of the names and digests of its files."""
    return digest_record({name: stat.sha256 for name, stat in files.items()})


def stat_folder(folder: Path) -> dict[str, FileStat]:
    """Digest and size of every file below a folder, by POSIX path, sorted.

    Raises:
        StoreError: It holds a link or another special file, whose content could change after publication.
    """
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise StoreError(
                f"{path.name} is a link or special file",
                given=str(path),
                expected="regular files and folders only",
                remedy="have the step copy the content instead of linking to it",
            )
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): FileStat(digest_file(path), path.stat().st_size) for path in files}


def _foreign_record(commit: str, path: str) -> IntegrityError:
    return IntegrityError(
        f"the record of {path} at {commit[:12]} was damaged or written by something else",
        given=f"{path}/{VERSION_FILE}",
        expected="the record as it was published",
        remedy=f"materialize {path} again, and look for what writes to that path besides this project",
    )
