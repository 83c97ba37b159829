"""The embedded twin of lakeFS: an ordinary bare git repository that needs no server.

Anyone may look at it with git: `git --git-dir <root> log --stat main`. What it holds:

- a *version commit* for each publication, whose tree is that one path and whose parent is the path's version before;
- on the base branch a merge commit for each, whose tree is the branch's with that path replaced;
- `refs/versions/<base>/<path>`, the newest version commit of each path. It saves walks through the history of the
  branch, and lets prune cut that history without losing versions. A reader believes it only where the trees agree.

Writers hold a shared lock while they write objects that no ref leads to yet; prune holds it alone.
"""

import re
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.errors import ConflictError, IntegrityError, NotPublishedError
from workflows_dagster.lib.store.git_disk import disk_errors, locked
from workflows_dagster.lib.store.git_history import last_change
from workflows_dagster.lib.store.git_message import new_commit, replaced_tree, version_message
from workflows_dagster.lib.store.git_objects import GitObjects
from workflows_dagster.lib.store.git_refs import BRANCHES, TAGS, GitRefs, version_ref
from workflows_dagster.lib.store.git_setup import MAIN, is_repository, make_repository
from workflows_dagster.lib.store.git_trees import (
    FOLDER,
    Entry,
    build,
    compared,
    folders_with,
    lookup,
    replaced,
)
from workflows_dagster.lib.store.repository import Change

if TYPE_CHECKING:
    from dulwich.objects import Commit, ObjectID, Tree

WRITERS_LOCK: Final = "writers.flock"
"""Held shared by who writes objects, and alone by prune."""

_WRITERS_TIMEOUT_S: Final = 600.0


