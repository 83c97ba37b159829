"""Which versions pruning must leave alone, and pruning the rest."""

from typing import Final

from workflows_dagster.lib.release.deployment import DEPLOYMENT_PATH
from workflows_dagster.lib.release.record import RELEASE_PATH
from workflows_dagster.lib.release.releases import ANY_RELEASE
from workflows_dagster.lib.store.git.lfs import Pruned
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.lineage import chain_of
from workflows_dagster.lib.store.naming import BRANCH_PREFIX
from workflows_dagster.lib.store.versioned import VersionedStore

GRACE_S: Final = 2 * 86_400.0
"""What was written within that time stays: a run under way may still read it. Runs end within a day."""


def prune_store(store: VersionedStore, keep: int, older_than_s: float = GRACE_S) -> Pruned | None:
    """Forgets the content of versions that nothing needs; None where the repository collects its own garbage.

    Kept are the last versions of each path, what a release consists of, and what any published version was made from:
    when a report and its release are made, the model can be older than the last ten corpora.

    Args:
        store: The store.
        keep: How many versions of each path stay.
        older_than_s: What was written later than this long ago stays, too.
    """
    repository = store.repository
    if not isinstance(repository, GitRepository):
        return None
    return repository.prune(keep=keep, hold=held_versions(store), older_than_s=older_than_s)


def held_versions(store: VersionedStore) -> set[tuple[str, str]]:
    """Path and commit of every version that a release or anything published now was made from, and all deployments.

    Every base branch counts: pruning one developer's branch must not take what another one's rests on. The deployed
    release is among them even where somebody removed its tag, as its deployment was made from it. Where an earlier
    prune has cut, a line ends.

    Raises:
        IntegrityError: The record of a version is damaged: what it was made from is not known.
    """
    bases = [branch for branch in store.repository.branches("") if not branch.startswith(BRANCH_PREFIX)]
    published = [(path, base) for base in bases for path in store.paths(base)]
    released = [(RELEASE_PATH, commit) for tag, commit in store.tags().items() if ANY_RELEASE.fullmatch(tag)]
    chain = chain_of(store, [*published, *released], pruned_ends=True)
    held = {(version.path, version.commit) for version in chain}
    for path, base in published:
        if path == DEPLOYMENT_PATH:
            held.update((path, version.commit) for version in store.log(path, base))
    return held
