"""Reading a bare git repository: refs, files and changes. It holds no lock, and works beside writers and prune."""

import re
from collections.abc import Collection, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.errors import IntegrityError
from workflows_dagster.lib.store.disk import disk_errors
from workflows_dagster.lib.store.git.errors import MissingObjectError, lost, not_held, unknown_ref
from workflows_dagster.lib.store.git.history import last_change
from workflows_dagster.lib.store.git.objects import GitObjects
from workflows_dagster.lib.store.git.refs import BRANCHES, TAGS, GitRefs
from workflows_dagster.lib.store.git.trees import FOLDER, Entry, compared, encoded, folders_with, lookup
from workflows_dagster.lib.store.repository import Change

if TYPE_CHECKING:
    from dulwich.objects import ObjectID

_THREADS: Final = 4


class GitReader:
    """The reading half of `GitRepository`; its methods are those of `repository.Repository`.

    Args:
        root: The bare repository, which need not be there yet.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._objects = GitObjects(root / "objects")
        self._refs = GitRefs(root)

    def describe(self) -> str:
        """Where it is."""
        return f"the git repository {self.root}"

    def resolve(self, ref: str) -> str:
        """Id of the commit that a ref stands for."""
        with self._reading(ref):
            return self._resolved(ref).decode("ascii")

    def last_change(self, ref: str, name: str) -> str | None:
        """Id of the commit that gave a file or folder the content that a ref has."""
        with self._reading(ref):
            found = self._last_change(self._resolved(ref), name)
            return found.decode("ascii") if found else None

    def branches(self, prefix: str) -> list[str]:
        """Names of the branches that begin with a prefix, sorted."""
        with disk_errors(self.root):
            return [name for name in self._refs.below(BRANCHES) if name.startswith(prefix)]

    def read(self, commit: str, name: str) -> bytes:
        """The content of one small file at a commit."""
        with self._reading(commit):
            entry = lookup(self._objects, self._root_tree(commit), name)
            return b"".join(self._content(entry, name, commit))

    def fetch(self, commit: str, path: str, names: Collection[str], folder: Path) -> None:
        """Writes files of a path into a local folder, several at a time."""
        with self._reading(commit), ThreadPoolExecutor(_THREADS) as pool:
            root = self._root_tree(commit)

            @cache
            def files_of(parent: str) -> dict[bytes, Entry]:
                entry = lookup(self._objects, root, parent)
                tree = self._objects.tree(entry[1]) if entry and entry[0] == FOLDER else None
                return {name: (mode, oid) for name, mode, oid in tree.items()} if tree else {}

            def write(name: str) -> None:
                parent, _, last = f"{path}/{name}".rpartition("/")
                content = self._content(files_of(parent).get(encoded(last)), f"{path}/{name}", commit)
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                _write(place, content)

            list(pool.map(write, names))

    def paths(self, ref: str, marker: str) -> list[str]:
        """The folders at a ref that hold a file of this name, sorted."""
        with self._reading(ref):
            return sorted(folders_with(self._objects, self._root_tree(ref), marker))

    def diff(self, before: str, after: str) -> Iterator[Change]:
        """The files that two refs hold differently, sorted by name."""
        with self._reading(before), self._reading(after):
            yield from compared(self._objects, self._root_tree(before), self._root_tree(after))

    def tags(self) -> Mapping[str, str]:
        """Commit id of each tag, by its name, sorted."""
        with disk_errors(self.root):
            tags = self._refs.below(TAGS).items()
            return {name: self._objects.peeled(oid).decode("ascii") for name, oid in tags}

    def link(self, ref: str) -> str:
        """The command that shows a commit or tag."""
        return f"git --git-dir {quote(str(self.root))} show {quote(ref)}"

    @contextmanager
    def _reading(self, ref: str) -> Generator[None]:
        """Names the object that turns out to be missing: dropped by a prune meanwhile, or lost."""
        with disk_errors(self.root):
            try:
                yield
            except MissingObjectError as error:
                self._resolved(ref)
                raise lost(f"part of {ref}", error.oid, self._objects.folder) from error

    def _resolved(self, ref: str) -> "ObjectID":
        from dulwich.objects import ObjectID

        if re.fullmatch("[0-9a-f]{40}", ref) and (oid := ObjectID(ref.encode("ascii"))) in self._objects:
            return self._objects.peeled(oid)
        for name in (BRANCHES + ref.encode(), TAGS + ref.encode()):
            found = self._refs.get(name)
            if found is not None:
                return self._objects.peeled(found)
        raise unknown_ref(self.root, ref)

    def _root_tree(self, ref: str) -> "ObjectID":
        return self._objects.commit(self._resolved(ref)).tree

    def _last_change(self, commit: "ObjectID", name: str) -> "ObjectID | None":
        return last_change(self._objects, self._refs, commit, name)

    def _content(self, entry: Entry | None, name: str, commit: str) -> Iterator[bytes]:
        if entry is None or entry[0] == FOLDER:
            raise not_held(name, commit)
        return self._objects.content(entry[1], b"blob", name)


def _write(place: Path, content: Iterator[bytes]) -> None:
    try:
        with place.open("wb") as file:
            file.writelines(content)
    except IntegrityError:
        # What is not what was published shall not lie around under its name.
        place.unlink()
        raise