class GitRepository:
    """A bare git repository as the repository of versions.

    Args:
        root: Its folder; made when something is first published.
    """

    kind: str = "git"

    def __init__(self, root: Path) -> None:
        self.root = root
        self._objects = GitObjects(root / "objects")
        self._refs = GitRefs(root)

    def describe(self) -> str:
        """Where it is."""
        return f"the git repository {self.root}"

    def prepare(self, base: str) -> str:
        """The newest commit of a base branch; a new one begins where `main` is, or empty."""
        with disk_errors(self.root):
            make_repository(self.root)
            head = self._refs.get(_branch(base))
            if head is None:
                head = self._begin(base)
            return head.decode("ascii")

    def resolve(self, ref: str) -> str:
        """Id of the commit that a ref stands for."""
        with disk_errors(self.root):
            return self._resolved(ref).decode("ascii")

    def last_change(self, ref: str, name: str) -> str | None:
        """Id of the commit that gave a file or folder the content that a ref has."""
        with disk_errors(self.root):
            found = self._last_change(self._resolved(ref), name)
            return found.decode("ascii") if found else None

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
        """Commits a local folder as the next version of a path, on a branch of its own."""
        with disk_errors(self.root), self._writing():
            begun = self._resolved(start)
            before = lookup(self._objects, self._objects.commit(begun).tree, path)
            parent = self._last_change(begun, path)
            trees = self._stored(path, folder, {name: before for name in unchanged})
            commit = new_commit(
                trees[-1].id,
                [parent] if parent else [],
                version_message(message, metadata, path, start, before[1] if before else None),
            )
            with self._objects.writing() as writer:
                writer.add(*trees, commit)
            with self._refs.changing() as change:
                if not change.swap(_branch(branch), None, commit.id):
                    raise _taken("branch", branch)
            return commit.id.decode("ascii")

    def merge(self, branch: str, path: str, into: str) -> None:
        """Brings the version on a branch into a base branch."""
        with disk_errors(self.root), self._writing():
            staged = self._resolved(f"refs/heads/{branch}")
            version = self._objects.commit(staged)
            ours = lookup(self._objects, version.tree, path)
            if ours is None:
                raise _missing(path, branch)
            while True:
                head = self._resolved(f"refs/heads/{into}")
                theirs = lookup(self._objects, self._objects.commit(head).tree, path)
                if theirs != ours:
                    if (theirs[1] if theirs else None) != replaced_tree(version):
                        raise _conflict(path, into)
                    new = self._merged(head, version, path, ours)
                else:
                    new = head
                with self._refs.changing() as change:
                    if change.swap(_branch(into), head, new):
                        change.set(version_ref(into, path), staged)
                        return

    def drop_branch(self, branch: str) -> None:
        """Removes a branch; a branch that is not there is no error."""
        if is_repository(self.root):
            with disk_errors(self.root), self._refs.changing() as change:
                change.remove(_branch(branch))

    def branches(self, prefix: str) -> list[str]:
        """Names of the branches that begin with a prefix, sorted."""
        with disk_errors(self.root):
            return [name for name in self._refs.below(BRANCHES) if name.startswith(prefix)]

    def read(self, commit: str, name: str) -> bytes:
        """The content of one small file at a commit."""
        with disk_errors(self.root):
            return b"".join(self._content(self._resolved(commit), name))

    def fetch(self, commit: str, path: str, names: Collection[str], folder: Path) -> None:
        """Writes files of a path into a local folder."""
        with disk_errors(self.root):
            found = self._resolved(commit)
            entry = lookup(self._objects, self._objects.commit(found).tree, path)
            if entry is None or entry[0] != FOLDER:
                raise _missing(path, commit)
            for name in names:
                place = folder.joinpath(*name.split("/"))
                content = self._content_below(entry[1], name, f"{path}/{name}", commit)
                place.parent.mkdir(parents=True, exist_ok=True)
                _write(place, content)

    def paths(self, ref: str, marker: str) -> list[str]:
        """The folders at a ref that hold a file of this name, sorted."""
        with disk_errors(self.root):
            tree = self._objects.commit(self._resolved(ref)).tree
            return sorted(folders_with(self._objects, tree, marker))

    def diff(self, before: str, after: str) -> Iterator[Change]:
        """The files that two refs hold differently, sorted by name."""
        with disk_errors(self.root):
            old, new = (self._objects.commit(self._resolved(ref)).tree for ref in (before, after))
            yield from compared(self._objects, old, new)

    def tag(self, name: str, commit: str) -> None:
        """Names a commit for good, by a lightweight tag."""
        with disk_errors(self.root), self._writing():
            target = self._resolved(commit)
            with self._refs.changing() as change:
                if not change.swap(TAGS + name.encode(), None, target) and self.tags().get(name) != commit:
                    raise _taken("tag", name)

    def tags(self) -> Mapping[str, str]:
        """Commit id of each tag, by its name, sorted."""
        with disk_errors(self.root):
            return {name: self._peeled(oid).decode("ascii") for name, oid in self._refs.below(TAGS).items()}

    def link(self, ref: str) -> str:
        """The command that shows a commit or tag."""
        return f"git --git-dir {quote(str(self.root))} show {quote(ref)}"

    @contextmanager
    def _writing(self) -> Generator[None]:
        if not is_repository(self.root):
            raise _nothing_here(self.root, "it")
        with locked(self.root / WRITERS_LOCK, shared=True, timeout_s=_WRITERS_TIMEOUT_S):
            yield

    def _begin(self, base: str) -> "ObjectID":
        from dulwich.objects import Tree

        with self._writing():
            start = self._refs.get(_branch(MAIN))
            if start is None:
                tree = Tree()
                commit = new_commit(tree.id, [], f"Begin {base}\n")
                with self._objects.writing() as writer:
                    writer.add(tree, commit)
                start = commit.id
            with self._refs.changing() as change:
                change.swap(_branch(base), None, start)
        return self._resolved(f"refs/heads/{base}")

    def _resolved(self, ref: str) -> "ObjectID":
        from dulwich.objects import ObjectID

        if re.fullmatch("[0-9a-f]{40}", ref) and ObjectID(ref.encode("ascii")) in self._objects:
            return self._peeled(ObjectID(ref.encode("ascii")))
        names = [ref.encode()] if ref.startswith("refs/") else [BRANCHES + ref.encode(), TAGS + ref.encode()]
        for name in names:
            oid = self._refs.get(name)
            if oid is not None:
                return self._peeled(oid)
        raise _nothing_here(self.root, ref)

    def _peeled(self, oid: "ObjectID") -> "ObjectID":
        """The commit that an annotated tag of a person stands for; what is a commit stays as it is."""
        return self._objects.peeled(oid)

    def _last_change(self, commit: "ObjectID", name: str) -> "ObjectID | None":
        return last_change(self._objects, self._versions, commit, name)

    def _versions(self, path: str) -> "list[ObjectID]":
        """The newest version commits of a path, of each base branch that has one."""
        found = (self._refs.get(version_ref(base, path)) for base in self._refs.below(BRANCHES))
        return [oid for oid in found if oid is not None]

    def _stored(self, path: str, folder: Path, known: "Mapping[str, Entry | None]") -> "list[Tree]":
        """Writes a folder's files as blobs; the trees that hold them at a path, the root last."""
        files = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
        below = {name: self._blob_below(known.get(name), name) for name in files}
        with self._objects.writing() as writer:
            oids = writer.add_files([(file, below[name]) for name, file in files.items()])
        trees = build(dict(zip(files, oids, strict=True)))
        return [*trees, *replaced(self._objects, None, path, trees[-1].id)]

    def _blob_below(self, entry: "Entry | None", name: str) -> "ObjectID | None":
        found = lookup(self._objects, entry[1], name) if entry and entry[0] == FOLDER else None
        return found[1] if found and found[0] != FOLDER else None

    def _merged(self, head: "ObjectID", version: "Commit", path: str, content: "Entry") -> "ObjectID":
        trees = replaced(self._objects, self._objects.commit(head).tree, path, content[1])
        title = version.message.partition(b"\n")[0].decode("utf-8", "replace")
        commit = new_commit(trees[-1].id, [head, version.id], f"{path}: {title}\n")
        with self._objects.writing() as writer:
            writer.add(*trees, commit)
        return commit.id

    def _content(self, commit: "ObjectID", name: str) -> Iterator[bytes]:
        return self._content_below(self._objects.commit(commit).tree, name, name, commit.decode("ascii"))

    def _content_below(self, tree: "ObjectID", name: str, shown: str, commit: str) -> Iterator[bytes]:
        entry = lookup(self._objects, tree, name)
        if entry is None or entry[0] == FOLDER:
            raise _missing(shown, commit)
        try:
            return self._objects.content(entry[1], b"blob", shown)
        except KeyError as error:
            raise _lost(shown, entry[1], self._objects.place(entry[1])) from error


