"""The committed data of a repository: commits, branches and tags in a bare git repository of the embedded store."""

import hashlib
import heapq
import json
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote

from dulwich.objects import Blob, ObjectID, Tree

from workflows_dagster.lib.store.git.objects import GitObjects
from workflows_dagster.lib.store.git.packs import BLOCK_BYTES
from workflows_dagster.lib.store.git.refs import BRANCHES, TAGS, GitRefs
from workflows_dagster.lib.store.git.setup import make_repository
from workflows_dagster.lib.store.git.writer import batch
from workflows_dagster_tests.lakefs_server.commits import Commit
from workflows_dagster_tests.lakefs_server.entries import Entries, Entry

_COMMITS = b"refs/commits/"
_ZLIB_HEADER = 2
_FILE, _FOLDER = 0o100644, 0o040000
_CONTENT, _ENTRIES = b"content", b"entries.json"


class History:
    """A git commit for each commit of lakeFS, found by its id at refs/commits/<64 hex digits>.

    Its tree holds the contents under their paths (quoted: lakeFS knows no folders, a path may end in a slash or begin
    another one), and entries.json, which holds what git has no place for.

    Args:
        folder: The bare repository.
    """

    def __init__(self, folder: Path) -> None:
        make_repository(folder)
        self.objects = GitObjects(folder / "objects")
        self._refs = GitRefs(folder)
        self.commit = lru_cache(maxsize=4096)(self._commit)
        self.entries = lru_cache(maxsize=256)(self._entries)

    def add_content(self, file: Path) -> str:
        """Keeps a file's content; returns its id."""
        with batch(self.objects) as writer:
            return writer.add_files([(file, None)])[0].decode()

    def content(self, blob: str, name: str) -> Iterator[bytes]:
        """Content in blocks, damaged or not: the block storage of lakeFS does not look at it either."""
        place = self.objects.place(ObjectID(blob.encode()))
        if not place.exists():
            return self.objects.content(ObjectID(blob.encode()), b"blob", name)
        return _inflated(place)

    def add(self, commit: Commit, entries: Entries) -> str:
        """Keeps a commit; returns its id."""
        content = Tree()
        for path, entry in entries.items():
            content.add(_quoted(path).encode(), _FILE, ObjectID(entry.blob.encode()))
        listing, root = Blob.from_string(_listing(entries)), Tree()
        root.add(_CONTENT, _FOLDER, content.id)
        root.add(_ENTRIES, _FILE, listing.id)
        made = commit.to_git(root.id, [self._git_id(parent) for parent in commit.parents])
        with batch(self.objects) as writer:
            writer.add(content, listing, root, made)
        with self._refs.changing() as change:
            change.set(_COMMITS + commit.id.encode(), made.id)
        return commit.id

    def exists(self, commit: str) -> bool:
        return self._refs.get(_COMMITS + commit.encode()) is not None

    def with_prefix(self, prefix: str) -> list[str]:
        """Ids of the commits that begin so."""
        return [commit for commit in self._refs.below(_COMMITS) if commit.startswith(prefix)]

    def branches(self) -> Mapping[str, str]:
        """Commit of each branch, by name, sorted."""
        return self._commits_of(BRANCHES)

    def tags(self) -> Mapping[str, str]:
        """Commit of each tag, by name, sorted."""
        return self._commits_of(TAGS)

    def branch(self, name: str) -> str | None:
        return self._commit_at(BRANCHES + name.encode())

    def tag(self, name: str) -> str | None:
        return self._commit_at(TAGS + _quoted(name).encode())

    def move_branch(self, name: str, commit: str) -> None:
        """Points a branch at a commit, in one step; makes it where it is missing."""
        with self._refs.changing() as change:
            change.set(BRANCHES + name.encode(), self._git_id(commit))

    def add_tag(self, name: str, commit: str) -> None:
        with self._refs.changing() as change:
            change.set(TAGS + _quoted(name).encode(), self._git_id(commit))

    def remove_branch(self, name: str) -> None:
        with self._refs.changing() as change:
            change.remove(BRANCHES + name.encode())

    def remove_tag(self, name: str) -> None:
        with self._refs.changing() as change:
            change.remove(TAGS + _quoted(name).encode())

    def log(self, start: str, *, first_parent: bool, since_ns: int) -> Iterator[Commit]:
        """A commit and those before it, the newest first."""
        waiting = [_newest_first(self.commit(start))]
        seen = {start}
        while waiting:
            commit = heapq.heappop(waiting)[-1]
            if commit.created_ns < since_ns:
                continue
            yield commit
            for parent in commit.parents[:1] if first_parent else commit.parents:
                if parent not in seen:
                    seen.add(parent)
                    heapq.heappush(waiting, _newest_first(self.commit(parent)))

    def merge_base(self, left: str, right: str) -> str | None:
        """The best common ancestor, found in the order of generations as lakeFS does."""
        reached = {left: 1} | {right: 2}
        if left == right:
            return left
        waiting = [(-self.commit(each).generation, each) for each in (left, right)]
        heapq.heapify(waiting)
        while waiting:
            current = heapq.heappop(waiting)[1]
            for parent in self.commit(current).parents:
                if parent not in reached:
                    heapq.heappush(waiting, (-self.commit(parent).generation, parent))
                reached[parent] = reached.get(parent, 0) | reached[current]
                if reached[parent] == 3:
                    return parent
        return None

    def _commit(self, commit: str) -> Commit:
        return Commit.from_git(self.objects.commit(self._git_id(commit)))

    def _entries(self, commit: str) -> Entries:
        tree = self.objects.tree(self.objects.commit(self._git_id(commit)).tree)
        text = b"".join(self.objects.content(tree[_ENTRIES][1], b"blob", "entries.json"))
        return {path: Entry(**record) for path, record in json.loads(text).items()}

    def _git_id(self, commit: str) -> ObjectID:
        found = self._refs.get(_COMMITS + commit.encode())
        if found is None:
            raise KeyError(commit)
        return found

    def _commits_of(self, prefix: bytes) -> dict[str, str]:
        found = {
            unquote(name): Commit.from_git(self.objects.commit(oid)).id
            for name, oid in self._refs.below(prefix).items()
        }
        return dict(sorted(found.items()))

    def _commit_at(self, ref: bytes) -> str | None:
        oid = self._refs.get(ref)
        return None if oid is None else Commit.from_git(self.objects.commit(oid)).id


