"""Branches and tags of a git repository: read at any time, changed under the lock of the repository."""

import os
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.errors import StoreError
from workflows_dagster.lib.store.durable import sync

if TYPE_CHECKING:
    from dulwich.objects import ObjectID
    from dulwich.refs import DiskRefsContainer, Ref

BRANCHES: Final = "refs/heads/"
TAGS: Final = "refs/tags/"

_STALE_S: Final = 5.0
_POLL_S: Final = 0.01


class GitRefs:
    """Refs of the bare repository at a folder, by full names such as `refs/heads/main`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, name: str) -> "ObjectID | None":
        """What a ref points at, or None."""
        from dulwich.refs import Ref, check_ref_format

        ref = Ref(name.encode())
        return self._refs.follow(ref)[1] if check_ref_format(ref) else None

    def below(self, prefix: str) -> dict[str, "ObjectID"]:
        """The refs below `refs/heads/` or `refs/tags/`, by the rest of their names, sorted."""
        from dulwich.refs import Ref

        found = self._refs.as_dict(Ref(prefix.rstrip("/").encode()))
        return {os.fsdecode(name): oid for name, oid in sorted(found.items())}

    def swap(self, name: str, old: "ObjectID | None", new: "ObjectID") -> bool:
        """Points a ref at another object if it still points where `old` says (None: if it is not there).

        Returns:
            Whether it did. The ref is then on disk.
        """
        from dulwich.objects import ZERO_SHA

        done = self._refs.set_if_equals(self._free(name), old or ZERO_SHA, new)
        if done:
            sync((self._root / name).parent)
        return done

    def remove(self, name: str) -> None:
        """Removes a ref; one that is not there is no error."""
        ref = self._free(name)
        self._wait_for(self._root / "packed-refs.lock")
        if ref in self._refs:
            self._refs.remove_if_equals(ref, None)

    def _free(self, name: str) -> "Ref":
        """The ref, once no other program holds git's own lock on it."""
        from dulwich.refs import Ref, check_ref_format

        if not check_ref_format(Ref(name.encode())):
            raise StoreError(
                "git cannot hold a branch or tag of that name",
                given=name,
                expected="a name as `git check-ref-format` accepts it",
                remedy="choose another name",
            )
        self._wait_for(self._root / f"{name}.lock")
        return Ref(name.encode())

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
