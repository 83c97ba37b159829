"""Which commit gave a path the content that it has."""

from contextlib import suppress
from typing import TYPE_CHECKING

from workflows_dagster.lib.store.git.errors import MissingObjectError
from workflows_dagster.lib.store.git.message import AUTHOR, published_path_of
from workflows_dagster.lib.store.git.objects import GitObjects
from workflows_dagster.lib.store.git.refs import BRANCHES, KEPT, GitRefs, version_ref
from workflows_dagster.lib.store.git.trees import Entry, lookup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dulwich.objects import ObjectID


def last_change(objects: GitObjects, refs: GitRefs, commit: "ObjectID", name: str) -> "ObjectID | None":
    """Id of the commit that gave a file or folder the content that a commit has; None: it holds no such."""
    content = lookup(objects, objects.commit(commit).tree, name)
    if content is None:
        return None
    oldest = _first_with(objects, _published(objects, refs, commit, name) or commit, name, content)
    return _pushed(objects, refs, oldest, name, content) or oldest


def first_parents(objects: GitObjects, commit: "ObjectID") -> "Iterator[ObjectID]":
    """A commit and its first parents, as far back as prune has left them."""
    yield commit
    # A prune under way may remove any of them while they are walked: that is the end of the history, too.
    with suppress(MissingObjectError):
        while parents := objects.commit(commit).parents:
            commit = parents[0]
            objects.commit(commit)
            yield commit


def _published(objects: GitObjects, refs: GitRefs, commit: "ObjectID", name: str) -> "ObjectID | None":
    """The version commit whose path, which is `name` or a folder above it, is as the commit has it."""
    own = published_path_of(objects.commit(commit))
    if own is not None and f"{name}/".startswith(f"{own}/"):
        return commit
    root = objects.commit(commit).tree
    bases = list(refs.below(BRANCHES))
    parts = name.split("/")
    for count in range(len(parts), 0, -1):
        path = "/".join(parts[:count])
        wanted = lookup(objects, root, path)
        for head in filter(None, (refs.get(version_ref(base, path)) for base in bases)):
            for version in first_parents(objects, head):
                if _at(objects, version, path) == wanted:
                    return version
    return None


def _first_with(objects: GitObjects, commit: "ObjectID", name: str, content: Entry) -> "ObjectID":
    """The oldest commit in a row, from this one along first parents and into what was merged, with that content."""
    while True:
        for oid in first_parents(objects, commit):
            if _at(objects, oid, name) != content:
                break
            commit = oid
        merged = objects.commit(commit).parents[1:]
        source = next((other for other in merged if other in objects and _at(objects, other, name) == content), None)
        if source is None:
            return commit
        commit = source


def _pushed(objects: GitObjects, refs: GitRefs, oldest: "ObjectID", name: str, content: Entry) -> "ObjectID | None":
    """Where prune has ended the history at `oldest`: the commit from elsewhere that it kept for its content."""
    parents = objects.commit(oldest).parents
    if not parents or parents[0] in objects:
        return None
    kept = {oid: objects.commit(oid) for oid in refs.below(KEPT).values()}
    found = [oid for oid, commit in kept.items() if commit.author != AUTHOR and _at(objects, oid, name) == content]
    return min(found, key=lambda oid: kept[oid].commit_time, default=None)


def _at(objects: GitObjects, commit: "ObjectID", name: str) -> Entry | None:
    """What a name stands for at a commit; None for one that a prune is dropping."""
    with suppress(MissingObjectError):
        return lookup(objects, objects.commit(commit).tree, name)
    return None
