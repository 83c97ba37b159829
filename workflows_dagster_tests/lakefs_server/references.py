"""What a ref expression stands for: branch, tag or commit, with the modifiers ~ ^ @ and $."""

import re
from dataclasses import dataclass
from typing import Literal

from workflows_dagster_tests.lakefs_server.history import History
from workflows_dagster_tests.lakefs_server.names import check_ref, is_branch
from workflows_dagster_tests.lakefs_server.refusal import Refused, not_found

_MODIFIER = re.compile(r"(?:^|[~^@$])[^~^@$]*")
_HASH = re.compile(r"[a-fA-F0-9]{1,64}")
_INVALID = "ref: invalid value: validation error"
_ID_DIGITS = 64


@dataclass(frozen=True)
class Resolved:
    """A ref, resolved.

    Attributes:
        commit: Id of its commit.
        branch: The branch whose staging area it shows too; None for commits and tags.
        staging: Whether it names the staging area itself, as `main$` does.
    """

    commit: str
    branch: str | None = None
    staging: bool = False


def resolve(history: History, ref: str) -> Resolved:
    """What a ref stands for.

    Raises:
        Refused: There is no such ref (404), or it is none (400).
    """
    check_ref(ref)
    parts = _MODIFIER.findall(ref)
    if not parts or not parts[0]:
        raise Refused(400, _INVALID)
    found = _base(history, parts[0])
    if found is None:
        raise not_found()
    commit = found.commit
    for part in parts[1:]:
        kind, amount = _modifier(part)
        if kind in "@$":
            if found.branch is None or len(parts) > 2:
                raise Refused(400, _INVALID)
            return Resolved(commit, found.branch, staging=True) if kind == "$" else Resolved(commit)
        commit = _ancestor(history, commit, kind, amount)
    return found if len(parts) == 1 else Resolved(commit)


def commit_of(history: History, ref: str, refusal: str = f"{_INVALID}: should point to a commit") -> str:
    """Id of the commit that a ref stands for; for a staging area, the refusal."""
    at = resolve(history, ref)
    if at.staging:
        raise Refused(400, refusal)
    return at.commit


def compared_commit(history: History, ref: str) -> str:
    """As `commit_of`, in the words that lakeFS has for refs that are compared or merged."""
    return commit_of(history, ref, f"reference '{ref}': reference to staging area with $ is not a commit")


def _base(history: History, name: str) -> Resolved | None:
    if len(name) == _ID_DIGITS and _HASH.fullmatch(name) and history.exists(name):
        return Resolved(name)
    branch = history.branch(name) if is_branch(name) else None
    if branch is not None:
        return Resolved(branch, name)
    tag = history.tag(name)
    if tag is not None:
        return Resolved(tag)
    found = history.with_prefix(name) if _HASH.fullmatch(name) else []
    return Resolved(found[0]) if len(found) == 1 else None


def _modifier(part: str) -> tuple[Literal["~", "^", "@", "$"], int]:
    kind, amount = part[0], part[1:]
    if kind not in ("~", "^", "@", "$") or (amount and (kind in "@$" or not amount.isdecimal())):
        raise Refused(400, _INVALID)
    return kind, int(amount or 1)


def _ancestor(history: History, commit: str, kind: str, amount: int) -> str:
    if kind == "^":
        parents = history.commit(commit).parents
        if amount > len(parents):
            raise Refused(400, _INVALID)
        return parents[amount - 1] if amount else commit
    for _ in range(amount):
        parents = history.commit(commit).parents
        if not parents:
            raise not_found()
        commit = parents[0]
    return commit
