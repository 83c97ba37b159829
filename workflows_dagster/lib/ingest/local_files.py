"""Files on local disk: found by a path or a pattern, links followed once, every name and folder that fails named."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path
from typing import Final

_PREFIXES: Final = ("file://", "local://")
_HIDDEN: Final = (".", "_")


@dataclass
class Found:
    """What a location names.

    Attributes:
        files: Whatever lies there and is no folder; a link may lead nowhere.
        failures: Folders that cannot be listed, by path.
        passed_over: Names beside those files that do not fit the pattern.
    """

    files: list[str] = field(default_factory=list[str])
    failures: dict[str, OSError] = field(default_factory=dict[str, OSError])
    passed_over: list[str] = field(default_factory=list[str])


def path_of(uri: str) -> Path | None:
    """The absolute path that a URI stands for; None where it is none on this machine."""
    for prefix in _PREFIXES:
        uri = uri.removeprefix(prefix)
    return None if "://" in uri else Path(uri).absolute()


def state(path: Path) -> tuple[int, float]:
    """Bytes of a file, and when it was last modified, in seconds since 1970; links are followed.

    Raises:
        OSError: It is not there, is no regular file, or may not be read.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError("it is not a regular file")
    if not os.access(path, os.R_OK):
        raise PermissionError("it may not be read by this user")
    return found.st_size, found.st_mtime


def find(location: Path) -> Found:
    """The files that a path or pattern names.

    A folder stands for the files directly in it. `*`, `?` and `[...]` stand for parts of a name, a part `**` for any
    number of folders. What is there under exactly that name stands for itself. What a pattern meets under a name that
    begins with a dot or an underscore is passed over, and so is a folder that it has been in before.

    Raises:
        OSError: The location is no pattern, and is not there or cannot be listed.
    """
    found = Found()
    if not has_magic(str(location)) or _is_there(location):
        location.lstat()
        if location.is_dir():
            with os.scandir(location) as entries:
                found.files += [entry.path for entry in _visible(entries) if not _is_folder(entry)]
        else:
            found.files.append(str(location))
        return found
    root, *parts, name = location.parts
    folders = [root]
    for part in parts:
        folders = [below for folder in folders for below in _step(folder, part, found)]
    for folder in folders:
        if _is_there(Path(folder, name)):
            found.files.append(str(Path(folder, name)))
            continue
        for entry in _entries(folder, found):
            if not _is_folder(entry):
                if name == "**" or fnmatchcase(entry.name, name):
                    found.files.append(entry.path)
                else:
                    found.passed_over.append(entry.name)
    return found


def _step(folder: str, part: str, found: Found) -> Iterator[str]:
    """The folders that one part of a pattern leads to."""
    if part == "**":
        yield from _descend(folder, found)
    elif not has_magic(part) or _is_there(Path(folder, part)):
        try:
            is_folder = Path(folder, part).is_dir()
        except OSError as error:
            found.failures[folder], is_folder = error, False
        if is_folder:
            yield str(Path(folder, part))
    else:
        for entry in _entries(folder, found):
            if fnmatchcase(entry.name, part) and _is_folder(entry):
                yield entry.path


def _descend(folder: str, found: Found) -> Iterator[str]:
    """A folder and all below it, each once however many links lead there."""
    waiting, seen = [folder], set[tuple[int, int]]()
    while waiting:
        path = waiting.pop()
        try:
            here = Path(path).stat()
        except OSError as error:
            found.failures[path] = error
            continue
        if (here.st_dev, here.st_ino) in seen:
            continue
        seen.add((here.st_dev, here.st_ino))
        yield path
        below = [entry for entry in _entries(path, found) if _is_folder(entry)]
        # The last is the next: folders before links to folders.
        waiting += [one.path for one in sorted(below, key=lambda one: (one.is_symlink(), one.name), reverse=True)]


def _entries(folder: str, found: Found) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return _visible(entries)
    except OSError as error:
        found.failures[folder] = error
        return []


def _visible(entries: Iterable[os.DirEntry[str]]) -> list[os.DirEntry[str]]:
    return sorted((one for one in entries if not one.name.startswith(_HIDDEN)), key=lambda one: one.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that loops
        return False


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except OSError:
        return False
    return True
