"""What pruning must leave alone."""

from collections.abc import Iterator

from workflows_dagster.lib.errors import NotPublishedError
from workflows_dagster.lib.release.deployment import DEPLOYMENT_PATH
from workflows_dagster.lib.release.record import RELEASE_PATH
from workflows_dagster.lib.release.releases import ANY_RELEASE
from workflows_dagster.lib.store.lineage import upstream_of
from workflows_dagster.lib.store.naming import BRANCH_PREFIX
from workflows_dagster.lib.store.versioned import VersionedStore


def held_commits(store: VersionedStore) -> set[str]:
    """Every version that a release or anything published now was made from, itself included, and all deployments.

    That of every base branch: one developer's prune must not take what the branch of another one rests on. The release
    in force is among them even where somebody removed its tag, as its deployment was made from it. Where an earlier
    prune has cut, a line ends.

    Raises:
        IntegrityError: The record of a version is damaged: what it was made from is not known.
    """
    bases = [branch for branch in store.repository.branches("") if not branch.startswith(BRANCH_PREFIX)]
    published = [(path, base) for base in bases for path in store.paths(base)]
    released = [(RELEASE_PATH, commit) for tag, commit in store.tags().items() if ANY_RELEASE.fullmatch(tag)]
    held = set(_lineage(store, [*published, *released]))
    for path, base in published:
        if path == DEPLOYMENT_PATH:
            held.update(version.commit for version in store.log(DEPLOYMENT_PATH, base))
    return held


def _lineage(store: VersionedStore, waiting: list[tuple[str, str]]) -> Iterator[str]:
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
        seen.add((path, version.commit))
        yield version.commit
        waiting.extend(upstream_of(version).items())