def meta_range_id(entries: Entries) -> str:
    """Id of a state."""
    return hashlib.sha256(_listing(entries)).hexdigest()


def _inflated(place: Path) -> Iterator[bytes]:
    """Content of a loose object."""
    with place.open("rb") as file:
        file.seek(_ZLIB_HEADER)
        # Raw, so that the checksum at the end is not looked at.
        engine = zlib.decompressobj(-zlib.MAX_WBITS)
        block = engine.decompress(file.read(BLOCK_BYTES))
        yield block.partition(b"\0")[2]
        while not engine.eof and (packed := file.read(BLOCK_BYTES)):
            yield engine.decompress(packed)


def _listing(entries: Entries) -> bytes:
    # A line for each object, so that `git diff` shows what changed.
    lines = (f"{json.dumps(path)}: {json.dumps(entries[path].to_record())}" for path in sorted(entries))
    return "{{\n{}\n}}\n".format(",\n".join(lines)).encode()


def _quoted(name: str) -> str:
    text = quote(name, safe="").replace("~", "%7E")
    return text.replace(".", "%2E") if text.startswith(".") or text.endswith((".", ".lock")) or ".." in text else text


def _newest_first(commit: Commit) -> tuple[int, int, Commit]:
    # Of two of the same moment the greater id comes first.
    return -commit.created_ns, -int(commit.id, 16), commit
