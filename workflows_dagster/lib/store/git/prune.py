"""Dropping old versions from the embedded repository, so that disk stays in hand.

Git cannot drop one commit out of a history, but it can end a history early: the file `shallow` lists commits whose
parents are not there, as in a shallow clone. Prune keeps single commits with their whole content, lists them where a
parent is dropped, gives each that no branch leads to any more a ref of its own, and only then removes what nothing
leads to. A kill between any two steps leaves a repository that `git fsck` finds whole; the next prune does the rest.

A clone made before catches up with `git fetch --update-shallow`. Objects in packs stay: a person who runs `git gc`
leaves them to git, which drops them once nothing leads to them.
"""

import os
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.errors import ConfigurationError, IntegrityError
from workflows_dagster.lib.store.durable import sync
from workflows_dagster.lib.store.git.errors import MissingObjectError
from workflows_dagster.lib.store.git.objects import GitObjects
from workflows_dagster.lib.store.git.refs import KEPT, VERSIONS, GitRefs
from workflows_dagster.lib.store.git.removal import Pruned, remove_rest, remove_temporary
from workflows_dagster.lib.store.git.retention import Retention, retention

if TYPE_CHECKING:
    from dulwich.objects import ObjectID

_SHALLOW: Final = "shallow"


def prune(
    root: Path, objects: GitObjects, refs: GitRefs, *, keep: int, hold: Collection[str], older_than_s: float
) -> Pruned:
    """Drops what nobody may ask for any more; the caller holds the lock of the writers alone.

    Kept are: the head of every branch; every tag; the last `keep` versions of each path of each base branch, the one
    that it has among them; commits named by `hold`; commits pushed from elsewhere that gave a base branch a file that
    it still has; what other refs lead to; and what was written not long ago.

    Args:
        root: The bare repository.
        objects: Its objects.
        refs: Its refs.
        keep: How many versions of each path, at least 1.
        hold: Ids of commits to keep besides.
        older_than_s: What was written later than this long ago stays.

    Raises:
        ConfigurationError: `keep` is less than 1.
    """
    if keep < 1:
        raise ConfigurationError(
            "prune must keep the versions that are published now",
            given=keep,
            expected="keep >= 1",
            remedy="name how many versions of each path to keep",
        )
    kept = retention(objects, refs, keep=keep, hold=hold)
    limit = time.time() - older_than_s
    stay = _with_what_stays(objects, kept, limit)
    _write_refs(objects, refs, kept)
    # What is kept ends where its parents are not, though they may stay for a while; so does what stays for a while.
    boundary = kept.boundary(objects) | stay.boundary(objects)
    _write_shallow(root, boundary | {oid for oid in _read_shallow(root) if oid in objects})
    removed = remove_rest(objects, stay.objects, limit)
    remove_temporary(objects, limit)
    _write_shallow(root, boundary)
    return removed


def _with_what_stays(objects: GitObjects, kept: Retention, limit: float) -> Retention:
    """What is kept, and with it what is too young or in a pack, each with its content: nothing may lead to a hole."""
    stay = Retention(set(kept.commits), set(kept.objects))
    young = (oid for oid, place in objects.loose() if oid not in kept.objects and place.stat().st_mtime >= limit)
    for oid in (*young, *objects.packed_leading()):
        # One that has a hole already, or is damaged, was left so by something else, and is no worse for what goes now.
        with suppress(MissingObjectError, IntegrityError):
            stay.hold(objects, oid)
        stay.objects.add(oid)
    return stay


def _write_refs(objects: GitObjects, refs: GitRefs, kept: Retention) -> None:
    """Gives every kept commit a ref that leads to it through kept commits, and removes refs to what is dropped."""
    cut = kept.boundary(objects)
    with refs.changing() as change:
        reached = _reached(objects, map(objects.peeled, [*refs.heads(), *kept.versions.values()]), cut)
        wanted = {**kept.versions, **{KEPT + oid: oid for oid in (kept.commits - reached) | kept.pushed}}
        present = {
            prefix + os.fsencode(rest): oid for prefix in (VERSIONS, KEPT) for rest, oid in refs.below(prefix).items()
        }
        for name in sorted(wanted.keys() - {name for name, oid in present.items() if wanted.get(name) == oid}):
            change.set(name, wanted[name])
        for name in sorted(present.keys() - wanted.keys()):
            change.remove(name)


def _reached(objects: GitObjects, heads: "Iterable[ObjectID]", cut: "Collection[ObjectID]") -> "set[ObjectID]":
    """The commits that git finds from some commits on, if histories end at those of `cut`."""
    found: set[ObjectID] = set()
    waiting = list(heads)
    while waiting:
        oid = waiting.pop()
        if oid not in found:
            found.add(oid)
            waiting.extend([] if oid in cut else objects.commit(oid).parents)
    return found


def _read_shallow(root: Path) -> "set[ObjectID]":
    from dulwich.objects import ObjectID

    try:
        return {ObjectID(line) for line in (root / _SHALLOW).read_bytes().split()}
    except FileNotFoundError:
        return set()


def _write_shallow(root: Path, commits: "Collection[ObjectID]") -> None:
    # One name for all: prune is alone here, and a file that a kill has left is written over by the next one.
    temporary = root / f".{_SHALLOW}.new"
    try:
        with temporary.open("wb") as file:
            file.write(b"".join(oid + b"\n" for oid in sorted(commits)))
            file.flush()
            os.fsync(file.fileno())
        if commits:
            temporary.replace(root / _SHALLOW)
        else:
            (root / _SHALLOW).unlink(missing_ok=True)
    finally:
        temporary.unlink(missing_ok=True)
    sync(root)
