"""Which commit gave a path the content that it has."""

from typing import TYPE_CHECKING

from workflows_dagster.lib.store.git_objects import GitObjects
from workflows_dagster.lib.store.git_trees import Entry, lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dulwich.objects import ObjectID


def last_change(
    objects: GitObjects, versions: "Callable[[str], Iterable[ObjectID]]", commit: "ObjectID", name: str
) -> "ObjectID | None":
    """Id of the commit that gave a file or folder the content that a commit has; None: it holds no such.

    Args:
        objects: Where the commits are.
        versions: The newest version commits known of a path.
        commit: The commit that is asked about.
        name: Path of the file or folder.
    """
    content = lookup(objects, objects.commit(commit).tree, name)
    if content is None:
        return None
    published = _published(objects, versions, commit, name)
    return _first_with(objects, published or commit, name, content)


def _published(
    objects: GitObjects, versions: "Callable[[str], Iterable[ObjectID]]", commit: "ObjectID", name: str
) -> "ObjectID | None":
    """The version commit whose path, which is `name` or a folder above it, is as the commit has it."""
    root = objects.commit(commit).tree
    parts = name.split("/")
    for count in range(len(parts), 0, -1):
        path = "/".join(parts[:count])
        wanted = lookup(objects, root, path)
        for head in versions(path):
            version: ObjectID | None = head
            while version is not None:
                if _at(objects, version, path) == wanted:
                    return version
                version = _first_parent(objects, version)
    return None


def _first_with(objects: GitObjects, commit: "ObjectID", name: str, content: Entry) -> "ObjectID":
    """The oldest commit in a row, from this one along first parents and into what was merged, with that content."""
    while True:
        parent = _first_parent(objects, commit)
        if parent is not None and _at(objects, parent, name) == content:
            commit = parent
            continue
        merged = objects.commit(commit).parents[1:]
        source = next((other for other in merged if other in objects and _at(objects, other, name) == content), None)
        if source is None:
            return commit
        commit = source


def _at(objects: GitObjects, commit: "ObjectID", name: str) -> Entry | None:
    return lookup(objects, objects.commit(commit).tree, name)


def _first_parent(objects: GitObjects, commit: "ObjectID") -> "ObjectID | None":
    """The first parent; None where there is none, or prune has dropped it."""
    parents = objects.commit(commit).parents
    return parents[0] if parents and parents[0] in objects else None
