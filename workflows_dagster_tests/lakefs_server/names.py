"""Which names lakeFS accepts, in its own words where it does not."""

import re

from workflows_dagster_tests.lakefs_server.refusal import Refused

_BRANCH = re.compile(r"\w[-\w]*", re.ASCII)
_TAG_EXCLUDES = re.compile(r"\.\.|/|@\{|[\^:?*\[\\\x00-\x20]|\.$|\.lock$|^@$")
_REPOSITORY = re.compile(r"[a-z0-9][a-z0-9-]{2,62}")
_LONGEST_PATH = 1024
_INVALID = "invalid value: validation error"
_BRANCH_RULE = "branch id must consist of letters, digits, underscores and dashes, and cannot start with a dash"


def is_branch(name: str) -> bool:
    """Whether a branch may have this name."""
    return _BRANCH.fullmatch(name) is not None


def is_repository(name: str) -> bool:
    """Whether a repository may have this name."""
    return _REPOSITORY.fullmatch(name) is not None


def check_repository(name: str) -> None:
    """Raises `Refused` for what cannot be a repository."""
    if not is_repository(name):
        raise Refused(400, f"argument repository: repository id: {_INVALID}")


def check_branch(name: str, argument: str = "branch", *, new: bool = False) -> None:
    """Raises `Refused` for what cannot be a branch."""
    if not is_branch(name):
        rule = f": {_BRANCH_RULE}" if new else ""
        raise Refused(400, f"argument {argument}: branch id: {_INVALID}{rule}")


def check_tag(name: str) -> None:
    """Raises `Refused` for what cannot be a tag."""
    if not name or _TAG_EXCLUDES.search(name):
        raise Refused(400, f"argument tagID: tag id: {_INVALID}")


def check_ref(ref: str) -> None:
    """Raises `Refused` for what cannot be a ref; lakeFS answers an empty one with 500."""
    if not ref:
        raise Refused(500, "argument ref: required value: validation error")
    if re.search(r"\s", ref):
        raise Refused(400, f"argument ref: ref: {_INVALID}")


def check_path(path: str) -> None:
    """Raises `Refused` for what cannot be the path of an object."""
    if not path:
        raise Refused(400, "argument path: missing path: required value: validation error")
    length = len(path.encode())
    if length > _LONGEST_PATH:
        raise Refused(400, f"argument path: {_INVALID}: {length} is above maximum length ({_LONGEST_PATH})")
