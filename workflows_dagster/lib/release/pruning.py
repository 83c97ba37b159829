"""Dropping old versions from the store, and what no age makes old."""

from collections.abc import Iterator
from typing import Final

from workflows_dagster.lib.errors import NotPublishedError
from workflows_dagster.lib.release.holding import held_commits
from workflows_dagster.lib.release.lineage import upstream_of
from workflows_dagster.lib.store.git.removal import Pruned
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.versioned import VersionedStore

GRACE_S: Final = 2 * 86_400.0
"""What was written within that time stays: a transaction under way may have begun at it. Runs end within a day."""


def prune_store(store: VersionedStore, keep: int, older_than_s: float = GRACE_S) -> Pruned | None:
    """Drops the versions that nothing needs any more; None where the repository has a garbage collection of its own.

    Kept are the last versions of each path, what a release consists of, and what any published version was made from:
    a model is older than the last ten corpora when its report and release are made.

    Args:
        store: The store.
        keep: How many versions of each path stay.
        older_than_s: What was written later than this long ago stays, too.
    """
    repository = store.repository
    if not isinstance(repository, GitRepository):
        return None
    hold = held_commits(store) | set(_lineage_of_heads(store))
    return repository.prune(keep=keep, hold=hold, older_than_s=older_than_s)


def _lineage_of_heads(store: VersionedStore) -> Iterator[str]:
    """Every commit that is published now or that leads to one; where an earlier prune has cut, a line ends."""
    try:
        waiting = [(path, store.base) for path in store.paths()]
    except NotPublishedError:
        return  # nothing was published yet
    seen: set[tuple[str, str]] = set()
    while waiting:
        path, ref = waiting.pop()
        if (path, ref) in seen:
            continue
        seen.add((path, ref))
        try:
            version = store.version(path, ref)
        except NotPublishedError:
            continue
        yield version.commit
        waiting.extend(upstream_of(version).items())
