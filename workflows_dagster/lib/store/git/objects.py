"""Commits, trees and small files of a git repository, through dulwich and checked against their ids.

Dulwich reads packs and makes the bytes of an object. Only the last step of writing one is done here, since dulwich does
not replace a damaged object, and leaves a `.lock` among the objects when it is killed: `git fsck` takes it for damage.
"""

import threading
import weakref
import zlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import uuid4

from workflows_dagster.lib.errors import IntegrityError
from workflows_dagster.lib.store.durable import rename_into
from workflows_dagster.lib.store.git.errors import damaged
from workflows_dagster.lib.store.repository import Change

if TYPE_CHECKING:
    from dulwich.object_store import DiskObjectStore
    from dulwich.objects import Commit, ObjectID, ShaFile, Tree

FOLDER: Final = 0o040000
FILE: Final = 0o100644

_Kind = TypeVar("_Kind", bound="ShaFile")

Entry = tuple[int, "ObjectID"]
"""Mode and id of what a name stands for in a tree."""


class GitObjects:
    """The objects below the folder `objects` of a repository.

    Args:
        folder: That folder.
        aside: Folder for half-written objects, on the same file system.
    """

    def __init__(self, folder: Path, aside: Path) -> None:
        self._folder = folder
        self._aside = aside
        # What dulwich keeps open of packs is not made for several threads.
        self._lock = threading.Lock()

    def __contains__(self, oid: "ObjectID") -> bool:
        if self.place(oid).exists():
            return True
        with self._lock:
            return self._store.contains_packed(oid)

    def __getitem__(self, oid: "ObjectID") -> "ShaFile":
        """An object, as dulwich's own functions ask for it; errors as `load`."""
        from dulwich.objects import ShaFile

        return self.load(oid, ShaFile, "a git object")

    def load(self, oid: "ObjectID", kind: "type[_Kind]", name: str) -> "_Kind":
        """An object of a kind.

        Raises:
            IntegrityError: It is lost or damaged; the message has the name.
        """
        from dulwich.errors import ChecksumMismatch, FileFormatException
        from dulwich.objects import ShaFile

        place = self.place(oid)
        try:
            with self._lock:
                found = ShaFile.from_raw_string(*self._store.get_raw(oid))
            found.check()
        except KeyError as error:
            raise damaged(name, place, None) from error
        except (zlib.error, FileFormatException, ChecksumMismatch, ValueError, AssertionError) as error:
            raise damaged(name, place, f"{type(error).__name__}: {error}") from error
        if found.id != oid or not isinstance(found, kind):
            raise damaged(name, place, f"a {found.type_name.decode()} of id {found.id.decode('ascii')}")
        return found

    def commit(self, oid: "ObjectID") -> "Commit":
        """A commit; errors as `load`."""
        from dulwich.objects import Commit

        return self.load(oid, Commit, "a commit")

    def tree(self, oid: "ObjectID") -> "Tree":
        """A tree; errors as `load`."""
        from dulwich.objects import Tree

        return self.load(oid, Tree, "a tree")

    def blob(self, oid: "ObjectID", name: str) -> bytes:
        """The content of a small file; errors as `load`."""
        from dulwich.objects import Blob

        return self.load(oid, Blob, name).data

    def add(self, made: "ShaFile") -> "ObjectID":
        """Writes an object; returns its id. The caller syncs at the end.

        An object that is there already stays, unless it is damaged.
        """
        place = self.place(made.id)
        if place.exists() and self._is_sound(made):
            return made.id
        unfinished = self._aside / uuid4().hex
        try:
            unfinished.write_bytes(made.as_legacy_object())
            unfinished.chmod(0o444)
            rename_into(unfinished, place)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        return made.id

    add_object = add
    """The name by which dulwich's own functions add the trees that they make."""

    def add_blob(self, content: bytes) -> "ObjectID":
        """Writes a small file; returns its id."""
        from dulwich.objects import Blob

        return self.add(Blob.from_string(content))

    def add_tree(self, files: "dict[str, ObjectID]") -> "ObjectID":
        """Writes the trees that hold blobs under their POSIX paths; returns the id of the top one."""
        from dulwich.index import commit_tree

        return commit_tree(self._like_dulwich, [(name.encode(), oid, FILE) for name, oid in files.items()])

    def add_changed(self, tree: "ObjectID", entries: "dict[str, Entry]") -> "ObjectID":
        """Writes the trees that hold these entries at their paths and all else as a tree does; returns the new id."""
        from dulwich.object_store import commit_tree_changes

        return commit_tree_changes(
            self._like_dulwich, tree, [(path.encode(), mode, oid) for path, (mode, oid) in entries.items()]
        )

    def find(self, tree: "ObjectID", name: str) -> Entry | None:
        """What a path stands for below a tree, or None."""
        entry: Entry = (FOLDER, tree)
        for part in name.encode("utf-8", "surrogateescape").split(b"/"):
            if entry[0] != FOLDER:
                return None
            below = self.tree(entry[1])
            if part not in below:
                return None
            entry = below[part]
        return entry

    def folders_with(self, tree: "ObjectID", base: str) -> list[str]:
        """The paths of the folders below a tree that hold a file of this name, sorted."""
        from dulwich.object_store import iter_tree_contents

        paths = (
            entry.path.decode("utf-8", "surrogateescape") for entry in iter_tree_contents(self._like_dulwich, tree)
        )
        found = (path.rpartition("/") for path in paths)
        return sorted(folder for folder, _, name in found if name == base and folder)

    def changes(self, before: "ObjectID", after: "ObjectID") -> list[Change]:
        """The files that differ between two trees, sorted by path."""
        from dulwich.diff_tree import tree_changes

        found: list[Change] = []
        for change in tree_changes(self._like_dulwich, before, after, change_type_same=True):
            side = change.new or change.old
            if side is not None:
                kind = "added" if change.old is None else "removed" if change.new is None else "changed"
                found.append(Change(side.path.decode("utf-8", "surrogateescape"), kind))
        return sorted(found, key=lambda change: change.name)

    def place(self, oid: "ObjectID") -> Path:
        """Where an object is kept while it is not in a pack."""
        name = oid.decode("ascii")
        return Path(f"{self._folder}/{name[:2]}/{name[2:]}")

    def _is_sound(self, made: "ShaFile") -> bool:
        try:
            return self[made.id].as_raw_string() == made.as_raw_string()
        except IntegrityError:
            return False

    @cached_property
    def _store(self) -> "DiskObjectStore":
        from dulwich.object_store import DiskObjectStore

        store = DiskObjectStore(self._folder)
        weakref.finalize(self, store.close)
        return store

    @property
    def _like_dulwich(self) -> Any:
        """These objects for dulwich's functions, which ask no more of a store than `[]`, `in` and `add_object`."""
        return self
