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
import time
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.errors import ConfigurationError, ConflictError, NotPublishedError
from workflows_dagster.lib.store.disk import disk_errors
from workflows_dagster.lib.store.durable import sync, sync_file_system
from workflows_dagster.lib.store.git.history import (
    VERSIONS_FOLDER,
    file_at,
    last_change,
    new_commit,
    not_held,
    record_at,
    version_message,
    versions,
    with_version,
)
from workflows_dagster.lib.store.git.lfs import (
    ATTRIBUTES_FILE,
    LfsObjects,
    Pruned,
    attributes,
    is_ordinary,
    link_or_copy,
    pointed_at,
    pointer,
)
from workflows_dagster.lib.store.git.objects import FOLDER, GitObjects
from workflows_dagster.lib.store.git.refs import BRANCHES, TAGS, GitRefs
from workflows_dagster.lib.store.git.setup import MAIN, is_repository, locked, make_repository, require_format
from workflows_dagster.lib.store.naming import BRANCH_PREFIX
from workflows_dagster.lib.store.repository import Change
from workflows_dagster.lib.store.version import VERSION_FILE, FileStat, Version
from workflows_dagster.lib.store.views import Views

if TYPE_CHECKING:
    from dulwich.objects import ObjectID

_LARGE_BYTES: Final = 2**20


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
            if not is_repository(self.root):
                make_repository(self.root)
        with self._open(base):
            if self._refs.get(BRANCHES + base) is None:
                with locked(self.root):
                    self._refs.swap(BRANCHES + base, None, self._resolved(MAIN))
            return self._resolved(base).decode("ascii")

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
        contents = {f"{folder}/{name}": stat.sha256 for name, stat in large.items() if stat.size_bytes}
        with self._open(start):
            # What takes long is done before others have to wait; small files wait for the one sync at the end.
            sound = {digest for digest in contents.values() if self._lfs.is_sound(digest)}
            for name, stat in large.items():
                if stat.size_bytes >= _LARGE_BYTES:
                    sync(folder / name)
            with locked(self.root):
                begun = self._resolved(start)
                self._lfs.add(contents, sound)
                blobs = {name: self._objects.add_blob(pointer(stat)) for name, stat in large.items()}
                blobs |= {name: self._objects.add_blob((folder / name).read_bytes()) for name in ordinary}
                blobs[ATTRIBUTES_FILE] = self._objects.add_blob(attributes(ordinary))
                root = self._objects.commit(begun).tree
                tree = self._objects.add_changed(root, {path: (FOLDER, self._objects.add_tree(blobs))})
                commit = self._objects.add(new_commit(tree, [begun], version_message(message, metadata, path)))
                self._point(BRANCHES + branch, None, commit)
        return commit.decode("ascii")

    def merge(self, branch: str, path: str, into: str) -> None:
        """Brings the version on a branch into a base branch; doing so again changes nothing."""
        with self._open(branch), locked(self.root):
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
                raise ConflictError(
                    f"{path} was published on {into} by another writer in the meantime",
                    given=path,
                    expected="the version that this one was made to replace",
                    remedy="run the asset again: it will start from what is published now",
                )
            tree = with_version(self._objects, root, path, content, version)
            title = staged.message.partition(b"\n")[0].decode("utf-8", "replace")
            commit = self._objects.add(new_commit(tree, [head, version], f"{path}: {title}\n"))
            self._point(BRANCHES + into, head, commit)

    def drop_branch(self, branch: str) -> None:
        """Removes a branch; a branch that is not there is no error."""
        if is_repository(self.root):
            with self._open(branch), locked(self.root):
                self._refs.remove(BRANCHES + branch)

    def tag(self, name: str, commit: str) -> None:
        """Names a commit for good."""
        with self._open(commit), locked(self.root):
            target = self._resolved(commit)
            if self.tags().get(name) != target.decode("ascii"):
                self._point(TAGS + name, None, target)

    def prune(
        self,
        *,
        keep: int,
        hold: Collection[tuple[str, str]] = (),
        older_than_s: float,
        timeout_s: float = 60.0,
    ) -> Pruned:
        """Forgets the content of old versions, so that disk stays in hand: mark and sweep over the contents under LFS.

        Commits, trees and small files stay, so the history of every path stays readable with git. Needed are the
        contents of: all that a branch or a tag holds; the last `keep` versions of each path of each base branch; the
        versions of `hold`. What was written within `older_than_s` stays, too.

        Args:
            keep: How many versions of each path, at least 1.
            hold: Path and commit of each version to keep besides.
            older_than_s: How old a content must be to go.
            timeout_s: How long to wait for writers.

        Raises:
            ConfigurationError: `keep` is less than 1.
            StoreUnavailableError: Writers were at work for all of `timeout_s`.
            IntegrityError: A record is damaged: what it needs is not known, and nothing was removed.
        """
        if keep < 1:
            raise ConfigurationError(
                "prune must keep the versions that are published now",
                given=keep,
                expected="keep >= 1",
                remedy="name how many versions of each path to keep",
            )
        if not is_repository(self.root):
            return Pruned(0, 0)
        with self._open(MAIN), locked(self.root, timeout_s):
            needed: set[str] = set()
            for version in self._needed(keep, hold):
                needed.update([version.digest, *(stat.sha256 for stat in version.files.values())])
            removed = self._lfs.remove(needed, time.time() - older_than_s)
            # A view holds the inodes of what it shows: without this no space would be free.
            Views(self.root / "views").evict(older_than_s, keep=needed)
        return removed

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
            blob = file_at(self._objects, self._resolved(commit), name)
            digest = pointed_at(blob)
            return self._lfs.read(digest, name) if digest else blob

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
                    link_or_copy(self._lfs.place(files[name].sha256), f"{folder}/{name}")
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
                raise self._unknown(asked)
            if not self._is_ours:
                require_format(self.root)
                self._is_ours = True
            yield

    def _point(self, ref: str, old: "ObjectID | None", commit: "ObjectID") -> None:
        """Points a ref at a commit, once all that the commit holds is on disk."""
        sync_file_system(self.root)
        if not self._refs.swap(ref, old, commit):
            raise ConflictError(
                f"{ref} points at another commit already",
                given=ref,
                expected=f"one that points at {old.decode('ascii')}" if old else "a name that is not taken",
                remedy="run it again; for a branch or tag of your own, choose another name",
            )

    def _needed(self, keep: int, hold: Collection[tuple[str, str]]) -> Iterator[Version]:
        heads = [(head, 1) for head in self._refs.below(TAGS).values()]
        heads += [
            (oid, 1 if name.startswith(BRANCH_PREFIX) else keep) for name, oid in self._refs.below(BRANCHES).items()
        ]
        for head, count in heads:
            for path in self._objects.folders_with(self._objects.commit(head).tree, VERSION_FILE):
                yield from islice(versions(self._objects, head, path), count)
        for path, commit in hold:
            yield record_at(self._objects, self._resolved(commit), path)

    def _resolved(self, ref: str) -> "ObjectID":
        from dulwich.objects import ObjectID

        if re.fullmatch("[0-9a-f]{40}", ref) and (oid := ObjectID(ref.encode("ascii"))) in self._objects:
            return oid
        found = self._refs.get(BRANCHES + ref) or self._refs.get(TAGS + ref)
        if found is None:
            raise self._unknown(ref)
        return found

    def _root_tree(self, ref: str) -> "ObjectID":
        return self._objects.commit(self._resolved(ref)).tree

    def _unknown(self, ref: str) -> NotPublishedError:
        return NotPublishedError(
            f"{ref} is not in the repository {self.root}",
            given=ref,
            expected="a branch, a tag, or the whole id of a commit",
            remedy="check the store setting, or materialize it first",
        )
