"""Commits of the embedded repository, with messages that `git log` shows and `git interpret-trailers` parses."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dulwich.objects import Commit, ObjectID

AUTHOR: Final = b"workflows_dagster <workflows_dagster@localhost>"
_MAX_VALUE_CHARACTERS: Final = 200
_REPLACES: Final = "Replaces"
_NOTHING: Final = "nothing"


def new_commit(tree: "ObjectID", parents: "Sequence[ObjectID]", message: str) -> "Commit":
    """A commit of this moment, by this project."""
    from dulwich.objects import Commit

    commit = Commit()
    commit.tree = tree
    commit.parents = list(parents)
    commit.author = commit.committer = AUTHOR
    commit.author_time = commit.commit_time = int(time.time())
    commit.author_timezone = commit.commit_timezone = 0
    commit.message = message.encode("utf-8", "backslashreplace")
    return commit


def version_message(
    message: str, metadata: Mapping[str, str], path: str, start: str, replaces: "ObjectID | None"
) -> str:
    """The message of a version commit: a subject, and the metadata as trailers, long values shortened.

    Args:
        message: The subject.
        metadata: Provenance. All of it is in the record of the version; this is for people who read the log.
        path: What it is a version of.
        start: Commit of the base branch that it was made on.
        replaces: The tree of the path at that commit, None if it was not there: what a merge must find in its place.
    """
    trailers = {re.sub("[^A-Za-z0-9]+", "-", key).strip("-") or "Metadata": value for key, value in metadata.items()}
    ours = {"Path": path, "Start": start, _REPLACES: replaces.decode("ascii") if replaces else _NOTHING}
    theirs = [(key, value) for key, value in trailers.items() if key not in ours]
    lines = [f"{key}: {_line(value)}" for key, value in [*theirs, *ours.items()]]
    return "\n".join([subject(message) or f"Publish {path}", "", *lines, ""])


def replaced_tree(version: "Commit") -> "ObjectID | None":
    """The tree that a version commit was made to replace, None for a path that was not there."""
    from dulwich.objects import ObjectID

    value = version.message.rpartition(f"\n{_REPLACES}: ".encode())[2].strip()
    return None if value == _NOTHING.encode() else ObjectID(value)


def published_path_of(version: "Commit") -> str | None:
    """The path that a version commit is of; None for another commit."""
    found = re.findall(rb"^Path: (.*)$", version.message, re.MULTILINE)
    return found[-1].decode("utf-8", "replace") if found and b"\nReplaces: " in version.message else None


def title(commit: "Commit") -> str:
    """The first line of a commit's message."""
    return commit.message.partition(b"\n")[0].decode("utf-8", "replace")


def subject(message: str) -> str:
    """A message on one line that git takes."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", message).split())


def _line(value: str) -> str:
    line = subject(value)
    return line if len(line) <= _MAX_VALUE_CHARACTERS else f"{line[: _MAX_VALUE_CHARACTERS - 1]}…"
