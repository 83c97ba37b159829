"""The home folder, which only its owner may look into: raw reviews, manifests and models are in it."""

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_OWNER_ONLY: Final = 0o700
_SHARED_ON_PURPOSE: Final = stat.S_ISGID | stat.S_ISVTX

_log = logging.getLogger(__name__)


def keep_private(folder: Path) -> None:
    """Makes a folder with mode 0700, and gives one that is there this mode.

    A folder of another account stays as it is, and so does one with the set-group-ID or the sticky bit, by which its
    owner shares it. A folder that cannot be made or changed is left to the step that needs it: its error says more.
    """
    with suppress(OSError):
        folder.mkdir(mode=_OWNER_ONLY, parents=True, exist_ok=True)
        found = folder.stat()
        if found.st_uid == os.geteuid() and not found.st_mode & _SHARED_ON_PURPOSE and found.st_mode & 0o077:
            folder.chmod(stat.S_IMODE(found.st_mode) & _OWNER_ONLY)
            _log.info("%s was open to other accounts; its mode is now 0700", folder)
