"""What pruning must leave alone."""

from workflows_dagster.lib.release.deployment import deployment
from workflows_dagster.lib.release.releases import ANY_RELEASE, Release, release_at
from workflows_dagster.lib.store.versioned import VersionedStore


def held_commits(store: VersionedStore) -> set[str]:
    """Every commit that a release of any base branch consists of, its record included.

    The release in force is among them even where somebody removed its tag.
    """
    kept: list[Release] = [
        release_at(store, tag, commit) for tag, commit in store.tags().items() if ANY_RELEASE.fullmatch(tag)
    ]
    if found := deployment(store):
        kept.append(release_at(store, found.tag, found.commit))
    return {release.version.commit for release in kept} | {
        member.commit for release in kept for member in release.record.chain
    }
