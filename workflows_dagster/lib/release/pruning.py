"""Dropping old versions from the store, and what no age makes old."""

from typing import Final

from workflows_dagster.lib.release.holding import held_commits
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
    return repository.prune(keep=keep, hold=held_commits(store), older_than_s=older_than_s)
