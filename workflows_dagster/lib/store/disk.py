"""Errors of the operating system on files of the store, as errors of the store."""

import errno
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from workflows_dagster.lib.errors import StorePermissionError, StoreUnavailableError, WorkflowError

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def disk_errors(place: Path) -> Generator[None]:
    """Turns errors of the operating system into errors of the store.

    Raises:
        StorePermissionError: The place may not be read or written.
        StoreUnavailableError: The disk is full, or does not answer.
    """
    try:
        yield
    except WorkflowError:
        raise
    except OSError as error:
        if is_no_room(error):
            raise no_room(place, error) from error
        if error.errno in _REFUSED:
            raise StorePermissionError(
                f"{place} may not be used",
                given=str(error),
                expected="a folder that this user may read and write",
                remedy="check the owner and the mode of the file named above",
            ) from error
        raise StoreUnavailableError(
            f"{place} cannot be used now",
            given=str(error),
            expected="a place that can be read and written",
            remedy="check the path and the disk, then run it again; nothing that was published is lost",
        ) from error


def is_no_room(error: BaseException) -> bool:
    """Whether an error says that a disk, a quota or a limit on the size of files is exhausted."""
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def no_room(place: Path, error: BaseException) -> StoreUnavailableError:
    """The error that says that there is no room left."""
    return StoreUnavailableError(
        f"there is no room left for {place}",
        given=str(error),
        expected="room for what is written, and for a copy of it where the repository is on another disk",
        remedy="free some, then run it again; nothing that was published is lost",
    )
