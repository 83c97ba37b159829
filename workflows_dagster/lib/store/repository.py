"""What publishing needs of a versioned repository: the part that lakeFS and git have in common."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from workflows_dagster.lib.errors import NotPublishedError
from workflows_dagster.lib.store.version import FileStat


@dataclass(frozen=True)
class Change:
    """One file that two refs hold differently.

    Attributes:
        name: POSIX path of the file in the repository.
        kind: What happened to it on the way from the first ref to the second.
    """

    name: str
    kind: Literal["added", "removed", "changed"]


class Repository(Protocol):
    """Branches, commits and tags over files.

    A ref is the name of a branch, the name of a tag, or the id of a commit. Names of files are POSIX paths from the
    top of the repository. Every method may raise:

        StoreUnavailableError: The server or the disk does not answer; trying again later may succeed.
        StorePermissionError: The credentials do not suffice.
    """

    @property
    def kind(self) -> str:
        """What it is, as metadata shows it: "git" or "lakefs"."""
        ...

    def describe(self) -> str:
        """Where it is, for messages; holds no secret."""
        ...

    def views(self, work: Path) -> Path:
        """Folder for the views of versions on this machine.

        Args:
            work: Local folder of the store.
        """
        ...

    def prepare(self, base: str) -> str:
        """The newest commit of a base branch; the repository and the branch are made where they are missing.

        Raises:
            NotPublishedError: The repository is missing and must not be made.
        """
        ...

    def resolve(self, ref: str) -> str:
        """Id of the commit that a ref stands for.

        Raises:
            NotPublishedError: There is no such ref.
        """
        ...

    def last_change(self, ref: str, name: str) -> str | None:
        """Id of the commit that published a file, or the files below a folder, as a ref has them; None: no such.

        It is the commit that `stage` returned.
        """
        ...

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
        """Commits a local folder as the whole content of a path on a new branch; returns the id of the commit.

        The commit holds all that `start` holds, with the path replaced.

        Args:
            branch: Name of the branch, of letters, digits, hyphens and underscores.
            start: Commit that the branch begins at, as `prepare` returned it.
            path: Folder of the repository that gets exactly the files of `folder`: others below it are removed.
            folder: Local folder of regular files, the record of the version among them. The repository may make the
                files read-only and link to them.
            unchanged: Names, relative to `folder`, of files that are at `start` already with the same content.
            message: One line.
            metadata: Provenance, kept with the commit.
        """
        ...

    def merge(self, branch: str, path: str, into: str) -> None:
        """Brings the commit of `stage` into a base branch in one atomic step.

        Other paths may have been published in between.

        Raises:
            ConflictError: The path was published on the base branch after the commit that `stage` started at.
        """
        ...

    def drop_branch(self, branch: str) -> None:
        """Removes a branch; a branch that is not there is no error."""
        ...

    def branches(self, prefix: str) -> list[str]:
        """Names of the branches that begin with a prefix, sorted."""
        ...

    def read(self, commit: str, name: str) -> bytes:
        """The content of one small file at a commit.

        Raises:
            NotPublishedError: The commit holds no such file, or its content was pruned.
            IntegrityError: What is stored is damaged.
        """
        ...

    def fetch(self, commit: str, path: str, names: Collection[str], folder: Path) -> None:
        """Puts files of a published path into a local folder under their names relative to the path.

        They may be links to what the repository holds: they must not be written to.

        Args:
            commit: Id of a commit.
            path: Folder of the repository.
            names: Names relative to the path.
            folder: Local folder; the folders below it are made.

        Raises:
            NotPublishedError: The commit holds no such file, or its content was pruned.
            IntegrityError: What is stored is lost or damaged.
        """
        ...

    def pruned_at(self, files: Collection[FileStat]) -> str | None:
        """When any of these files was removed from the repository to free room, ISO 8601; None: all are there."""
        ...

    def paths(self, ref: str, marker: str) -> list[str]:
        """The folders at a ref that hold a file of this name, sorted."""
        ...

    def diff(self, before: str, after: str) -> Iterator[Change]:
        """The files that two refs hold differently, sorted by name."""
        ...

    def tag(self, name: str, commit: str) -> None:
        """Names a commit for good, and keeps what it holds from being dropped.

        Raises:
            ConflictError: The tag is there and names another commit.
        """
        ...

    def tags(self) -> Mapping[str, str]:
        """Commit id of each tag, by its name, sorted."""
        ...

    def link(self, ref: str) -> str:
        """How a person looks at a commit or tag: an address of a web UI, or a command."""
        ...


def content_pruned(what: str, at: str) -> NotPublishedError:
    """The error that says when prune has removed the content that was asked for."""
    return NotPublishedError(
        f"the content of {what} was pruned at {at}",
        given=what,
        expected="a version that is published now, released, or among the last ones of its path",
        remedy="materialize it again, or raise how many versions prune keeps",
    )
