"""The embedded twin of lakeFS: an ordinary bare git repository that needs no server, in the layout of Git LFS.

Anyone may look at it with git, and `git clone` gives the files where git-lfs is installed. How a publication comes
about:

- `stage` brings the contents of larger files to `lfs/objects`, and commits the whole tree of the base branch, with the
  published path replaced, on a branch of its own. That commit is the version.
- `merge` makes one more commit on the base branch: it has the version as second parent, and names it in `.versions`.

One lock keeps writers and prune apart while they change the repository; readers need none. Git knows nothing of it:
`git gc` may run at any time, as it leaves young objects alone, but `git gc --prune=now` only while nobody writes.
"""

import re
from collections.abc import Collection, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.hashing import digest_file
from workflows_dagster.lib.store.disk import disk_errors
from workflows_dagster.lib.store.durable import sync_file_system
from workflows_dagster.lib.store.git.errors import damaged, name_taken, not_held, superseded, unknown_ref
from workflows_dagster.lib.store.git.history import (
    VERSIONS_FOLDER,
    last_change,
    new_commit,
    record_at,
    version_message,
    with_version,
)
from workflows_dagster.lib.store.git.lfs import (
    ATTRIBUTES_FILE,
    LfsObjects,
    attributes,
    is_ordinary,
    pointed_at,
    pointer,
)
from workflows_dagster.lib.store.git.lock import locked
from workflows_dagster.lib.store.git.objects import FOLDER, GitObjects
from workflows_dagster.lib.store.git.prune import Pruned, prune
from workflows_dagster.lib.store.git.refs import BRANCHES, TAGS, GitRefs
from workflows_dagster.lib.store.git.setup import MAIN, is_repository, make_repository, require_format
from workflows_dagster.lib.store.repository import Change, content_pruned
from workflows_dagster.lib.store.version import VERSION_FILE, FileStat, Version
from workflows_dagster.lib.store.views import Views

if TYPE_CHECKING:
    from dulwich.objects import ObjectID

_LOCK_FILE: Final = "store.flock"
_TIMEOUT_S: Final = 600.0
_THREADS: Final = 4


