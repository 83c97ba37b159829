"""What a lakeFS server holds: repositories with their branches, commits, tags and uncommitted changes.

All of it is in memory, and each change is one line of a journal before it is acknowledged. A server that starts reads
the journal: a process that is killed loses nothing that it acknowledged and leaves nothing half done.
"""

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

_BRANCH = re.compile(r"\w[-\w]*", re.ASCII)
_NO_TAG = re.compile(r"\.\.|/|@\{|[\^:?*\[\\\x00-\x20]|\.$|\.lock$|^@?$")
_LONGEST_PATH_BYTES = 1024


@dataclass
class Refused(Exception):
    """The server refuses a request; the words are those of lakeFS 1.84.

    Attributes:
        status: HTTP status.
        message: What the body says.
        body: The whole body, where it is not `{"message": ...}`.
    """

    status: int
    message: str
    body: dict[str, Any] | None = None


@dataclass(frozen=True)
class Entry:
    """One object.

    Attributes:
        address: Name of the file that holds the content; each upload has its own.
        size_bytes: Length of the content.
        checksum: MD5 of the content.
        mtime: Unix time of the upload.
        content_type: As the client gave it.
        metadata: User metadata.
    """

    address: str
    size_bytes: int
    checksum: str
    mtime: int
    content_type: str
    metadata: dict[str, str]

    @property
    def identity(self) -> tuple[Any, ...]:
        """What lakeFS compares: not where the content is, nor when it was uploaded."""
        return self.size_bytes, self.checksum, self.content_type, sorted(self.metadata.items())


Entries = Mapping[str, Entry]
Changes = Mapping[str, Entry | None]
"""The objects that change, by path; None: the object is removed."""


@dataclass(frozen=True)
class Commit:
    """A commit; of a merge, the destination's commit is the first parent."""

    id: str
    parents: list[str]
    message: str
    metadata: dict[str, str]
    created_s: int
    entries: Entries = field(repr=False)


def same(one: Entry | None, other: Entry | None) -> bool:
    """Whether two states hold the same object under a path, or both none."""
    return one is other or (one is not None and other is not None and one.identity == other.identity)


def differences(before: Entries, after: Entries) -> dict[str, str]:
    """What happened to each path between two states: added, removed or changed; sorted by path."""
    return {
        path: "added" if path not in before else "removed" if path not in after else "changed"
        for path in sorted({*before, *after})
        if not same(before.get(path), after.get(path))
    }


def changed(entries: Entries, changes: Changes) -> Entries:
    """A state after changes."""
    return {path: entry for path, entry in {**entries, **changes}.items() if entry is not None}


