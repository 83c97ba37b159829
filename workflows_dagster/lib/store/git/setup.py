"""Making the bare repository of the embedded store, and telling it from others."""

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from workflows_dagster.lib.store.durable import sync_file_system
from workflows_dagster.lib.store.git.errors import other_format, place_taken

MAIN: Final = "main"
"""The branch that others begin at, and that `git clone` and `git log` show."""

FORMAT: Final = "lfs-1"
"""Value of workflowsdagster.format in the configuration of a repository that this module made."""

_ABANDONED_S: Final = 60.0


def is_repository(root: Path) -> bool:
    """Whether there is a bare repository at a folder."""
    return (root / "HEAD").is_file() and (root / "objects").is_dir()


def require_format(root: Path) -> None:
    """Refuses a repository that was made in another way.

    Raises:
        StoreError: Its configuration does not name our format.
    """
    from dulwich.config import ConfigFile

    config = ConfigFile.from_path(str(root / "config"))
    found = config.get((b"workflowsdagster",), b"format") if config.has_section((b"workflowsdagster",)) else None
    if found != FORMAT.encode():
        raise other_format(root, found.decode("utf-8", "replace") if found else None, FORMAT)


def make_repository(root: Path) -> None:
    """Makes an empty bare repository where there is none; it is there whole or not at all, whoever else makes it.

    Raises:
        StoreError: Something else is at that place.
    """
    if is_repository(root):
        return
    root.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(root)
    made = root.with_name(f".{root.name}.new-{uuid4().hex}")
    try:
        _init(made)
        # A folder renamed onto one that is not empty is refused: another process was first, or it is something else.
        with suppress(OSError):
            made.rename(root)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    sync_file_system(root.parent)
    if not is_repository(root):
        raise place_taken(root)


def _init(folder: Path) -> None:
    from dulwich.repo import Repo

    folder.mkdir()
    with Repo.init_bare(str(folder), default_branch=MAIN.encode()) as repository:
        config = repository.get_config()
        config.set((b"workflowsdagster",), b"format", FORMAT.encode())
        config.write_to_path()
    for name in ("objects", "tmp"):
        (folder / "lfs" / name).mkdir(parents=True)
    sync_file_system(folder)


def _remove_abandoned(root: Path) -> None:
    for left in root.parent.glob(f".{root.name}.new-*"):
        if left.stat().st_mtime < time.time() - _ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)
