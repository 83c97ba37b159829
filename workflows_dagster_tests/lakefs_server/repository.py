"""One repository: what its branches hold, and every way to change that."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from workflows_dagster_tests.lakefs_server.commits import Commit
from workflows_dagster_tests.lakefs_server.comparison import merged
from workflows_dagster_tests.lakefs_server.entries import Entries, Entry, differences
from workflows_dagster_tests.lakefs_server.history import History, meta_range_id
from workflows_dagster_tests.lakefs_server.names import check_branch, check_path, check_ref, check_tag, is_branch
from workflows_dagster_tests.lakefs_server.references import Resolved, commit_of, resolve
from workflows_dagster_tests.lakefs_server.refusal import Refused, not_found, prefixed
from workflows_dagster_tests.lakefs_server.staging import Changes, Staging

STRATEGIES = {"": "default", "dest-wins": "dest-wins", "source-wins": "source-wins"}


@dataclass(frozen=True)
class Description:
    """What is fixed when a repository is made."""

    id: str
    storage_namespace: str
    default_branch: str
    creation_date: int

    def to_answer(self) -> dict[str, Any]:
        return vars(self) | {"storage_id": "", "read_only": False}


@dataclass(frozen=True)
class Upload:
    """Content that was received whole."""

    blob: str
    size_bytes: int
    checksum: str


class Repository:
    """A repository below a folder; safe for use by several threads.

    Args:
        folder: Its folder.
        description: What it is.
    """

    def __init__(self, folder: Path, description: Description) -> None:
        self.description = description
        self.history = History(folder / "store.git")
        self._staging = Staging(folder / "staged")
        self._uploads = folder / "uploads"
        self._uploads.mkdir(exist_ok=True)
        for left in self._uploads.iterdir():
            left.unlink()
        # Whoever changes a branch, or what is staged on one, holds it.
        self._lock = threading.RLock()

    def begin(self) -> None:
        """Makes the first commit and the default branch."""
        first = Commit("Repository created", "", time.time_ns(), {}, [], "", 1)
        self.history.move_branch(self.description.default_branch, self.history.add(first, {}))

    # Content

    def receive(self, blocks: Iterable[bytes]) -> Upload:
        """Keeps content; an error of `blocks` leaves nothing behind."""
        file = self._uploads / uuid4().hex
        digest, size = hashlib.md5(usedforsecurity=False), 0
        try:
            with file.open("xb") as sink:
                for block in blocks:
                    digest.update(block)
                    size += sink.write(block)
            return Upload(self.history.add_content(file), size, digest.hexdigest())
        finally:
            file.unlink(missing_ok=True)

    def put(self, branch: str, path: str, entry: Entry, *, absent: bool = False) -> None:
        """Stages an object.

        Raises:
            Refused: With `absent`: there is one already (412).
        """
        check_path(path)
        with self._lock:
            head = self._head(branch)
            if absent and path in self._at(Resolved(head, branch)):
                raise Refused(412, "path already exists")
            self._staging.write(branch, head, path, entry)

    def delete(self, branch: str, paths: Iterable[str]) -> None:
        """Stages the deletion of objects; what is not there is no error."""
        with self._lock:
            head = self._head(branch)
            committed = self.history.entries(head)
            for path in paths:
                if path in committed:
                    self._staging.write(branch, head, path, None)
                else:
                    self._staging.forget(branch, head, path)

    def reset(self, branch: str, chosen: Callable[[str], bool]) -> None:
        """Takes back what is staged under the chosen paths."""
        with self._lock:
            head = self._head(branch)
            for path in self._staging.read(branch, head):
                if chosen(path):
                    self._staging.forget(branch, head, path)

    def entry(self, ref: str, path: str) -> Entry:
        """An object at a ref."""
        check_path(path)
        at = resolve(self.history, ref)
        if at.branch is not None:
            # Between the two readings the branch may move, and take its staging area with it.
            with self._lock:
                at = resolve(self.history, ref)
                staged = self._staging.read_one(at.branch or "", at.commit, path)
            if path in staged:
                return _found(staged[path])
        return _found(self.history.entries(at.commit).get(path))

    def entries(self, ref: str) -> Entries:
        """All objects at a ref."""
        with self._lock:
            return self._at(resolve(self.history, ref))

    # Branches and tags

    def require_branch(self, branch: str) -> None:
        """Raises `Refused` as an upload does where there is no such branch."""
        check_branch(branch, "name")
        if self.history.branch(branch) is None:
            raise Refused(404, f"branch '{branch}' not found")

    def head(self, branch: str) -> str:
        """Id of a branch's commit."""
        return self._head(branch)

    def create_branch(self, branch: str, source: str) -> str:
        """Makes a branch; returns the id of its commit."""
        check_branch(branch, new=True)
        check_ref(source)
        with self._lock:
            if self.history.exists(branch):
                raise Refused(409, f"commit ID {branch}: conflict found")
            if self.history.tag(branch) is not None:
                raise Refused(409, f"tag ID {branch}: conflict found")
            with prefixed(f"source reference '{source}'"):
                at = resolve(self.history, source)
                if at.staging:
                    raise Refused(500, "can't create a branch without commit")
            if self.history.branch(branch) is not None:
                raise Refused(409, "branch already exists: not unique")
            # A crash between the two steps of a deletion leaves the area of a branch that is gone.
            self._staging.drop(branch)
            self.history.move_branch(branch, at.commit)
            return at.commit

    def delete_branch(self, branch: str) -> None:
        """Removes a branch and what is staged on it."""
        with self._lock:
            check_branch(branch)
            if branch == self.description.default_branch:
                raise Refused(403, "cannot delete repository default branch")
            self._head(branch)
            self.history.remove_branch(branch)
            self._staging.drop(branch)

    def create_tag(self, tag: str, ref: str) -> str:
        """Names a commit; returns its id."""
        check_tag(tag)
        with self._lock:
            if is_branch(tag) and self.history.branch(tag) is not None:
                raise Refused(409, f"branch name {tag}: conflict found")
            if self.history.exists(tag):
                raise Refused(409, f"commit ID {tag}: conflict found")
            commit = commit_of(self.history, ref)
            if self.history.tag(tag) is not None:
                raise Refused(409, "tag already exists: not unique")
            self.history.add_tag(tag, commit)
            return commit

    def tag(self, tag: str) -> str:
        """Id of a tag's commit."""
        check_tag(tag)
        commit = self.history.tag(tag)
        if commit is None:
            raise not_found("tag")
        return commit

    def delete_tag(self, tag: str) -> None:
        with self._lock:
            self.tag(tag)
            self.history.remove_tag(tag)

    # Commits

    def commit(
        self,
        branch: str,
        message: str,
        metadata: dict[str, str],
        committer: str,
        *,
        date_s: int | None,
        allow_empty: bool,
    ) -> Commit:
        """Commits what is staged on a branch."""
        check_branch(branch)
        if self.history.branch(branch) is None:
            # The server looks for hooks first.
            run = uuid4().hex[:20]
            raise Refused(
                404,
                f"prepare-commit hook aborted, run id '{run}': list actions from commit: listing actions: not found",
            )
        with self._lock:
            head = self._head(branch)
            before = self.history.entries(head)
            after = self._at(Resolved(head, branch))
            if not differences(before, after) and not allow_empty:
                raise Refused(400, "commit: no changes")
            # Content that is there already keeps its record, with the time of the first upload.
            kept = {
                path: before[path] if before.get(path) and before[path].identity == entry.identity else entry
                for path, entry in after.items()
            }
            created_ns = time.time_ns() if date_s is None else date_s * 10**9
            generation = self.history.commit(head).generation + 1
            made = Commit(message, committer, created_ns, metadata, [head], meta_range_id(kept), generation)
            self._advance(branch, made, kept)
            return made

    def merge(
        self,
        source: str,
        destination: str,
        message: str,
        metadata: Mapping[str, str],
        committer: str,
        *,
        strategy: str,
        allow_empty: bool,
        squash: bool,
    ) -> str:
        """Brings what changed on a ref since it left a branch into that branch; returns the id of the merge commit."""
        check_branch(destination, "destination")
        if strategy not in STRATEGIES:
            raise Refused(400, "argument strategy: invalid value: validation error")
        with self._lock:
            head = self._head(destination)
            if self.uncommitted(destination)[0]:
                raise Refused(400, "uncommitted changes (dirty branch)")
            with prefixed(f"update branch {destination}"):
                entries, parents = merged(self.history, source, head, strategy, allow_empty=allow_empty)
            generation = max(self.history.commit(each).generation for each in parents) + 1
            made = Commit(
                message or f"Merge '{source}' into '{destination}'",
                committer,
                time.time_ns(),
                {**metadata, ".lakefs.merge.strategy": STRATEGIES[strategy]},
                parents[:1] if squash else parents,
                meta_range_id(entries),
                generation,
            )
            self._advance(destination, made, entries)
            return made.id

    def uncommitted(self, branch: str) -> tuple[dict[str, str], Entries]:
        """What is staged on a branch, by path; and all that it holds."""
        check_branch(branch)
        with self._lock:
            head = self._head(branch)
            now = self._at(Resolved(head, branch))
            before = self.history.entries(head)
            return differences(before, now), now

    def _advance(self, branch: str, commit: Commit, entries: Entries) -> None:
        self.history.move_branch(branch, self.history.add(commit, entries))
        self._staging.drop(branch, keep=commit.id)

    def _at(self, at: Resolved) -> Entries:
        committed = self.history.entries(at.commit)
        if at.branch is None:
            return committed
        staged: Changes = self._staging.read(at.branch, at.commit)
        found = {**committed, **staged}
        return {path: entry for path, entry in found.items() if entry is not None}

    def _head(self, branch: str) -> str:
        check_branch(branch)
        head = self.history.branch(branch)
        if head is None:
            raise not_found("branch")
        return head


def _found(entry: Entry | None) -> Entry:
    if entry is None:
        raise not_found()
    return entry
