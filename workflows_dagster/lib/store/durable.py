"""Files and names that survive a power cut."""

import ctypes
import os
import sys
from pathlib import Path


def sync(path: Path) -> None:
    """Waits until a file, or the list of names in a folder, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename_into(file: Path, place: Path) -> None:
    """Renames a file, and makes the folder that it goes to where that is missing."""
    try:
        file.rename(place)
    except FileNotFoundError:
        place.parent.mkdir(parents=True, exist_ok=True)
        file.rename(place)


def sync_file_system(folder: Path) -> None:
    """Waits until all that was written to the file system of a folder is on disk.

    One call costs a few milliseconds where an fsync of each of 2,000 files and of their folders costs a second. Only
    Linux has it (syncfs); other systems are asked to write everything, and may return before that is done.

    Raises:
        OSError: The disk did not take it.
    """
    if sys.platform != "linux":
        os.sync()
        return
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if libc.syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(descriptor)
