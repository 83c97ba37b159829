"""What pruning must leave alone."""

from workflows_dagster.lib.release.deployment import DEPLOYMENT_PATH, deployment
from workflows_dagster.lib.release.releases import ANY_RELEASE, Release, release_at
from workflows_dagster.lib.store.versioned import VersionedStore


def held_commits(store: VersionedStore) -> set[str]:
    """Every commit that a release of any base branch consists of, its record included, and the log of deployments.

    The release in force is among them even where somebody removed its tag.
    """
    held: set[str] = set()
    kept: list[Release] = [
        release_at(store, tag, commit) for tag, commit in store.tags().items() if ANY_RELEASE.fullmatch(tag)
    ]
    if found := deployment(store):
        kept.append(release_at(store, found.tag, found.commit))
        held.update(version.commit for version in store.log(DEPLOYMENT_PATH))
    for release in kept:
        held.add(release.version.commit)
        held.update(member.commit for member in release.record.chain)
    return held
