"""Making the bare repository of the embedded store."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from workflows_dagster.lib.errors import StoreError
from workflows_dagster.lib.store.durable import sync

MAIN: Final = "main"
"""The branch that others begin at, and that `git clone` and `git log` show."""

_CONFIG: Final = {
    # Parquet, safetensors and ONNX do not get smaller, and packing them costs seconds per 100 MB.
    ("core", "compression"): "0",
    ("core", "looseCompression"): "0",
    # git streams what is larger than this instead of looking for deltas in memory.
    ("core", "bigFileThreshold"): "1m",
    # Packs are read whole into memory here, and prune drops loose objects alone: packing is left to people.
    ("gc", "auto"): "0",
    # Neither knows that prune ends histories, and `git fsck` would miss what they still list.
    ("core", "commitGraph"): "false",
    ("gc", "writeCommitGraph"): "false",
    # A log of refs would keep what prune drops; the history of a base branch says the same.
    ("core", "logAllRefUpdates"): "false",
    ("maintenance", "auto"): "false",
}
_ABANDONED_S: Final = 60.0


def is_repository(root: Path) -> bool:
    """Whether there is a bare repository at a folder."""
    return (root / "HEAD").is_file() and (root / "objects").is_dir()


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
    sync(root.parent)
    if not is_repository(root):
        raise StoreError(
            "the place of the repository is taken by something else",
            given=str(root),
            expected="a bare git repository, an empty folder or nothing",
            remedy="choose another folder for the store, or move away what is there",
        )


def _init(folder: Path) -> None:
    from dulwich.repo import Repo

    folder.mkdir()
    with Repo.init_bare(str(folder), default_branch=MAIN.encode()) as repository:
        config = repository.get_config()
        for (section, name), value in _CONFIG.items():
            config.set((section.encode(),), name.encode(), value.encode())
        config.write_to_path()
    for path, _, files in os.walk(folder):
        for name in files:
            sync(Path(path, name))
        sync(Path(path))


def _remove_abandoned(root: Path) -> None:
    for left in root.parent.glob(f".{root.name}.new-*"):
        if left.stat().st_mtime < time.time() - _ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)
