"""The embedded store: ordinary folders, published by atomic rename, with no server.

    versions/<digest>/         one immutable folder for each content
    commits/<id>.json          the record of each commit
    heads/<path>.json          the newest commit of each path; replaced atomically: this is what publishes
    staging/<branch>/          transactions under way, and those that failed

A crash leaves at most a staged folder or an unreferenced version: nothing that a reader can reach.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote
from uuid import uuid4

from workflows_dagster.lib.errors import ConflictError, IntegrityError, NotPublishedError, StoreError
from workflows_dagster.lib.hashing import digest_folder, digest_record
from workflows_dagster.lib.store.interface import Commit, Transaction


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
        staged = self._root / "staging" / _file_name(branch)
        # A branch belongs to one attempt of one step: what is there is an earlier life of the same attempt.
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        before = self.head(path)
        transaction = Transaction(branch, staged, dict(metadata))
        yield transaction
        transaction.commit = self._publish(path, message, transaction, before)

    def head(self, path: str) -> Commit | None:
        """The newest published version of a path, or None."""
        try:
            text = (self._root / "heads" / f"{_file_name(path)}.json").read_text("utf-8")
        except FileNotFoundError:
            return None
        return self.commit(json.loads(text)["commit"])

    def commit(self, commit_id: str) -> Commit:
        """The record of one commit; see `VersionedStore.commit`."""
        try:
            record = (self._root / "commits" / f"{_file_name(commit_id)}.json").read_text("utf-8")
        except FileNotFoundError as error:
            raise NotPublishedError(
                f"the store in {self._root} holds no such commit",
                given=commit_id,
                expected="the id of a commit of this store",
                remedy="check that the store setting is the one the asset was published with, or materialize it again",
            ) from error
        return Commit(**json.loads(record))

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
                remedy=f"delete {folder} and materialize {commit.path} again",
            )
        return folder

    def log(self, path: str) -> Iterator[Commit]:
        """The versions of a path, newest first."""
        commit = self.head(path)
        while commit is not None:
            yield commit
            commit = self.commit(commit.parent) if commit.parent else None

    def sweep(self, older_than_s: float) -> list[str]:
        """Removes unfinished transactions older than that, and names their branches."""
        staging = self._root / "staging"
        limit = time.time() - older_than_s
        stale = [entry for entry in sorted(staging.glob("*")) if entry.stat().st_mtime < limit]
        for entry in stale:
            shutil.rmtree(entry)
        return [unquote(entry.name) for entry in stale]

    def _publish(self, path: str, message: str, transaction: Transaction, before: Commit | None) -> Commit:
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
                shutil.rmtree(transaction.folder)
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
            self._write(self._root / "commits" / f"{commit.id}.json", asdict(commit))
            self._write(self._root / "heads" / f"{_file_name(path)}.json", {"commit": commit.id})
        return commit

    def _keep_version(self, staged: Path, digest: str) -> None:
        version = self._version(digest)
        version.parent.mkdir(parents=True, exist_ok=True)
        if version.exists() and digest_record(digest_folder(version)) == digest:
            shutil.rmtree(staged)
            return
        # Damaged or half-deleted content of the same name must not survive a publication.
        shutil.rmtree(version, ignore_errors=True)
        staged.rename(version)

    def _version(self, digest: str) -> Path:
        return self._root / "versions" / digest

    @contextmanager
    def _lock(self) -> Generator[None]:
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @staticmethod
    def _write(path: Path, record: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid4().hex}")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(record, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def _file_name(path: str) -> str:
    """One safe file name for a path; a leading dot would collide with temporary files."""
    return quote(path, safe="").replace(".", "%2E")
