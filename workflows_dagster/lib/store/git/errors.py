"""The errors of the embedded repository: each says what was given, what was expected and what to do next."""

from pathlib import Path

from workflows_dagster.lib.errors import (
    ConflictError,
    IntegrityError,
    NotPublishedError,
    StoreError,
)


class MissingObjectError(KeyError):
    """No object of an id is there.

    Args:
        oid: The id.
    """

    def __init__(self, oid: bytes) -> None:
        super().__init__(oid)
        self.oid = oid


def unknown_ref(root: Path, ref: str) -> NotPublishedError:
    """There is no such ref, or the repository itself is missing."""
    return NotPublishedError(
        f"{ref} is not in the repository {root}",
        given=ref,
        expected="a branch, a tag, or the whole id of a commit that prune has not dropped",
        remedy="check the store setting; if prune dropped that version, materialize it again",
    )


def not_held(name: str, commit: str) -> NotPublishedError:
    """A commit without such a file or folder."""
    return NotPublishedError(
        f"{commit} does not hold {name}",
        given=name,
        expected="a file or folder of that commit",
        remedy="list what it holds with `git ls-tree -r`, or materialize it again",
    )


def lost(name: str, oid: bytes, place: Path) -> IntegrityError:
    """An object that others lead to is not there."""
    return IntegrityError(
        f"{name} is lost from the repository: there is no object {oid.decode('ascii')} in {place}",
        given="no such file, and no pack that holds it",
        expected="the object as it was written",
        remedy="materialize it again, which writes the object anew, and check the disk",
    )


def damaged(name: str, oid: bytes, place: Path, found: str) -> IntegrityError:
    """An object is not what its id says."""
    return IntegrityError(
        f"{name} is damaged in the repository: object {oid.decode('ascii')} in {place}",
        given=found,
        expected="the object as it was written",
        remedy="materialize it again, which replaces the object, and check the disk",
    )


def superseded(path: str, base: str) -> ConflictError:
    """Another writer was first."""
    return ConflictError(
        f"{path} was published on {base} by another writer in the meantime",
        given=path,
        expected="the version that this one was made to replace",
        remedy="run the asset again: it will start from what is published now",
    )


def name_taken(kind: str, name: str) -> ConflictError:
    """A branch or tag stands for another commit."""
    return ConflictError(
        f"the {kind} {name} names another commit already",
        given=name,
        expected=f"a {kind} that is not there, or names the same commit",
        remedy="choose another name",
    )


def bad_ref_name(name: str) -> StoreError:
    """A name that git refuses for a branch or tag."""
    return StoreError(
        "git cannot hold a branch or tag of that name",
        given=name,
        expected="a name as `git check-ref-format` accepts it",
        remedy="choose another name",
    )


def bad_file_name(name: str) -> StoreError:
    """A name that git refuses for a file."""
    return StoreError(
        "git cannot hold a file of that name",
        given=name,
        expected="a relative POSIX path without '.', '..' and '.git' in it",
        remedy="have the step write it under another name",
    )
