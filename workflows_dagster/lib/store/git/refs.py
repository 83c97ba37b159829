"""Refs of a bare git repository: read at any time, changed by one process at a time."""

import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from workflows_dagster.lib.errors import StoreUnavailableError
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.store.durable import sync
from workflows_dagster.lib.store.git.errors import bad_ref_name
from workflows_dagster.lib.store.git.lock import locked

if TYPE_CHECKING:
    from dulwich.objects import ObjectID
    from dulwich.refs import DiskRefsContainer, Ref

BRANCHES: Final = b"refs/heads/"
TAGS: Final = b"refs/tags/"
VERSIONS: Final = b"refs/versions/"
KEPT: Final = b"refs/kept/"

_LOCK_FILE: Final = "refs.flock"
_TIMEOUT_S: Final = 120.0
_STALE_S: Final = 5.0
_POLL_S: Final = 0.01
_MAX_NAME_CHARACTERS: Final = 180


def version_ref(base: str, path: str) -> bytes:
    """Name of the ref that keeps the newest version commit of a path on a base branch.

    It is one level below the branch's name: those of `asset` and `asset/partition` must not exclude each other.
    """
    name = quote(path, safe=",=+").replace("~", "%7E").replace(".", "%2E")
    if len(name) > _MAX_NAME_CHARACTERS:
        name = f"{name[:100]}%{digest_text(path)}"
    return b"%s%s/%s" % (VERSIONS, base.encode(), name.encode("ascii"))


class GitRefs:
    """Refs of the bare repository at a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, name: bytes) -> "ObjectID | None":
        """What a ref points at, or None."""
        from dulwich.refs import Ref, check_ref_format

        return self._refs.follow(Ref(name))[1] if check_ref_format(Ref(name)) else None

    def below(self, prefix: bytes) -> dict[str, "ObjectID"]:
        """The refs below a folder of refs such as `refs/tags/`, by the rest of their names, sorted."""
        from dulwich.refs import Ref

        found = {}
        for name in sorted(self._refs.subkeys(Ref(prefix.rstrip(b"/")))):
            value = self.get(prefix + name)
            # A ref may go between the listing and the reading.
            if value is not None:
                found[os.fsdecode(name)] = value
        return found

    def heads(self) -> "list[ObjectID]":
        """What all refs point at but those that this project keeps for itself."""
        return [*self.below(BRANCHES).values(), *self.below(TAGS).values(), *self.others()]

    def others(self) -> "list[ObjectID]":
        """What the refs of other programs point at."""
        ours = (BRANCHES, TAGS, VERSIONS, KEPT)
        found = (self.get(name) for name in self._refs.allkeys() if name != b"HEAD" and not name.startswith(ours))
        return [oid for oid in found if oid is not None]

    def logged(self) -> Iterator[str]:
        """The ids in logs of refs, which git writes where a person has asked it to, and which it wants to find."""
        for log in sorted((self._root / "logs").rglob("*")):
            if log.is_file():
                for line in log.read_text("utf-8", "replace").splitlines():
                    yield from line.split(" ", 2)[:2]

    @contextmanager
    def changing(self) -> Generator["RefChange"]:
        """The right to change refs, held by one process at a time; what was changed is on disk once it is left.

        Raises:
            StoreUnavailableError: Another process held it for too long.
        """
        with locked(self._root / _LOCK_FILE, shared=False, timeout_s=_TIMEOUT_S):
            yield RefChange(self._root, self._refs)

    @cached_property
    def _refs(self) -> "DiskRefsContainer":
        from dulwich.refs import DiskRefsContainer

        return DiskRefsContainer(str(self._root))


class RefChange:
    """The right to change refs."""

    def __init__(self, root: Path, refs: "DiskRefsContainer") -> None:
        self._root = root
        self._refs = refs

    def swap(self, name: bytes, old: "ObjectID | None", new: "ObjectID") -> bool:
        """Points a ref at another object if it still points where `old` says (None: if it is not there).

        Returns:
            Whether it did.
        """
        ref = self._free(name)
        done = self._refs.add_if_new(ref, new) if old is None else self._refs.set_if_equals(ref, old, new)
        if done:
            self._sync(name)
        return done

    def set(self, name: bytes, new: "ObjectID") -> None:
        """Points a ref at an object, wherever it pointed before."""
        self._refs.set_if_equals(self._free(name), None, new)
        self._sync(name)

    def remove(self, name: bytes) -> None:
        """Removes a ref; one that is not there is no error."""
        ref = self._free(name)
        self._wait_for(self._root / "packed-refs.lock")
        if ref in self._refs:
            self._refs.remove_if_equals(ref, None)

    def _free(self, name: bytes) -> "Ref":
        """The ref, once no other program holds git's own lock on it."""
        from dulwich.refs import Ref, check_ref_format

        if not check_ref_format(Ref(name)):
            raise bad_ref_name(os.fsdecode(name))
        self._wait_for(self._root / f"{os.fsdecode(name)}.lock")
        return Ref(name)

    def _wait_for(self, lock: Path) -> None:
        """Waits for git to let go of a ref, and removes what a process that was killed has left.

        No process of ours holds such a lock now, since this one has the right to change refs. Git holds it for moments.
        """
        limit = time.monotonic() + _TIMEOUT_S
        while True:
            try:
                age_s = time.time() - lock.stat().st_mtime
            except FileNotFoundError:
                return
            if age_s > _STALE_S:
                with suppress(FileNotFoundError):
                    lock.unlink()
                return
            if time.monotonic() >= limit:
                raise StoreUnavailableError(
                    f"git holds the lock {lock} all the time",
                    given=f"{_TIMEOUT_S:g} s of waiting",
                    expected="a push or another command of git that is done before that",
                    remedy="end the git process that works in the repository, then try again",
                )
            time.sleep(_POLL_S)

    def _sync(self, name: bytes) -> None:
        folder = (self._root / os.fsdecode(name)).parent
        while folder != self._root:
            sync(folder)
            folder = folder.parent
