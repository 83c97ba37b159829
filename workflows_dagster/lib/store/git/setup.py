"""The folder of the embedded repository: made whole or not at all, told from others, locked by whoever changes it."""

import fcntl
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from workflows_dagster.lib.errors import StoreError, StoreUnavailableError
from workflows_dagster.lib.store.durable import sync_file_system
from workflows_dagster.lib.store.git.history import VERSIONS_FOLDER, new_commit
from workflows_dagster.lib.store.git.lfs import ATTRIBUTES_FILE, attributes
from workflows_dagster.lib.store.git.objects import GitObjects
from workflows_dagster.lib.store.git.refs import BRANCHES, GitRefs

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
    found = config.get((b"workflowsdagster",), b"format") if config.has_section((b"workflowsdagster",)) else b"none"
    if found != FORMAT.encode():
        raise StoreError(
            f"the repository {root} is of another format: it was made by another version of workflows_dagster",
            given=f"workflowsdagster.format = {found.decode('utf-8', 'replace')}",
            expected=f"workflowsdagster.format = {FORMAT}",
            remedy=f"move {root} away and materialize the assets again, or read it with the version that made it",
        )


def make_repository(root: Path) -> None:
    """Makes a bare repository with an empty `main` where there is none; it is there whole or not at all.

    It is no error if another process makes it first.

    Raises:
        StoreError: Something else is at that place.
    """
    from dulwich.repo import Repo

    root.parent.mkdir(parents=True, exist_ok=True)
    for left in root.parent.glob(f".{root.name}.new-*"):
        # Its maker may be done with it by now.
        with suppress(FileNotFoundError):
            if left.stat().st_mtime < time.time() - _ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)
    made = root.with_name(f".{root.name}.new-{uuid4().hex}")
    try:
        made.mkdir()
        with Repo.init_bare(str(made), default_branch=MAIN.encode()) as repository:
            config = repository.get_config()
            config.set((b"workflowsdagster",), b"format", FORMAT.encode())
            config.write_to_path()
        for name in ("objects", "tmp"):
            (made / "lfs" / name).mkdir(parents=True)
        objects = GitObjects(made / "objects", aside=made / "lfs" / "tmp")
        top = objects.add_tree({ATTRIBUTES_FILE: objects.add_blob(attributes([f"{VERSIONS_FOLDER}/**"], top=True))})
        GitRefs(made).swap(BRANCHES + MAIN, None, objects.add(new_commit(top, [], "Begin\n")))
        sync_file_system(made)
        # A folder renamed onto one that is not empty is refused: another process was first, or it is something else.
        with suppress(OSError):
            made.rename(root)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    sync_file_system(root.parent)
    if not is_repository(root):
        raise StoreError(
            "the place of the repository is taken by something else",
            given=str(root),
            expected="a bare git repository, an empty folder or nothing",
            remedy="choose another folder for the store, or move away what is there",
        )


@contextmanager
def locked(root: Path, timeout_s: float = 600.0) -> Generator[None]:
    """Holds the lock of a repository, which the kernel takes back from a process that dies.

    Raises:
        StoreUnavailableError: Others held it all that time.
    """
    retrying = Retrying(
        retry=retry_if_exception_type(BlockingIOError), wait=wait_fixed(0.01), stop=stop_after_delay(timeout_s)
    )
    with (root / "store.flock").open("a") as file:
        try:
            retrying(fcntl.flock, file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except RetryError as error:
            raise StoreUnavailableError(
                f"the lock {file.name} was held by another process all the time",
                given=f"{timeout_s:g} s of waiting",
                expected="writers and prune that are done before that",
                remedy="try again; `fuser` or `lslocks` names the process that holds it",
            ) from error
        try:
            yield
        finally:
            # Explicit, as a forked child that still has the file open would keep the lock past its closing here.
            fcntl.flock(file, fcntl.LOCK_UN)
