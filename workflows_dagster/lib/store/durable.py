"""Files that survive a power cut, and folders that nobody writes to by accident."""

import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

from workflows_dagster.lib.errors import IntegrityError, StoreError

TEMPORARY_PREFIX = "."
"""How the names of half-written records begin."""


def write_record(path: Path, record: object) -> None:
    """Writes a record as JSON: afterwards, and after a crash at any moment, the file is the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{path.name}.{uuid4().hex}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(record, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def read_record(record: Path) -> dict[str, Any]:
    """Fields of a record.

    Raises:
        IntegrityError: It is no longer the JSON object that was written.
    """
    try:
        fields = json.loads(record.read_text("utf-8"))
    except ValueError as error:
        raise damaged_record(record) from error
    if not isinstance(fields, dict):
        raise damaged_record(record)
    return fields


def damaged_record(record: Path) -> IntegrityError:
    """The error that refuses a record which is not what was written."""
    return IntegrityError(
        "a record of the store was damaged or changed",
        given=str(record),
        expected="the record as it was written",
        remedy="restore it from a backup, or remove it and the file of heads/ that names it, and materialize again",
    )


def seal(folder: Path) -> None:
    """Brings a folder to disk and takes the right to write from its files.

    Its folders stay writable: `rm -r` shall still remove them.

    Raises:
        StoreError: It holds a link or another special file, whose content could change after publication.
    """
    for path in [*folder.rglob("*"), folder]:
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise StoreError(
                f"{path.name} is a link or special file",
                given=str(path),
                expected="regular files and folders only",
                remedy="have the step copy the content instead of linking to it",
            )
        if path.is_file():
            path.chmod(0o444)
        sync(path)


def sync(path: Path) -> None:
    """Waits until a file, or the list of names in a folder, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
