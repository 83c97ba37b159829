"""Removing objects of a git repository that nothing leads to, in an order that a kill may break off anywhere."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workflows_dagster.lib.errors import IntegrityError
from workflows_dagster.lib.store.git.message import published_path_of
from workflows_dagster.lib.store.git.objects import GitObjects
from workflows_dagster.lib.store.git.trees import FOLDER
from workflows_dagster.lib.store.git.writer import TEMPORARY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from dulwich.objects import ObjectID


@dataclass(frozen=True)
class Pruned:
    """What a prune removed.

    Attributes:
        versions: Versions of paths.
        objects: Objects of all kinds, those of the versions among them.
        freed_bytes: Size of what was removed.
    """

    versions: int
    objects: int
    freed_bytes: int


def remove_rest(objects: GitObjects, stay: "Collection[ObjectID]", limit: float) -> Pruned:
    """Removes the loose objects that do not stay, each before any that it leads to.

    Args:
        objects: Where they are.
        stay: Ids of those that stay.
        limit: What was written since (seconds since 1970) stays too: a push may have come after `stay` was found.
    """
    old = {oid: place for oid, place in objects.loose() if oid not in stay and place.stat().st_mtime < limit}
    rest = {oid: objects.kind_of(place) for oid, place in old.items()}
    count: Counter[str] = Counter()
    for oid in _removal_order(objects, rest):
        count["versions"] += rest[oid] == b"commit" and _is_version(objects, oid)
        count["bytes"] += old[oid].stat().st_size
        count["objects"] += 1
        old[oid].unlink()
    return Pruned(count["versions"], count["objects"], count["bytes"])


def remove_temporary(objects: GitObjects, limit: float) -> None:
    """Removes half-written objects that were last written to before a moment (seconds since 1970)."""
    for place in objects.folder.glob(f"{TEMPORARY_PREFIX}*"):
        with suppress(FileNotFoundError):
            if place.is_file() and place.stat().st_mtime < limit:
                place.unlink()


def _removal_order(objects: GitObjects, kinds: "Mapping[ObjectID, bytes | None]") -> "Iterator[ObjectID]":
    for kind in (None, b"tag", b"commit", b"tree", b"blob"):
        same = [oid for oid in kinds if kinds[oid] == kind]
        yield from _leading_first({oid: _leads_to(objects, oid, kind) for oid in same})


def _leads_to(objects: GitObjects, oid: "ObjectID", kind: bytes | None) -> "list[ObjectID]":
    """The objects of the same kind that an object leads to; a damaged one leads nowhere, for git neither."""
    with suppress(IntegrityError):
        if kind == b"commit":
            return objects.commit(oid).parents
        if kind == b"tree":
            return [entry.sha for entry in objects.tree(oid).items() if entry.mode == FOLDER]
    return []


def _leading_first(leads: "Mapping[ObjectID, list[ObjectID]]") -> "Iterator[ObjectID]":
    """The objects in an order in which each comes before all that it leads to."""
    leading = Counter(below for each in leads.values() for below in each)
    waiting = [oid for oid in leads if not leading[oid]]
    while waiting:
        oid = waiting.pop()
        yield oid
        for below in leads[oid]:
            leading[below] -= 1
            if below in leads and not leading[below]:
                waiting.append(below)


def _is_version(objects: GitObjects, oid: "ObjectID") -> bool:
    with suppress(IntegrityError):
        return published_path_of(objects.commit(oid)) is not None
    return False
