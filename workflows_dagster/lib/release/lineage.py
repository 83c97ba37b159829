"""The chain of a version: every version it was made from, back to the source files."""

from collections.abc import Iterable
from typing import Final

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


def chain_of(store: VersionedStore, roots: Iterable[tuple[str, str]]) -> list[Version]:
    """The versions at the roots and everything they were made from, each once, sorted by path and commit.

    A path is there twice where two parts of the chain used different versions of it.

    Args:
        store: Where they are published.
        roots: Path and commit of the versions to begin at.

    Raises:
        NotPublishedError: A version of the chain was pruned.
    """
    found: dict[tuple[str, str], Version] = {}
    open_ones = list(roots)
    while open_ones:
        path, commit = open_ones.pop()
        if (path, commit) not in found:
            version = store.version(path, commit)
            found[path, commit] = version
            open_ones.extend(upstream_of(version).items())
    return [found[key] for key in sorted(found)]
