"""The embedded store: ordinary folders, published by atomic rename, with no server.

    versions/<digest>/         one immutable folder for each content
    commits/<id>.json          the record of each commit
    heads/<path>.json          the newest commit of each path; replaced atomically: this is what publishes
    staging/<branch>/          transactions under way (locked by their process), and those that failed

A crash, power cuts included, leaves at most a staged folder, an unreferenced version or a half-written record: nothing
that a reader can reach, and all of it goes with the next `sweep`.
"""

import fcntl
import logging
import shutil
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote
from uuid import uuid4

from workflows_dagster.lib.errors import (
    AlreadyRunningError,
    ConflictError,
    IntegrityError,
    NotPublishedError,
    StoreError,
)
from workflows_dagster.lib.hashing import digest_folder, digest_record, digest_text
from workflows_dagster.lib.process_guard import LOCK_FILE, exclusive
from workflows_dagster.lib.store.durable import TEMPORARY_PREFIX, damaged_record, read_record, seal, sync, write_record
from workflows_dagster.lib.store.interface import Commit, Transaction

OUTPUT_FOLDER: Final = "output"
"""What a transaction writes into, beside the lock that shows that it is alive."""

MAX_NAME_CHARACTERS: Final = 180
"""Longer names are shortened: file systems take 255 bytes, of which records and temporary files need some."""

_logger = logging.getLogger(__name__)


