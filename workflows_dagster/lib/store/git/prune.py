"""Forgetting the content of old versions, so that disk stays in hand: mark and sweep over the contents under LFS.

Commits, trees and small files stay, so the history of every path stays readable with git. What goes are contents that
nothing needs any more, and the views of versions that lost theirs.
"""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.store.git.history import record_at, versions
from workflows_dagster.lib.store.git.lfs import LfsObjects
from workflows_dagster.lib.store.git.objects import GitObjects
from workflows_dagster.lib.store.git.refs import BRANCHES, TAGS, GitRefs
from workflows_dagster.lib.store.naming import BRANCH_PREFIX
from workflows_dagster.lib.store.version import VERSION_FILE, Version
from workflows_dagster.lib.store.views import Views


@dataclass(frozen=True)
class Pruned:
    """What a prune removed.

    Attributes:
        contents: Files of old versions.
        freed_bytes: Their size.
    """

    contents: int
    freed_bytes: int


def prune(
    objects: GitObjects,
    refs: GitRefs,
    lfs: LfsObjects,
    views: Views,
    *,
    keep: int,
    hold: Collection[tuple[str, str]],
    older_than_s: float,
) -> Pruned:
    """Removes contents that no version needs; the caller holds the lock of the repository.

    Needed are the contents of: all that a branch or a tag holds; the last `keep` versions of each path of each base
    branch; the versions of `hold`. What was written within `older_than_s` stays, too.

    Args:
        objects: Commits, trees and small files.
        refs: Branches and tags.
        lfs: Contents of larger files.
        views: Folders that show them.
        keep: How many versions of each path, at least 1.
        hold: Path and commit of each version to keep besides.
        older_than_s: How old a content must be to go.

    Raises:
        ConfigurationError: `keep` is less than 1.
        IntegrityError: A record is damaged: what it needs is not known, and nothing was removed.
    """
    if keep < 1:
        raise ConfigurationError(
            "prune must keep the versions that are published now",
            given=keep,
            expected="keep >= 1",
            remedy="name how many versions of each path to keep",
        )
    needed: set[str] = set()
    for version in _needed(objects, refs, keep, hold):
        needed.add(version.digest)
        needed.update(stat.sha256 for stat in version.files.values())
    contents, freed_bytes = lfs.remove(needed, time.time() - older_than_s)
    # A view holds the inodes of what it shows: without this no space would be free.
    views.evict(older_than_s, keep=needed)
    return Pruned(contents, freed_bytes)


def _needed(objects: GitObjects, refs: GitRefs, keep: int, hold: Collection[tuple[str, str]]) -> Iterator[Version]:
    from dulwich.objects import ObjectID

    branches = refs.below(BRANCHES)
    for head in {*branches.values(), *refs.below(TAGS).values()}:
        for path in objects.folders_with(objects.commit(head).tree, VERSION_FILE):
            yield record_at(objects, head, path)
    for name, head in branches.items():
        if not name.startswith(BRANCH_PREFIX):
            for path in objects.folders_with(objects.commit(head).tree, VERSION_FILE):
                yield from islice(versions(objects, head, path), keep)
    for path, commit in hold:
        yield record_at(objects, ObjectID(commit.encode("ascii")), path)