def _branch(name: str) -> bytes:
    return BRANCHES + name.encode()


def _write(place: Path, content: Iterator[bytes]) -> None:
    try:
        with place.open("wb") as file:
            file.writelines(content)
    except IntegrityError:
        place.unlink()
        raise


def _nothing_here(root: Path, ref: str) -> NotPublishedError:
    return NotPublishedError(
        f"{ref} is not in the repository {root}",
        given=ref,
        expected="a branch, a tag, or the whole id of a commit that prune has not dropped",
        remedy="check the store setting; if prune dropped that version, materialize it again",
    )


def _missing(name: str, commit: str) -> NotPublishedError:
    return NotPublishedError(
        f"{commit} does not hold {name}",
        given=name,
        expected="a file or folder of that commit",
        remedy="list what it holds with `git ls-tree -r`, or materialize it again",
    )


def _lost(name: str, oid: "ObjectID", place: Path) -> IntegrityError:
    return IntegrityError(
        f"{name} is lost from the repository: there is no object {oid.decode('ascii')} in {place}",
        given="no such file, and no pack that holds it",
        expected="the object as it was written",
        remedy="materialize it again, which writes the object anew, and check the disk",
    )


def _conflict(path: str, base: str) -> ConflictError:
    return ConflictError(
        f"{path} was published on {base} by another writer in the meantime",
        given=path,
        expected="the version that this one was made to replace",
        remedy="run the asset again: it will start from what is published now",
    )


def _taken(kind: str, name: str) -> ConflictError:
    return ConflictError(
        f"the {kind} {name} names another commit already",
        given=name,
        expected=f"a {kind} that is not there, or names the same commit",
        remedy="choose another name",
    )
