"""What prune keeps: commits that someone may ask for, each with its whole content, but not with all its history."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workflows_dagster.lib.store.git.history import first_parents
from workflows_dagster.lib.store.git.message import AUTHOR, published_path_of
from workflows_dagster.lib.store.git.objects import GitObjects
from workflows_dagster.lib.store.git.refs import BRANCHES, TAGS, VERSIONS, GitRefs, version_ref
from workflows_dagster.lib.store.git.trees import FOLDER, SUBMODULE, compared, lookup
from workflows_dagster.lib.store.naming import BRANCH_PREFIX

if TYPE_CHECKING:
    from dulwich.objects import ObjectID


@dataclass
class Retention:
    """What is kept.

    Attributes:
        commits: Commits; a parent that is not among them is cut off.
        objects: Those commits, their trees and blobs, and tags.
        versions: The refs to the newest version commit of each path, as they must be; all others go.
        pushed: The commits from elsewhere that gave a base branch a file that it still has.
    """

    commits: "set[ObjectID]" = field(default_factory=set)
    objects: "set[ObjectID]" = field(default_factory=set)
    versions: "dict[bytes, ObjectID]" = field(default_factory=dict)
    pushed: "set[ObjectID]" = field(default_factory=set)

    def hold(self, objects: GitObjects, oid: "ObjectID") -> None:
        """Keeps an object with its content; where it is an annotated tag, what that stands for too."""
        if oid in self.commits or oid in self.objects:
            return
        kind = objects.kind(oid)
        found = {oid}
        if kind == b"tag":
            self.hold(objects, objects.tagged(oid))
        elif kind == b"commit":
            found |= content_beside(objects, objects.commit(oid).tree, self.objects)
            self.commits.add(oid)
        elif kind == b"tree":
            found = content_beside(objects, oid, self.objects)
        self.objects |= found

    def boundary(self, objects: GitObjects) -> "set[ObjectID]":
        """The commits kept without all of their parents."""
        return {oid for oid in self.commits if not self.commits.issuperset(objects.commit(oid).parents)}


def content_beside(objects: GitObjects, tree: "ObjectID", known: "Collection[ObjectID]") -> "set[ObjectID]":
    """A tree and all below it, without what is known and what is below that."""
    found: set[ObjectID] = set()
    waiting = [tree]
    while waiting:
        oid = waiting.pop()
        if oid in known or oid in found:
            continue
        found.add(oid)
        for _, mode, below in objects.tree(oid).items():
            if mode == FOLDER and below:
                waiting.append(below)
            elif mode != SUBMODULE and below and below not in known:
                found.add(below)
    return found


def retention(objects: GitObjects, refs: GitRefs, *, keep: int, hold: Collection[str]) -> Retention:
    """What is kept: see `prune.prune`."""
    kept = Retention()
    branches = refs.below(BRANCHES)
    for oid in [*branches.values(), *refs.below(TAGS).values(), *_held(objects, [*hold, *refs.logged()])]:
        kept.hold(objects, oid)
    bases = {name: head for name, head in branches.items() if not name.startswith(BRANCH_PREFIX)}
    for base, head in bases.items():
        _keep_versions(objects, refs, kept, base, head, keep)
    for oid in refs.others():
        _keep_history(objects, kept, oid)
    for head in bases.values():
        _keep_free_history(objects, kept, head)
    return kept


def _held(objects: GitObjects, hold: Collection[str]) -> "Iterator[ObjectID]":
    from dulwich.objects import ObjectID

    for commit in hold:
        oid = ObjectID(commit.encode())
        if re.fullmatch(b"[0-9a-f]{40}", oid) and oid in objects:
            yield oid


def _keep_versions(objects: GitObjects, refs: GitRefs, kept: Retention, base: str, head: "ObjectID", keep: int) -> None:
    """Keeps the last versions of each path of a base branch, and commits pushed from elsewhere that still count."""
    root = objects.commit(head).tree
    newest = dict(_recorded(objects, refs, base))
    seen: set[str] = set()
    for oid in first_parents(objects, head):
        commit = objects.commit(oid)
        for parent in commit.parents[1:]:
            path = published_path_of(objects.commit(parent)) if parent in objects else None
            if path is not None and path not in seen:
                seen.add(path)
                newest[path] = parent
        if commit.author != AUTHOR and _counts(objects, oid, root):
            kept.hold(objects, oid)
            kept.pushed.add(oid)
    for path, version in newest.items():
        if lookup(objects, root, path) is not None:
            kept.versions[version_ref(base, path)] = version
            _keep_chain(objects, kept, version, path, keep)


def _recorded(objects: GitObjects, refs: GitRefs, base: str) -> "Iterator[tuple[str, ObjectID]]":
    for oid in refs.below(b"%s%s/" % (VERSIONS, base.encode())).values():
        path = published_path_of(objects.commit(oid))
        if path is not None:
            yield path, oid


def _counts(objects: GitObjects, oid: "ObjectID", root: "ObjectID") -> bool:
    """Whether a commit gave any file the content that a tree still has."""
    commit = objects.commit(oid)
    parent = commit.parents[0] if commit.parents and commit.parents[0] in objects else None
    changes = compared(objects, objects.commit(parent).tree if parent else None, commit.tree)
    return any(
        change.kind != "removed" and lookup(objects, root, change.name) == lookup(objects, commit.tree, change.name)
        for change in changes
    )


def _keep_chain(objects: GitObjects, kept: Retention, version: "ObjectID", path: str, keep: int) -> None:
    """Keeps a version and those before it, so many in all."""
    for count, oid in enumerate(first_parents(objects, version)):
        if count == keep or published_path_of(objects.commit(oid)) != path:
            return
        kept.hold(objects, oid)


def _keep_history(objects: GitObjects, kept: Retention, oid: "ObjectID") -> None:
    """Keeps what a ref of somebody else leads to, with all its history."""
    waiting = [oid]
    while waiting:
        each = waiting.pop()
        if each in kept.commits or each not in objects:
            continue
        kept.hold(objects, each)
        commit = objects.peeled(each)
        if objects.kind(commit) == b"commit":
            waiting.extend(objects.commit(commit).parents)


def _keep_free_history(objects: GitObjects, kept: Retention, head: "ObjectID") -> None:
    """Keeps as much of a branch's history as needs no file that is not kept anyway: commits and trees are small."""
    commit = head
    while parents := objects.commit(commit).parents:
        if not all(parent in objects for parent in parents):
            return
        new: set[ObjectID] = set()
        for parent in parents:
            new |= content_beside(objects, objects.commit(parent).tree, kept.objects)
        if not all(objects.kind(oid) == b"tree" for oid in new):
            return
        kept.objects.update(new, parents)
        kept.commits.update(parents)
        commit = parents[0]
