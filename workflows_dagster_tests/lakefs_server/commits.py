"""Commits of lakeFS, kept as commits of git."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from dulwich.objects import Commit as GitCommit
from dulwich.objects import ObjectID

_AUTHOR = b"lakeFS loopback <lakefs@localhost>"
_SEPARATOR = "\n\nlakeFS: "
_NS = 10**9


@dataclass(frozen=True)
class Commit:
    """A commit as the API shows it.

    Attributes:
        message: The user's message.
        committer: Name of the user.
        created_ns: Unix time; the API shows seconds, the order of a log needs more.
        metadata: The user's keys and values.
        parents: Ids of commits; of a merge, the destination's first.
        meta_range_id: Id of all that the commit holds; equal states have equal ids.
        generation: One more than the greatest of the parents'.
    """

    message: str
    committer: str
    created_ns: int
    metadata: dict[str, str]
    parents: list[str]
    meta_range_id: str
    generation: int

    @property
    def id(self) -> str:
        """64 hex digits over what lakeFS computes its own from."""
        identity = [
            self.committer,
            self.message,
            self.meta_range_id,
            self.created_ns // _NS,
            sorted(self.metadata.items()),
            self.parents,
        ]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def to_answer(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "parents": self.parents,
            "committer": self.committer,
            "message": self.message,
            "creation_date": self.created_ns // _NS,
            "meta_range_id": self.meta_range_id,
            "metadata": self.metadata,
            "generation": self.generation,
            "version": 1,
        }

    def to_git(self, tree: ObjectID, parents: list[ObjectID]) -> GitCommit:
        """The git commit that keeps it: the message, then the record in one line."""
        commit = GitCommit()
        commit.tree = tree
        commit.parents = parents
        commit.author = commit.committer = _AUTHOR
        commit.author_time = commit.commit_time = self.created_ns // _NS
        commit.author_timezone = commit.commit_timezone = 0
        commit.encoding = b"UTF-8"
        commit.message = f"{self.message}{_SEPARATOR}{json.dumps(asdict(self))}\n".encode("utf-8", "surrogatepass")
        return commit

    @classmethod
    def from_git(cls, commit: GitCommit) -> Self:
        return cls(**json.loads(commit.message.decode("utf-8", "surrogatepass").rpartition(_SEPARATOR)[2]))
