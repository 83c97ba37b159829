"""The errors of the embedded repository: each says what was given, what was expected and what to do next."""

from pathlib import Path

from workflows_dagster.lib.errors import ConflictError, IntegrityError, NotPublishedError, StoreError


def unknown_ref(root: Path, ref: str) -> NotPublishedError:
    """There is no such ref, or the repository itself is missing."""
    return NotPublishedError(
        f"{ref} is not in the repository {root}",
        given=ref,
        expected="a branch, a tag, or the whole id of a commit",
        remedy="check the store setting, or materialize it first",
    )


def not_held(name: str, commit: str) -> NotPublishedError:
    """A commit without such a file or folder."""
    return NotPublishedError(
        f"{commit} does not hold {name}",
        given=name,
        expected="a file or folder of that commit",
        remedy="list what it holds with `git ls-tree -r`, or materialize it again",
    )


def damaged(name: str, place: Path, found: str | None) -> IntegrityError:
    """An object is not what its id says, or is not there (None)."""
    return IntegrityError(
        f"{name} is {'damaged in' if found else 'lost from'} the repository: object {place}",
        given=found or "no such file",
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


def place_taken(root: Path) -> StoreError:
    """Something else than a repository is where it should be made."""
    return StoreError(
        "the place of the repository is taken by something else",
        given=str(root),
        expected="a bare git repository, an empty folder or nothing",
        remedy="choose another folder for the store, or move away what is there",
    )


def other_format(root: Path, found: str | None, expected: str) -> StoreError:
    """A repository that this version of the project does not read."""
    return StoreError(
        f"the repository {root} is of another format: it was made by another version of workflows_dagster",
        given=f"workflowsdagster.format = {found}" if found else "no workflowsdagster.format in its configuration",
        expected=f"workflowsdagster.format = {expected}",
        remedy=f"move {root} away and materialize the assets again, or read it with the version that made it",
    )
