"""What commits of the embedded repository hold, and which of them published it.

A commit holds every published path, and `.versions/<path>/.commit` with the id of the commit that published it. So one
look into a tree finds the version of a path, however long the history is.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.errors import NotPublishedError
from workflows_dagster.lib.store.git.objects import FILE, FOLDER, Entry, GitObjects
from workflows_dagster.lib.store.version import VERSION_FILE, Version

if TYPE_CHECKING:
    from dulwich.objects import Commit, ObjectID

VERSIONS_FOLDER: Final = ".versions"
_COMMIT_FILE: Final = ".commit"
_AUTHOR: Final = b"workflows_dagster <workflows_dagster@localhost>"
_MOST_CHARACTERS: Final = 200


def last_change(objects: GitObjects, commit: "ObjectID", name: str) -> "ObjectID | None":
    """Id of the commit that published a file or folder as a commit has it; None: it holds no such.

    Where no publication that the commit names explains the content, it is the commit itself: one that is not merged
    yet, or that somebody else made.
    """
    from dulwich.objects import ObjectID

    root = objects.commit(commit).tree
    content = objects.find(root, name)
    if content is None:
        return None
    parts = name.split("/")
    for count in range(len(parts), 0, -1):
        named = _commit_file("/".join(parts[:count]))
        if (entry := objects.find(root, named)) is not None:
            version = ObjectID(objects.blob(entry[1], named).strip())
            if objects.find(objects.commit(version).tree, name) == content:
                return version
    return commit


def with_version(objects: GitObjects, root: "ObjectID", path: str, content: Entry, version: "ObjectID") -> "ObjectID":
    """Writes the trees that hold a published path, and which commit published it; returns the id of the top one."""
    named = objects.add_blob(version + b"\n")
    return objects.add_changed(root, {path: content, _commit_file(path): (FILE, named)})


def file_at(objects: GitObjects, commit: "ObjectID", name: str) -> bytes:
    """What stands in the tree of a commit for a file: the file, or a pointer to its content.

    Raises:
        NotPublishedError: There is none.
        IntegrityError: It is damaged.
    """
    entry = objects.find(objects.commit(commit).tree, name)
    if entry is None or entry[0] == FOLDER:
        raise not_held(name, commit.decode("ascii"))
    return objects.blob(entry[1], name)


def record_at(objects: GitObjects, commit: "ObjectID", path: str) -> Version:
    """The record of the version that a commit holds of a path; errors as `file_at`."""
    return Version.from_record(commit.decode("ascii"), path, file_at(objects, commit, f"{path}/{VERSION_FILE}"))


def versions(objects: GitObjects, head: "ObjectID", path: str) -> Iterator[Version]:
    """The versions of a path from a commit on, newest first."""
    commit = last_change(objects, head, f"{path}/{VERSION_FILE}")
    while commit is not None:
        yield record_at(objects, commit, path)
        parents = objects.commit(commit).parents
        commit = last_change(objects, parents[0], f"{path}/{VERSION_FILE}") if parents else None


def new_commit(tree: "ObjectID", parents: "Sequence[ObjectID]", message: str) -> "Commit":
    """A commit of this moment, by this project."""
    from dulwich.objects import Commit

    commit = Commit()
    commit.tree = tree
    commit.parents = list(parents)
    commit.author = commit.committer = _AUTHOR
    commit.author_time = commit.commit_time = int(time.time())
    commit.author_timezone = commit.commit_timezone = 0
    commit.message = message.encode("utf-8", "backslashreplace")
    return commit


def version_message(message: str, metadata: Mapping[str, str], path: str) -> str:
    """The message of a publication: a subject, and the metadata as trailers that `git interpret-trailers` parses.

    Long values are shortened: the whole metadata is in the record of the version, this is for people.
    """
    trailers = {re.sub("[^A-Za-z0-9]+", "-", key).strip("-") or "Metadata": value for key, value in metadata.items()}
    lines = [_on_one_line(message) or f"Publish {path}", ""]
    for key, value in {**trailers, "Path": path}.items():
        line = _on_one_line(value)
        lines.append(f"{key}: {line if len(line) <= _MOST_CHARACTERS else line[: _MOST_CHARACTERS - 1] + '…'}")
    return "\n".join([*lines, ""])


def not_held(name: str, commit: str) -> NotPublishedError:
    """The error that says that a commit has no such file or folder."""
    return NotPublishedError(
        f"{commit} does not hold {name}",
        given=name,
        expected="a file or folder of that commit",
        remedy="list what it holds with `git ls-tree -r`, or materialize it again",
    )


def _commit_file(path: str) -> str:
    return f"{VERSIONS_FOLDER}/{path}/{_COMMIT_FILE}"


def _on_one_line(text: str) -> str:
    return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split())
