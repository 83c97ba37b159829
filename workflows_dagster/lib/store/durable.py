"""Files and names that survive a power cut."""
# Names are text, not paths: of 2,000 files the making of paths would take as long as the renames.
# ruff: noqa: PTH103, PTH104, PTH120

import ctypes
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def sync(path: Path) -> None:
    """Waits until a file, or the list of names in a folder, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(place: str, aside: Path) -> Generator[str]:
    """A name to write a file under; it then appears at its place whole, in place of what was there, or not at all.

    Args:
        place: Where it appears; the folder is made where it is missing.
        aside: Folder on the same file system; a process that is killed leaves half a file there.
    """
    unfinished = f"{aside}/{os.urandom(8).hex()}"
    try:
        yield unfinished
        try:
            os.rename(unfinished, place)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            os.rename(unfinished, place)
    except OSError:
        Path(unfinished).unlink(missing_ok=True)
        raise


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