class Repository:
    """One repository.

    Args:
        record: Writes a change to the journal and has it applied.
        name: Its name.
        namespace: Where its objects would lie.
        default_branch: The branch that it begins with.
        created_s: Unix time at which it was made.
    """

    def __init__(
        self, record: Callable[..., None], name: str, namespace: str, default_branch: str, created_s: int
    ) -> None:
        self.name, self.namespace, self.default_branch, self.created_s = name, namespace, default_branch, created_s
        self._record = record
        first = Commit(_digest(name, created_s), [], "Repository created", {}, created_s, {})
        # In the order in which they were made: a commit comes after its ancestors.
        self._commits = {first.id: first}
        self.branches = {default_branch: first.id}
        self.tags: dict[str, str] = {}
        self._staged: dict[str, dict[str, Entry | None]] = {default_branch: {}}

    def apply(self, kind: str, *values: Any) -> None:
        """Carries out one change of the journal; nothing else changes a repository."""
        match kind, *values:
            case "branch", str(branch), str(commit):
                self.branches[branch], self._staged[branch] = commit, {}
            case "branch", str(branch), None:
                del self.branches[branch], self._staged[branch]
            case "object", str(branch), str(path), entry:
                self._staged[branch][path] = entry and Entry(**entry)
            case "commit", str(branch), record, changes:
                brought: Changes = {path: entry and Entry(**entry) for path, entry in changes.items()}
                commit = Commit(**record, entries=changed(self._commits[record["parents"][0]].entries, brought))
                self._commits[commit.id] = commit
                self.branches[branch], self._staged[branch] = commit.id, {}
            case "tag", str(tag), str(commit):
                self.tags[tag] = commit
            case _:
                raise ValueError(f"no change of a repository: {kind}")

    # Reading

    def commit(self, ref: str) -> Commit:
        """The commit of a commit id, branch or tag; the double knows no other form of ref."""
        commit_id = ref if ref in self._commits else self.branches.get(ref) or self.tags.get(ref)
        if commit_id is None:
            raise Refused(404, "not found")
        return self._commits[commit_id]

    def head(self, branch: str) -> Commit:
        """The newest commit of a branch."""
        if branch not in self.branches:
            raise Refused(404, "branch not found")
        return self._commits[self.branches[branch]]

    def entries(self, ref: str) -> Entries:
        """The objects at a ref; a branch shows its uncommitted changes too, as in lakeFS."""
        commit = self.commit(ref)
        is_branch = ref not in self._commits and ref in self.branches
        return changed(commit.entries, self._staged[ref]) if is_branch else commit.entries

    def entry(self, ref: str, path: str) -> Entry:
        """An object at a ref."""
        found = self.entries(ref).get(path)
        if found is None:
            raise Refused(404, "not found")
        return found

    def log(self, ref: str) -> Iterator[Commit]:
        """The commit of a ref and its ancestors, the newest first."""
        wanted = {self.commit(ref).id}
        for commit in reversed(self._commits.values()):
            if commit.id in wanted:
                wanted.update(commit.parents)
                yield commit

    def merge_base(self, one: str, other: str) -> Commit:
        """The newest common ancestor of two refs; as all repositories begin with one commit, there is one."""
        ancestors = {commit.id for commit in self.log(one)}
        return next(commit for commit in self.log(other) if commit.id in ancestors)

    def touches(self, commit: Commit, objects: list[str], prefixes: list[str]) -> bool:
        """Whether a commit changed one of some objects, or one below some prefixes; a merge commit changes none."""
        if len(commit.parents) != 1:
            return False
        paths = differences(self._commits[commit.parents[0]].entries, commit.entries)
        return any(path in objects or path.startswith(tuple(prefixes)) for path in paths)

    # Changing

    def create_branch(self, branch: str, source: str) -> str:
        """Makes a branch at the commit of a ref; returns the id of that commit."""
        if not _BRANCH.fullmatch(branch):
            raise Refused(400, "argument branch: branch id: invalid value: validation error")
        try:
            commit = self.commit(source).id
        except Refused as error:
            raise Refused(404, f"source reference '{source}': not found") from error
        if branch in self.branches:
            raise Refused(409, "branch already exists: not unique")
        self._record("branch", branch, commit)
        return commit

    def delete_branch(self, branch: str) -> None:
        """Removes a branch with its uncommitted changes."""
        self.head(branch)
        self._record("branch", branch, None)

    def create_tag(self, tag: str, ref: str) -> str:
        """Names a commit; returns its id. lakeFS refuses a tag that is there even for the commit that it names."""
        if _NO_TAG.search(tag):
            raise Refused(400, "argument tagID: tag id: invalid value: validation error")
        commit = self.commit(ref).id
        if tag in self.tags:
            raise Refused(409, "tag already exists: not unique")
        self._record("tag", tag, commit)
        return commit

    def stage(self, branch: str, path: str, entry: Entry | None) -> None:
        """Puts an object on a branch, or removes one; what is not there may be removed."""
        if branch not in self.branches:
            raise Refused(404, f"branch '{branch}' not found")
        length = len(path.encode())
        if length > _LONGEST_PATH_BYTES:
            words = f"{length} is above maximum length ({_LONGEST_PATH_BYTES})"
            raise Refused(400, f"argument path: invalid value: validation error: {words}")
        self._record("object", branch, path, entry and asdict(entry))

    def commit_staged(self, branch: str, message: str, metadata: dict[str, str]) -> Commit:
        """Commits the uncommitted changes of a branch.

        An object uploaded again with the same content, type and metadata is no change: the committed one stays.
        """
        head = self.head(branch)
        paths = differences(head.entries, self.entries(branch))
        if not paths:
            raise Refused(400, "commit: no changes")
        changes = {path: self._staged[branch][path] for path in paths}
        return self._add_commit(branch, [head.id], message, metadata, changes)

    def merge(self, source: str, destination: str, message: str, metadata: dict[str, str]) -> Commit:
        """Brings what changed at a ref since it left a branch into that branch, by a merge commit in every case.

        lakeFS 1.84 overlooks a conflict that this reports: where both sides add a path, and the object that follows
        that path in the base is the same as one side's, it takes the other side's. Objects of this project name their
        transaction in their metadata, so that none is the same as another.
        """
        head = self.head(destination)
        if differences(head.entries, self.entries(destination)):
            raise Refused(400, "uncommitted changes (dirty branch)")
        try:
            brought = self.commit(source)
        except Refused as error:
            raise Refused(404, f"update branch {destination}: get commit by ref {source}: not found") from error
        base = self.merge_base(brought.id, head.id).entries
        paths = differences(base, brought.entries)
        if not paths:
            raise Refused(400, f"update branch {destination}: no changes")
        changes = {
            path: brought.entries.get(path)
            for path in paths
            if not same(head.entries.get(path), brought.entries.get(path))
        }
        if not all(same(head.entries.get(path), base.get(path)) for path in changes):
            # lakeFS answers a conflict with the result of a merge that has no commit, not with a message.
            raise Refused(409, "conflict found", {"reference": ""})
        return self._add_commit(destination, [head.id, brought.id], message, metadata, changes)

    def _add_commit(
        self, branch: str, parents: list[str], message: str, metadata: dict[str, str], changes: Changes
    ) -> Commit:
        written = {path: entry and asdict(entry) for path, entry in changes.items()}
        record = {"parents": parents, "message": message, "metadata": metadata, "created_s": int(time.time())}
        commit_id = _digest(record, written)
        self._record("commit", branch, record | {"id": commit_id}, written)
        return self._commits[commit_id]


