"""What a versioned store promises, whichever way it keeps its bytes."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Commit:
    """One published version of one path.

    Attributes:
        id: Identity of the version and its history.
        path: What it is a version of: `asset` or `asset/partition`.
        digest: Digest of the content; equal content has equal digests.
        files: Digest of each file, by POSIX path relative to the folder.
        message: Why it was made, one line.
        metadata: Provenance: run, asset, partition, code version, upstream commits.
        created_at: ISO 8601, UTC.
        parent: The version of the same path before it, or None.
        size_bytes: Bytes of all files.
    """

    id: str
    path: str
    digest: str
    files: Mapping[str, str]
    message: str
    metadata: Mapping[str, str]
    created_at: str
    parent: str | None
    size_bytes: int


@dataclass
class Transaction:
    """A version in the making.

    Attributes:
        branch: Name under which an unfinished one stays for inspection.
        folder: Local folder to write the files into; nobody else sees it.
        metadata: Provenance recorded with the commit; may be added to while the transaction is open.
        commit: The published version, once the transaction has ended well.
    """

    branch: str
    folder: Path
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    commit: Commit | None = None


class VersionedStore(Protocol):
    """Publishes folders atomically and reads them at a commit."""

    def transaction(
        self, path: str, message: str, *, branch: str, metadata: Mapping[str, str]
    ) -> AbstractContextManager[Transaction]:
        """Opens a transaction on one path.

        Leaving it normally publishes the folder in one atomic step. Leaving it by an exception publishes nothing and
        keeps the folder under the branch's name. Content equal to the published version makes no new commit.

        Raises:
            ConflictError: Another writer published other content to the path in between.
            AlreadyRunningError: Another transaction with this branch is under way.
            StoreError: Nothing was written, or something else than regular files.
        """
        ...

    def head(self, path: str) -> Commit | None:
        """The newest published version of a path, or None."""
        ...

    def commit(self, commit_id: str) -> Commit:
        """The record of one commit.

        Raises:
            NotPublishedError: The store holds no such commit.
        """
        ...

    def folder(self, commit_id: str) -> Path:
        """Local, read-only folder with the content of a commit, each file checked against its digest.

        Raises:
            NotPublishedError: The store holds no such commit.
            IntegrityError: A file is missing or not the one that was published.
        """
        ...

    def log(self, path: str) -> Iterator[Commit]:
        """The versions of a path, newest first."""
        ...

    def sweep(self, older_than_s: float) -> list[str]:
        """Removes unfinished transactions that nobody has written to for that long, and names their branches.

        A transaction under way stays, however old.
        """
        ...