class GitRepository:
    """A bare git repository as the repository of versions; its methods are those of `repository.Repository`.

    Args:
        root: Its folder; made when something is first published.
    """

    kind: str = "git"

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lfs = LfsObjects(root / "lfs")
        self._objects = GitObjects(root / "objects", aside=self._lfs.aside)
        self._refs = GitRefs(root)
        self._is_ours = False

    def describe(self) -> str:
        """Where it is."""
        return f"the git repository {self.root}"

    def views(self, work: Path) -> Path:
        """Beside the contents that views link to, for all who use the repository."""
        del work
        return self.root / "views"

    def prepare(self, base: str) -> str:
        """The newest commit of a base branch; a new one begins where `main` is, or empty."""
        with disk_errors(self.root):
            make_repository(self.root)
        with self._open(base):
            head = self._refs.get(_branch(base))
        return (head or self._begin(base)).decode("ascii")

    def stage(
        self,
        branch: str,
        start: str,
        path: str,
        folder: Path,
        *,
        unchanged: Collection[str],
        message: str,
        metadata: Mapping[str, str],
    ) -> str:
        """Commits a local folder, whose record names its files, as the next version of a path, on a branch of its own.

        The folder's larger files become the contents of the repository: they are linked, not copied, and read-only.
        """
        del unchanged  # a content that is there already is not kept twice
        files = Version.from_record("", path, (folder / VERSION_FILE).read_bytes()).files
        ordinary = [VERSION_FILE, *(name for name, stat in files.items() if is_ordinary(name, stat.size_bytes))]
        large = {name: files[name] for name in sorted(files.keys() - set(ordinary))}
        contents = {folder / name: stat.sha256 for name, stat in large.items() if stat.size_bytes}
        with self._open(start), self._lfs.incoming(contents) as settle_contents, self._locked():
            begun = self._resolved(start)
            settle_contents()
            with ThreadPoolExecutor(_THREADS) as pool:
                blobs = dict(zip(large, pool.map(self._objects.add_blob, map(pointer, large.values())), strict=True))
            blobs |= {name: self._objects.add_blob((folder / name).read_bytes()) for name in ordinary}
            blobs[ATTRIBUTES_FILE] = self._objects.add_blob(attributes(ordinary))
            root = self._objects.commit(begun).tree
            tree = self._objects.add_changed(root, {path: (FOLDER, self._objects.add_tree(blobs))})
            commit = self._objects.add(new_commit(tree, [begun], version_message(message, metadata, path)))
            sync_file_system(self.root)
            if not self._refs.swap(_branch(branch), None, commit):
                raise name_taken("branch", branch)
        return commit.decode("ascii")

    def merge(self, branch: str, path: str, into: str) -> None:
        """Brings the version on a branch into a base branch; doing so again changes nothing."""
        with self._open(branch), self._locked():
            version = self._resolved(branch)
            staged = self._objects.commit(version)
            content = self._objects.find(staged.tree, path)
            if content is None:
                raise not_held(path, branch)
            head = self._resolved(into)
            root = self._objects.commit(head).tree
            found = self._objects.find(root, path)
            if found == content:
                return
            if found != self._objects.find(self._objects.commit(staged.parents[0]).tree, path):
                raise superseded(path, into)
            tree = with_version(self._objects, root, path, content, version)
            title = staged.message.partition(b"\n")[0].decode("utf-8", "replace")
            commit = self._objects.add(new_commit(tree, [head, version], f"{path}: {title}\n"))
            sync_file_system(self.root)
            if not self._refs.swap(_branch(into), head, commit):
                raise superseded(path, into)

    def drop_branch(self, branch: str) -> None:
        """Removes a branch; a branch that is not there is no error."""
        if is_repository(self.root):
            with self._open(branch), self._locked():
                self._refs.remove(_branch(branch))

    def tag(self, name: str, commit: str) -> None:
        """Names a commit for good."""
        with self._open(commit), self._locked():
            target = self._resolved(commit)
            if not self._refs.swap(TAGS + name.encode(), None, target) and self.tags().get(name) != target.decode():
                raise name_taken("tag", name)

    def prune(
        self,
        *,
        keep: int,
        hold: Collection[tuple[str, str]] = (),
        older_than_s: float,
        timeout_s: float = 60.0,
    ) -> Pruned:
        """Forgets the content of old versions: see `prune.prune`, also for the arguments.

        Raises:
            ConfigurationError: `keep` is less than 1.
            StoreUnavailableError: Writers were at work for all of `timeout_s`.
        """
        if not is_repository(self.root):
            return Pruned(0, 0)
        with self._open(MAIN), self._locked(timeout_s):
            views = Views(self.root / "views")
            return prune(self._objects, self._refs, self._lfs, views, keep=keep, hold=hold, older_than_s=older_than_s)

    def resolve(self, ref: str) -> str:
        """Id of the commit that a ref stands for."""
        with self._open(ref):
            return self._resolved(ref).decode("ascii")

    def last_change(self, ref: str, name: str) -> str | None:
        """Id of the commit that published a file or folder as a ref has it."""
        with self._open(ref):
            found = last_change(self._objects, self._resolved(ref), name)
            return found.decode("ascii") if found else None

    def branches(self, prefix: str) -> list[str]:
        """Names of the branches that begin with a prefix, sorted."""
        if not is_repository(self.root):
            return []
        with self._open(prefix):
            return [name for name in self._refs.below(BRANCHES) if name.startswith(prefix)]

    def tags(self) -> Mapping[str, str]:
        """Commit id of each tag, by its name, sorted."""
        if not is_repository(self.root):
            return {}
        with self._open("tags"):
            return {name: oid.decode("ascii") for name, oid in self._refs.below(TAGS).items()}

    def read(self, commit: str, name: str) -> bytes:
        """The content of one small file at a commit."""
        with self._open(commit):
            blob = self._blob(commit, name)
            digest = pointed_at(blob)
            return blob if digest is None else self._content(digest, name)

    def fetch(self, commit: str, path: str, names: Collection[str], folder: Path) -> None:
        """Shows files of a path in a local folder: links to contents, copies of small files."""
        with self._open(commit):
            files = record_at(self._objects, self._resolved(commit), path).files
            missing = next((name for name in names if name not in files), None)
            if missing is not None:
                raise not_held(f"{path}/{missing}", commit)
            for parent in {name.rpartition("/")[0] for name in names}:
                (folder / parent).mkdir(parents=True, exist_ok=True)
            for name in names:
                try:
                    self._lfs.link(files[name].sha256, f"{folder}/{name}")
                except FileNotFoundError:
                    (folder / name).write_bytes(self.read(commit, f"{path}/{name}"))

    def pruned_at(self, files: Collection[FileStat]) -> str | None:
        """When prune removed any of these files."""
        with disk_errors(self.root):
            return self._lfs.removed_at(stat.sha256 for stat in files)

    def paths(self, ref: str, marker: str) -> list[str]:
        """The folders at a ref that hold a file of this name, sorted."""
        with self._open(ref):
            return self._objects.folders_with(self._root_tree(ref), marker)

    def diff(self, before: str, after: str) -> Iterator[Change]:
        """The files that two refs hold differently, sorted by name."""
        with self._open(before), self._open(after):
            changes = self._objects.changes(self._root_tree(before), self._root_tree(after))
        ours = f"{VERSIONS_FOLDER}/"
        return (
            change
            for change in changes
            if not change.name.startswith(ours) and change.name.rpartition("/")[2] != ATTRIBUTES_FILE
        )

    def link(self, ref: str) -> str:
        """The command that shows a commit or tag."""
        return f"git --git-dir {quote(str(self.root))} show {quote(ref)}"

    @contextmanager
    def _open(self, asked: str) -> Generator[None]:
        """The repository, seen to be one of our format."""
        with disk_errors(self.root):
            if not is_repository(self.root):
                raise unknown_ref(self.root, asked)
            if not self._is_ours:
                require_format(self.root)
                self._is_ours = True
            yield

    @contextmanager
    def _locked(self, timeout_s: float = _TIMEOUT_S) -> Generator[None]:
        with locked(self.root / _LOCK_FILE, timeout_s):
            yield

    def _begin(self, base: str) -> "ObjectID":
        with self._open(base), self._locked():
            start = self._refs.get(_branch(MAIN))
            if start is None:
                top = self._objects.add_blob(attributes([f"{VERSIONS_FOLDER}/**"], top=True))
                start = self._objects.add(new_commit(self._objects.add_tree({ATTRIBUTES_FILE: top}), [], "Begin\n"))
                sync_file_system(self.root)
            # `main` as well, on its own if need be: it is what `git clone` looks for.
            self._refs.swap(_branch(MAIN), None, start)
            self._refs.swap(_branch(base), None, start)
            return self._resolved(base)

    def _resolved(self, ref: str) -> "ObjectID":
        from dulwich.objects import ObjectID

        if re.fullmatch("[0-9a-f]{40}", ref) and (oid := ObjectID(ref.encode("ascii"))) in self._objects:
            return oid
        found = self._refs.get(_branch(ref)) or self._refs.get(TAGS + ref.encode())
        if found is None:
            raise unknown_ref(self.root, ref)
        return found

    def _root_tree(self, ref: str) -> "ObjectID":
        return self._objects.commit(self._resolved(ref)).tree

    def _blob(self, commit: str, name: str) -> bytes:
        entry = self._objects.find(self._root_tree(commit), name)
        if entry is None or entry[0] == FOLDER:
            raise not_held(name, commit)
        return self._objects.blob(entry[1], name)

    def _content(self, digest: str, name: str) -> bytes:
        place = self._lfs.place(digest)
        if not place.exists():
            at = self._lfs.removed_at([digest])
            raise content_pruned(name, at) if at else damaged(name, place, None)
        found = digest_file(place)
        if found != digest:
            raise damaged(name, place, f"content of digest {found}")
        return place.read_bytes()


def _branch(name: str) -> bytes:
    return BRANCHES + name.encode()