class DirectoryStore:
    """A versioned store in one local folder, safe for several processes of one machine.

    Args:
        root: The folder; made when something is first published.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def transaction(
        self, path: str, message: str, *, branch: str, metadata: Mapping[str, str]
    ) -> Generator[Transaction]:
        """Opens a transaction; see `VersionedStore.transaction`."""
        place = self._root / "staging" / _file_name(branch)
        before = self.head(path)
        with ExitStack() as alive:
            with self._lock():
                alive.enter_context(exclusive(place))
                # A branch belongs to one attempt of one step: what is there is an earlier life of the same attempt.
                _remove(place / OUTPUT_FOLDER)
                (place / OUTPUT_FOLDER).mkdir()
            transaction = Transaction(branch, place / OUTPUT_FOLDER, dict(metadata))
            yield transaction
            transaction.commit = self._publish(path, message, transaction, before)
            with self._lock():
                # It is published: what cannot be removed now is left to the next sweep.
                shutil.rmtree(place, ignore_errors=True)

    def head(self, path: str) -> Commit | None:
        """The newest published version of a path, or None."""
        record = self._root / "heads" / f"{_file_name(path)}.json"
        return self.commit(read_record(record)["commit"]) if record.exists() else None

    def commit(self, commit_id: str) -> Commit:
        """The record of one commit; see `VersionedStore.commit`."""
        record = self._root / "commits" / f"{_file_name(commit_id)}.json"
        if not record.exists():
            raise NotPublishedError(
                f"the store in {self._root} holds no such commit",
                given=commit_id,
                expected="the id of a commit of this store",
                remedy="check that the store setting is the one the asset was published with, or materialize it again",
            )
        fields = read_record(record)
        if digest_record({**fields, "id": ""}) != commit_id:
            raise damaged_record(record)
        return Commit(**fields)

    def folder(self, commit_id: str) -> Path:
        """Read-only folder of a commit, checked; see `VersionedStore.folder`."""
        commit = self.commit(commit_id)
        folder = self._version(commit.digest)
        found = digest_folder(folder)
        if found != dict(commit.files):
            wrong = sorted(name for name in {*found, *commit.files} if found.get(name) != commit.files.get(name))
            raise IntegrityError(
                f"{commit.path} at {commit.id[:12]} is not what was published",
                given=f"other content in {wrong}",
                expected="files with their recorded digests",
                remedy=f"materialize {commit.path} again: equal content takes the place of {folder}",
            )
        return folder

    def log(self, path: str) -> Iterator[Commit]:
        """The versions of a path, newest first."""
        commit = self.head(path)
        while commit is not None:
            yield commit
            commit = self.commit(commit.parent) if commit.parent else None

    def sweep(self, older_than_s: float) -> list[str]:
        """Removes unfinished transactions that nobody has written to for that long, and names their branches.

        What a crash left elsewhere, and no commit refers to, goes too. A transaction under way stays, however old.
        """
        limit = time.time() - older_than_s
        with self._lock():
            stale = [entry for entry in sorted((self._root / "staging").glob("*")) if _abandoned(entry, limit)]
            left_over = [entry for entry in self._unreferenced() if _is_older(entry, limit)]
            for entry in [*stale, *left_over]:
                _remove(entry)
        if left_over:
            _logger.info("Removed what crashes left in %s: %s", self._root, [entry.name for entry in left_over])
        return [unquote(entry.name) for entry in stale]

    def _unreferenced(self) -> Iterator[Path]:
        """Records that were not written to their end, and versions that no commit is of."""
        for folder in ("commits", "heads"):
            yield from (self._root / folder).glob(f"{TEMPORARY_PREFIX}*")
        known = {read_record(record)["digest"] for record in (self._root / "commits").glob("*.json")}
        yield from (entry for entry in (self._root / "versions").glob("*") if entry.name not in known)

    def _publish(self, path: str, message: str, transaction: Transaction, before: Commit | None) -> Commit:
        seal(transaction.folder)
        files = digest_folder(transaction.folder)
        if not files:
            raise StoreError(
                f"nothing was written for {path}",
                given=str(transaction.folder),
                expected="at least one file",
                remedy="fix the step: it ended without an output",
            )
        size_bytes = sum((transaction.folder / name).stat().st_size for name in files)
        digest = digest_record(files)
        with self._lock():
            now = self.head(path)
            if now is not None and now.digest == digest:
                self._keep_version(transaction.folder, digest)
                return now
            if (now and now.id) != (before and before.id):
                raise ConflictError(
                    f"{path} was published by another run in between",
                    given=f"head {now and now.id}",
                    expected=f"head {before and before.id}",
                    remedy="run this asset again: it then starts from the newer version",
                )
            self._keep_version(transaction.folder, digest)
            nameless = Commit(
                id="",
                path=path,
                digest=digest,
                files=files,
                message=message,
                metadata=transaction.metadata,
                created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                parent=now.id if now else None,
                size_bytes=size_bytes,
            )
            commit = replace(nameless, id=digest_record(asdict(nameless)))
            write_record(self._root / "commits" / f"{commit.id}.json", asdict(commit))
            write_record(self._root / "heads" / f"{_file_name(path)}.json", {"commit": commit.id})
        return commit

    def _keep_version(self, staged: Path, digest: str) -> None:
        """Has the staged content stand under its digest; damaged content of that name does not survive."""
        version = self._version(digest)
        version.parent.mkdir(parents=True, exist_ok=True)
        if version.exists():
            if digest_record(digest_folder(version)) == digest:
                return
            # Set aside by one rename, since a removal that is interrupted would leave half of it under its name.
            version.rename(self._root / "staging" / f"damaged-{digest}-{uuid4().hex}")
        staged.rename(version)
        sync(version.parent)

    def _version(self, digest: str) -> Path:
        return self._root / "versions" / digest

    @contextmanager
    def _lock(self) -> Generator[None]:
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _abandoned(place: Path, limit: float) -> bool:
    """Whether no process works in a folder of staging, and nothing was written there since `limit`."""
    if not place.is_dir() or not _is_older(place, limit):
        return False
    try:
        with exclusive(place):
            return all(_is_older(path, limit) for path in place.rglob("*") if path.name != LOCK_FILE)
    except AlreadyRunningError:
        return False


def _is_older(path: Path, limit: float) -> bool:
    return path.lstat().st_mtime < limit


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _file_name(path: str) -> str:
    """One safe file name for a path; a leading dot would collide with temporary files."""
    name = quote(path, safe="").replace(".", "%2E")
    return name if len(name) <= MAX_NAME_CHARACTERS else f"{name[:100]}~{digest_text(path)}"
