"""Trees of a git repository: looked up by path, built from files, and compared."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.store.git.errors import bad_file_name
from workflows_dagster.lib.store.git.objects import GitObjects
from workflows_dagster.lib.store.repository import Change

if TYPE_CHECKING:
    from dulwich.objects import ObjectID, Tree

FOLDER: Final = 0o040000
FILE: Final = 0o100644
SUBMODULE: Final = 0o160000

Entry = tuple[int, "ObjectID"]
"""Mode and id of what a name stands for in a tree."""


def encoded(name: str) -> bytes:
    """Bytes of a file name, as the system writes them."""
    return name.encode("utf-8", "surrogateescape")


def segments(name: str) -> list[bytes]:
    """The parts of a POSIX path.

    Raises:
        StoreError: One of them is none that git can hold in a tree.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        raise bad_file_name(name)
    return [encoded(part) for part in parts]


def lookup(objects: GitObjects, tree: "ObjectID", name: str) -> Entry | None:
    """What a path stands for below a tree, or None."""
    entry: Entry = (FOLDER, tree)
    for part in segments(name):
        if entry[0] != FOLDER:
            return None
        below = objects.tree(entry[1])
        if part not in below:
            return None
        entry = below[part]
    return entry


def build(files: Mapping[str, "ObjectID"]) -> "list[Tree]":
    """The trees that hold blobs under their paths: those below others first, the root last."""
    from dulwich.objects import Tree

    folders: dict[PurePosixPath, Tree] = {PurePosixPath(): Tree()}
    for name, oid in files.items():
        segments(name)
        path = PurePosixPath(name)
        for parent in path.parents:
            folders.setdefault(parent, Tree())
        folders[path.parent].add(encoded(path.name), FILE, oid)
    deepest_first = sorted(folders, key=lambda path: len(path.parts), reverse=True)
    for path in deepest_first[:-1]:
        folders[path.parent].add(encoded(path.name), FOLDER, folders[path].id)
    return [folders[path] for path in deepest_first]


def replaced(objects: GitObjects, root: "ObjectID | None", path: str, subtree: "ObjectID") -> "list[Tree]":
    """The new trees that hold `subtree` at a path and all else as `root` does, the new root last."""
    from dulwich.objects import Tree

    parts = segments(path)
    trees: list[Tree] = []
    oid = root
    for part in parts:
        tree = objects.tree(oid) if oid else Tree()
        trees.append(tree)
        oid = tree[part][1] if part in tree and tree[part][0] == FOLDER else None
    below = subtree
    for tree, part in zip(reversed(trees), reversed(parts), strict=True):
        tree[part] = (FOLDER, below)
        below = tree.id
    return list(reversed(trees))


def folders_with(objects: GitObjects, tree: "ObjectID", marker: str, path: str = "") -> Iterator[str]:
    """The paths of the folders below a tree that hold a file of this name."""
    entries = objects.tree(tree)
    if path and encoded(marker) in entries and entries[encoded(marker)][0] != FOLDER:
        yield path
    for name, mode, oid in entries.items():
        if mode == FOLDER and name and oid:
            yield from folders_with(objects, oid, marker, _joined(path, name))


def compared(
    objects: GitObjects, before: "ObjectID | None", after: "ObjectID | None", path: str = ""
) -> Iterator[Change]:
    """The files that differ between two trees, sorted by path; a tree that is None holds none."""
    old, new = _entries(objects, before), _entries(objects, after)
    for key in sorted({*old, *new}):
        was, now = old.get(key), new.get(key)
        if was == now:
            continue
        name = _joined(path, key.rstrip(b"/"))
        if key.endswith(b"/"):
            yield from compared(objects, was[1] if was else None, now[1] if now else None, name)
        else:
            yield Change(name, "added" if was is None else "removed" if now is None else "changed")


def _entries(objects: GitObjects, tree: "ObjectID | None") -> dict[bytes, Entry]:
    """The entries of a tree; names of folders end in a slash, which makes their order that of whole paths."""
    if tree is None:
        return {}
    return {
        name + b"/" if mode == FOLDER else name: (mode, oid)
        for name, mode, oid in objects.tree(tree).items()
        if name and mode and oid and mode != SUBMODULE
    }


def _joined(path: str, name: bytes) -> str:
    text = name.decode("utf-8", "surrogateescape")
    return f"{path}/{text}" if path else text
