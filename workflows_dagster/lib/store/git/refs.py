"""Branches and tags of a git repository: read at any time, changed under the lock of the repository."""

import os
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.store.durable import sync
from workflows_dagster.lib.store.git.errors import bad_ref_name

if TYPE_CHECKING:
    from dulwich.objects import ObjectID
    from dulwich.refs import DiskRefsContainer, Ref

BRANCHES: Final = b"refs/heads/"
TAGS: Final = b"refs/tags/"

_STALE_S: Final = 5.0
_POLL_S: Final = 0.01


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

        found = {os.fsdecode(name): self.get(prefix + name) for name in self._refs.subkeys(Ref(prefix.rstrip(b"/")))}
        # A ref may go between the listing and the reading.
        return {name: oid for name, oid in sorted(found.items()) if oid is not None}

    def swap(self, name: bytes, old: "ObjectID | None", new: "ObjectID") -> bool:
        """Points a ref at another object if it still points where `old` says (None: if it is not there).

        Returns:
            Whether it did. The ref is then on disk.
        """
        ref = self._free(name)
        done = self._refs.add_if_new(ref, new) if old is None else self._refs.set_if_equals(ref, old, new)
        if done:
            sync((self._root / os.fsdecode(name)).parent)
        return done

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
        """Waits for git, which holds its lock for moments, and removes what a killed process has left.

        No process of ours holds it now, since this one holds the lock of the repository.
        """
        with suppress(FileNotFoundError):
            while time.time() - lock.stat().st_mtime < _STALE_S:
                time.sleep(_POLL_S)
            lock.unlink()

    @cached_property
    def _refs(self) -> "DiskRefsContainer":
        from dulwich.refs import DiskRefsContainer

        return DiskRefsContainer(str(self._root))
