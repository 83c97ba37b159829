"""What differs between refs, what a merge of them gives, and which commits led to them."""

from collections.abc import Iterable, Iterator

from workflows_dagster_tests.lakefs_server import entries
from workflows_dagster_tests.lakefs_server.commits import Commit
from workflows_dagster_tests.lakefs_server.entries import ConflictFound, Entries
from workflows_dagster_tests.lakefs_server.history import History
from workflows_dagster_tests.lakefs_server.names import check_ref
from workflows_dagster_tests.lakefs_server.references import commit_of, compared_commit
from workflows_dagster_tests.lakefs_server.refusal import Refused, prefixed

Differences = tuple[dict[str, str], Entries]
"""What happened to each path, sorted; and the objects that these paths have, the newer one where there are two."""


def merge_base(history: History, source: str, destination: str) -> tuple[str, str, str]:
    """Commits of two refs, and their best common ancestor."""
    check_ref(source)
    check_ref(destination)
    with prefixed(f"get commit by ref {source}"):
        ours = compared_commit(history, source)
    with prefixed(f"get commit by branch {destination}"):
        theirs = compared_commit(history, destination)
    base = history.merge_base(ours, theirs)
    if base is None:
        raise Refused(500, "no merge base")
    return ours, theirs, base


def merged(
    history: History, source: str, destination: str, strategy: str, *, allow_empty: bool
) -> tuple[Entries, list[str]]:
    """What a merge gives: the objects, and the commits that it joins, the destination's first."""
    ours, theirs, base = merge_base(history, source, destination)
    states = {each: history.commit(each).meta_range_id for each in (ours, theirs, base)}
    if states[ours] == states[base] and not allow_empty:
        raise Refused(400, "no changes")
    if states[theirs] == states[base]:
        return history.entries(ours), [theirs, ours]
    try:
        found = entries.merged(history.entries(base), history.entries(theirs), history.entries(ours), strategy)
    except ConflictFound as error:
        raise Refused(409, "conflict found", {"reference": ""}) from error
    return found, [theirs, ours]


def two_dot(before: Entries, after: Entries) -> Differences:
    """What differs between two states."""
    return entries.differences(before, after), {**before, **after}


def three_dot(history: History, left: str, right: str) -> Differences:
    """What a merge of the right ref into the left one would bring."""
    source, destination, base = (history.entries(each) for each in merge_base(history, right, left))
    return entries.compared(base, destination, source), {**destination, **source}


def log(history: History, ref: str, *, first_parent: bool, since_ns: int, after: str) -> Iterator[Commit]:
    """Commits up to a ref, the newest first; with `after`, those after that one."""
    check_ref(ref)
    with prefixed("ref"):
        start = commit_of(history, ref)
    found = history.log(start, first_parent=first_parent, since_ns=since_ns)
    if after:
        with prefixed("from ref"):
            last = commit_of(history, after)
        for commit in found:
            if commit.id == last:
                break
    return found


def touched(history: History, commit: Commit, objects: Iterable[str], prefixes: Iterable[str]) -> bool:
    """Whether a commit changed one of some paths; merge commits count as changing none."""
    if len(commit.parents) != 1:
        return False
    before, after = history.entries(commit.parents[0]), history.entries(commit.id)
    starts = tuple(prefixes)
    below = (path for path in {*before, *after} if path.startswith(starts)) if starts else ()
    return any(not entries.same(before.get(path), after.get(path)) for path in (*objects, *below))
