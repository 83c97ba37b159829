"""The chain of a version: every version it was made from, back to the source files."""

from collections.abc import Collection, Iterable
from typing import Final

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import NotPublishedError
from workflows_dagster.lib.store.naming import published_path
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore

UPSTREAM_PREFIX: Final = "upstream/"
"""Metadata `upstream/<path>` of a version is the commit of the version of that path that it was made from."""


def upstream_of(version: Version) -> dict[str, str]:
    """Commit of each version that a version was made from, by path."""
    return {
        name.removeprefix(UPSTREAM_PREFIX): commit
        for name, commit in version.metadata.items()
        if name.startswith(UPSTREAM_PREFIX)
    }


def chain_of(store: VersionedStore, roots: Iterable[tuple[str, str]], *, pruned_ends: bool = False) -> list[Version]:
    """The versions at the roots and everything they were made from, each once, sorted by path and commit.

    A path is there twice where two parts of the chain used different versions of it.

    Args:
        store: Where they are published.
        roots: Path and ref of the versions to begin at.
        pruned_ends: Whether a line ends where a version was pruned, instead of failing.

    Raises:
        NotPublishedError: A version of the chain was pruned.
    """
    found: dict[tuple[str, str], Version] = {}
    seen: set[tuple[str, str]] = set()
    open_ones = list(roots)
    while open_ones:
        path, ref = open_ones.pop()
        if (path, ref) in seen:
            continue
        seen.add((path, ref))
        try:
            version = store.version(path, ref)
        except NotPublishedError:
            if not pruned_ends:
                raise
            continue
        found[path, version.commit] = version
        open_ones.extend(upstream_of(version).items())
    return [found[key] for key in sorted(found)]


def lineage_of(store: VersionedStore, artifacts: Iterable[Artifact]) -> list[Version]:
    """The versions that artifacts were made from, their own included, as far as they were not pruned."""
    roots = ((published_path(one.asset, one.partition), one.commit) for one in artifacts)
    return chain_of(store, roots, pruned_ends=True)


def records_of(store: VersionedStore, root: Artifact, file: str, assets: Collection[str]) -> dict[str, list[Artifact]]:
    """Of these assets, the versions that an artifact was made from, with that one file of each; others are not fetched.

    Args:
        store: Where they are published.
        root: The artifact.
        file: Name of the file.
        assets: Names of the assets whose versions are wanted.

    Raises:
        NotPublishedError: A version of the chain was pruned, or one of these assets does not write such a file.
    """
    found: dict[str, list[Artifact]] = {asset: [] for asset in assets}
    for version in chain_of(store, [(published_path(root.asset, root.partition), root.commit)]):
        asset = version.path.partition("/")[0]
        if asset in found:
            folder = store.file(version.path, file, version.commit).parent
            partition = version.metadata.get("partition") or None
            found[asset].append(Artifact(asset, partition, version.commit, version.digest, folder))
    return found
