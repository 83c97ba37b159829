"""The embedded twin of lakeFS: an ordinary bare git repository that needs no server.

Anyone may look at it with git: `git --git-dir <root> log --stat main`. What it holds:

- a *version commit* for each publication, whose tree is that one path and whose parent is the path's version before;
- on the base branch a merge commit for each, whose tree is the branch's with that path replaced;
- `refs/versions/<base>/<path>`, the newest version commit of each path. It saves walks through the history of the
  branch, and lets prune cut that history without losing versions. A reader believes it only where the trees agree.

Writers hold a shared lock while they write objects that no ref leads to yet; prune holds it alone. Git knows nothing of
it: `git gc` may run at any time, as it leaves young objects alone, but `git gc --prune=now` only while nobody writes.
"""

import os
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workflows_dagster.lib.store.git.errors import name_taken, not_held, superseded, unknown_ref
from workflows_dagster.lib.store.git.lock import alone, writing
from workflows_dagster.lib.store.git.message import new_commit, replaced_tree, title, version_message
from workflows_dagster.lib.store.git.prune import prune
from workflows_dagster.lib.store.git.reader import GitReader
from workflows_dagster.lib.store.git.refs import BRANCHES, TAGS, version_ref
from workflows_dagster.lib.store.git.removal import Pruned
from workflows_dagster.lib.store.git.setup import MAIN, is_repository, make_repository
from workflows_dagster.lib.store.git.trees import FOLDER, Entry, build, lookup, replaced
from workflows_dagster.lib.store.git.writer import batch

if TYPE_CHECKING:
    from dulwich.objects import Commit, ObjectID, Tree


class GitRepository(GitReader):
    """A bare git repository as the repository of versions.

    Args:
        root: Its folder; made when something is first published.
    """

    kind: str = "git"

    def prepare(self, base: str) -> str:
        """The newest commit of a base branch; a new one begins where `main` is, or empty."""
        with self._reading(base):
            make_repository(self.root)
            head = self._refs.get(_branch(base)) or self._begin(base)
            # It counts as young from now on: no prune may drop it while a transaction that began at it is under way.
            with suppress(FileNotFoundError):
                os.utime(self._objects.place(head))
            return head.decode("ascii")

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
        with self._reading(start), self._writing():
            begun = self._resolved(start)
            before = lookup(self._objects, self._objects.commit(begun).tree, path)
            parent = self._last_change(begun, path)
            trees = self._stored(path, folder, before, unchanged)
            text = version_message(message, metadata, path, start, before[1] if before else None)
            commit = new_commit(trees[-1].id, [parent] if parent else [], text)
            with batch(self._objects) as writer:
                writer.add(*trees, commit)
            with self._refs.changing() as change:
                if not change.swap(_branch(branch), None, commit.id):
                    raise name_taken("branch", branch)
            return commit.id.decode("ascii")

    def merge(self, branch: str, path: str, into: str) -> None:
        """Brings the version on a branch into a base branch; doing so again changes nothing."""
        with self._reading(branch), self._writing():
            version = self._objects.commit(self._resolved(branch))
            content = lookup(self._objects, version.tree, path)
            if content is None:
                raise not_held(path, branch)
            while True:
                head = self._resolved(into)
                merged = self._merged(head, version, path, content, into)
                with self._refs.changing() as change:
                    # Where the branch has moved since, the merge is made afresh on what it has now.
                    if change.swap(_branch(into), head, merged):
                        change.set(version_ref(into, path), version.id)
                        return

    def drop_branch(self, branch: str) -> None:
        """Removes a branch; a branch that is not there is no error."""
        if is_repository(self.root):
            with self._reading(branch), self._refs.changing() as change:
                change.remove(_branch(branch))

    def tag(self, name: str, commit: str) -> None:
        """Names a commit for good, by a lightweight tag."""
        with self._reading(commit), self._writing():
            target = self._resolved(commit)
            with self._refs.changing() as change:
                if not change.swap(TAGS + name.encode(), None, target) and self.tags().get(name) != target.decode():
                    raise name_taken("tag", name)

    def prune(self, *, keep: int, hold: Collection[str] = (), older_than_s: float, timeout_s: float = 60.0) -> Pruned:
        """Drops versions that nobody may ask for any more: see `prune.prune`.

        Args:
            keep: How many versions of each path of each base branch stay, at least 1.
            hold: Ids of commits that stay besides, with their content.
            older_than_s: What was written, or begun at by a transaction, later than this long ago stays. It must be
                longer than a transaction takes: one whose start is dropped cannot be published.
            timeout_s: How long to wait for writers to be done with what they are writing.

        Raises:
            ConfigurationError: `keep` is less than 1.
            StoreUnavailableError: Writers were at work all the time.
        """
        if not is_repository(self.root):
            return Pruned(0, 0, 0)
        with self._reading(MAIN), alone(self.root, timeout_s):
            return prune(self.root, self._objects, self._refs, keep=keep, hold=hold, older_than_s=older_than_s)

    @contextmanager
    def _writing(self) -> Generator[None]:
        if not is_repository(self.root):
            raise unknown_ref(self.root, "what is written to")
        with writing(self.root):
            yield

    def _begin(self, base: str) -> "ObjectID":
        from dulwich.objects import Tree

        with self._writing():
            start = self._refs.get(_branch(MAIN))
            if start is None:
                tree = Tree()
                commit = new_commit(tree.id, [], "Begin\n")
                with batch(self._objects) as writer:
                    writer.add(tree, commit)
                start = commit.id
            with self._refs.changing() as change:
                # `main` as well, on its own if need be: it is what `git clone` looks for.
                change.swap(_branch(MAIN), None, start)
                change.swap(_branch(base), None, start)
        return self._resolved(base)

    def _stored(self, path: str, folder: Path, before: Entry | None, unchanged: Collection[str]) -> "list[Tree]":
        """Writes a folder's files as blobs; the trees that hold them at a path, the root last."""
        files = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
        known = {name: self._blob(before, name) for name in files if name in unchanged}
        with batch(self._objects) as writer:
            oids = writer.add_files([(file, known.get(name)) for name, file in files.items()])
        trees = build(dict(zip(files, oids, strict=True)))
        return [*trees, *replaced(self._objects, None, path, trees[-1].id)]

    def _blob(self, folder: Entry | None, name: str) -> "ObjectID | None":
        found = lookup(self._objects, folder[1], name) if folder and folder[0] == FOLDER else None
        return found[1] if found and found[0] != FOLDER else None

    def _merged(self, head: "ObjectID", version: "Commit", path: str, content: Entry, into: str) -> "ObjectID":
        """The commit that a base branch must point at, whose head is given, to hold a version.

        Raises:
            ConflictError: The head holds something else than the version was made to replace.
        """
        root = self._objects.commit(head).tree
        found = lookup(self._objects, root, path)
        if found == content:
            return head
        if (found[1] if found else None) != replaced_tree(version):
            raise superseded(path, into)
        trees = replaced(self._objects, root, path, content[1])
        commit = new_commit(trees[-1].id, [head, version.id], f"{path}: {title(version)}\n")
        with batch(self._objects) as writer:
            writer.add(*trees, commit)
        return commit.id


def _branch(name: str) -> bytes:
    return BRANCHES + name.encode()
