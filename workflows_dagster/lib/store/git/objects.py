"""Commits, trees and small files of a git repository, through dulwich and checked against their ids.

Dulwich reads packs and makes the bytes of an object. Only the last step of writing one is done here, since dulwich does
not replace a damaged object, and leaves a `.lock` among the objects when it is killed: `git fsck` takes it for damage.
"""

import os
import threading
import weakref
import zlib
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from workflows_dagster.lib.errors import IntegrityError
from workflows_dagster.lib.store.durable import replacing
from workflows_dagster.lib.store.repository import Change

if TYPE_CHECKING:
    from dulwich.object_store import DiskObjectStore
    from dulwich.objects import Commit, ObjectID, RawObjectID, ShaFile

FOLDER: Final = 0o040000
FILE: Final = 0o100644

Entry = tuple[int, "ObjectID"]
"""Mode and id of what a name stands for in a tree."""

_LEVEL: Final = 1
"""Of zlib: most objects are pointers, which no level makes smaller on disk."""


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
        self._like_dulwich: Any = self
        """These objects for dulwich's functions, which ask no more of a store than `[]`, `in` and `add_object`."""

    def __contains__(self, oid: "ObjectID") -> bool:
        if Path(self._place(oid)).exists():
            return True
        with self._lock:
            return self._store.contains_packed(oid)

    def __getitem__(self, oid: "ObjectID | RawObjectID") -> "ShaFile":
        return self._sound(cast("ObjectID", oid), "a git object")

    def commit(self, oid: "ObjectID") -> "Commit":
        """A commit.

        Raises:
            IntegrityError: It is lost or damaged.
        """
        return cast("Commit", self._sound(oid, "a commit"))

    def blob(self, oid: "ObjectID", name: str) -> bytes:
        """The content of a small file; errors as `commit`, with its name."""
        return self._sound(oid, name).as_raw_string()

    def add(self, made: "ShaFile") -> "ObjectID":
        """Writes an object; returns its id. The caller holds the lock of the repository, and syncs at the end.

        An object that is there already stays, unless it is damaged.
        """
        place = self._place(made.id)
        if os.access(place, os.F_OK):
            with suppress(IntegrityError):
                return self[made.id].id
        with replacing(place, self._aside) as unfinished:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
            with os.fdopen(descriptor, "wb") as file:
                file.write(made.as_legacy_object(_LEVEL))
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

        changes = [(path.encode(), mode, oid) for path, (mode, oid) in entries.items()]
        return commit_tree_changes(self._like_dulwich, tree, changes)

    def find(self, tree: "ObjectID", name: str) -> Entry | None:
        """What a path stands for below a tree, or None."""
        from dulwich.errors import NotTreeError
        from dulwich.object_store import tree_lookup_path

        try:
            return tree_lookup_path(self.__getitem__, tree, name.encode("utf-8", "surrogateescape"))
        except (KeyError, NotTreeError):
            return None

    def folders_with(self, tree: "ObjectID", base: str) -> list[str]:
        """The paths of the folders below a tree that hold a file of this name, sorted."""
        from dulwich.object_store import iter_tree_contents

        paths = (_text(entry.path).rpartition("/") for entry in iter_tree_contents(self._like_dulwich, tree))
        return sorted(folder for folder, _, name in paths if name == base and folder)

    def changes(self, before: "ObjectID", after: "ObjectID") -> list[Change]:
        """The files that differ between two trees, sorted by path."""
        from dulwich.diff_tree import tree_changes

        found: list[Change] = []
        for change in tree_changes(self._like_dulwich, before, after, change_type_same=True):
            if change.new is not None:
                found.append(Change(_text(change.new.path), "changed" if change.old else "added"))
            elif change.old is not None:
                found.append(Change(_text(change.old.path), "removed"))
        return sorted(found, key=lambda change: change.name)

    def _sound(self, oid: "ObjectID", name: str) -> "ShaFile":
        from dulwich.errors import ChecksumMismatch, FileFormatException
        from dulwich.objects import ShaFile

        try:
            with self._lock:
                kind, content = self._store.get_raw(oid)
            found = ShaFile.from_raw_string(kind, content)
        except KeyError as error:
            raise damaged(name, self._place(oid), None) from error
        except (zlib.error, FileFormatException, ChecksumMismatch, ValueError, AssertionError) as error:
            raise damaged(name, self._place(oid), f"{type(error).__name__}: {error}") from error
        if found.id != oid:
            raise damaged(name, self._place(oid), f"an object of id {found.id.decode('ascii')}")
        return found

    def _place(self, oid: "ObjectID") -> str:
        """Where an object is kept while it is not in a pack."""
        name = oid.decode("ascii")
        return f"{self._folder}/{name[:2]}/{name[2:]}"

    @cached_property
    def _store(self) -> "DiskObjectStore":
        from dulwich.object_store import DiskObjectStore

        store = DiskObjectStore(self._folder)
        weakref.finalize(self, store.close)
        return store


def damaged(name: str, place: str, found: str | None) -> IntegrityError:
    """The error that says that an object is not what its name says, or is not there (None)."""
    return IntegrityError(
        f"{name} is {'damaged in' if found else 'lost from'} the repository: object {place}",
        given=found or "no such file",
        expected="the object as it was written",
        remedy="materialize it again, which replaces the object, and check the disk",
    )


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