class Lake:
    """All that a server holds, below one folder. Callers hold `lock` while they read or change it.

    Args:
        root: The folder; one process at a time may use it.
    """

    def __init__(self, root: Path) -> None:
        self.lock = threading.Lock()
        self._content = root / "content"
        self._content.mkdir(parents=True, exist_ok=True)
        self._repositories: dict[str, Repository] = {}
        journal = root / "journal"
        journal.touch()
        # A process killed while it wrote leaves a line without an end, which it did not acknowledge.
        lines, _, torn = journal.read_bytes().rpartition(b"\n")
        for line in lines.splitlines():
            self._apply(*json.loads(line))
        self._journal = journal.open("r+b", buffering=0)
        self._journal.seek(-len(torn), 2)
        self._journal.truncate()

    def close(self) -> None:
        """Closes the journal."""
        self._journal.close()

    def repository(self, name: str) -> Repository:
        """A repository."""
        if name not in self._repositories:
            raise Refused(404, "repository not found")
        return self._repositories[name]

    def create(self, name: str, namespace: str, default_branch: str) -> Repository:
        """Makes a repository."""
        if name in self._repositories:
            raise Refused(409, "error creating repository: not unique")
        self._record(name, "repository", namespace, default_branch, int(time.time()))
        return self._repositories[name]

    def write(self, content: bytes, content_type: str, metadata: dict[str, str]) -> Entry:
        """Keeps the content of an upload."""
        address = uuid4().hex
        (self._content / address).write_bytes(content)
        checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return Entry(address, len(content), checksum, int(time.time()), content_type, metadata)

    def read(self, entry: Entry) -> bytes:
        """The content of an object, damaged or not: the block store of lakeFS does not look at it either."""
        return (self._content / entry.address).read_bytes()

    def _record(self, *change: Any) -> None:
        self._journal.write(json.dumps(change).encode() + b"\n")
        self._apply(*change)

    def _apply(self, name: str, kind: str, *values: Any) -> None:
        if kind == "repository":
            self._repositories[name] = Repository(partial(self._record, name), name, *values)
        else:
            self._repositories[name].apply(kind, *values)


def _digest(*values: Any) -> str:
    """A commit id: 64 hex digits, made of what the commit is, as in lakeFS."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
