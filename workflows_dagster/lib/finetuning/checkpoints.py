"""Checkpoints to resume training from: kept beside the store, one folder for each distinct training."""

import json
import logging
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from workflows_dagster.lib.finetuning.lora import ADAPTER_WEIGHTS
from workflows_dagster.lib.hashing import digest_record
from workflows_dagster.lib.process_guard import LOCK_FILE, exclusive

_STATE: Final = "trainer_state.json"
_ZIPPED: Final = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
_logger = logging.getLogger(__name__)


def folder_for(root: Path, identity: Mapping[str, object]) -> Path:
    """The folder of one training: whatever changes its result changes the folder."""
    return root / digest_record(dict(identity))[:16]


def last_whole(folder: Path) -> Path | None:
    """The newest checkpoint that is complete; damaged ones after it are removed with a warning."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=_step, reverse=True):
        damage = damage_of(checkpoint)
        if damage is None:
            return checkpoint
        _logger.warning("checkpoint %s is left out and removed: %s", checkpoint.name, damage)
        shutil.rmtree(checkpoint)
    return None


def damage_of(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, or None where it can be resumed from."""
    from safetensors import SafetensorError, safe_open

    missing = [name for name in (_STATE, ADAPTER_WEIGHTS, *_ZIPPED) if not (checkpoint / name).is_file()]
    if missing:
        return f"no {', no '.join(missing)}"
    try:
        json.loads((checkpoint / _STATE).read_text("utf-8"))
        with safe_open(checkpoint / ADAPTER_WEIGHTS, framework="np") as weights:
            weights.keys()
    except (ValueError, SafetensorError) as error:
        return f"cannot be read: {error}"
    return next((f"{name} is damaged" for name in _ZIPPED if not _is_whole_zip(checkpoint / name)), None)


def discard(folder: Path) -> None:
    """Removes the checkpoints of a training whose result is published; its lock file stays."""
    if not folder.is_dir():
        return
    with exclusive(folder):
        for entry in folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != LOCK_FILE:
                entry.unlink()


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _is_whole_zip(path: Path) -> bool:
    """Whether each entry of a torch file, which is a zip, has the checksum recorded for it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, EOFError):
        return False
