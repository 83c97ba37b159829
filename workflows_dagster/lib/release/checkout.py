"""Writing a release as plain files into a folder of its own."""

import shutil
from pathlib import Path
from uuid import uuid4

from workflows_dagster.lib.errors import ConfigurationError, IntegrityError
from workflows_dagster.lib.release.record import ReleaseRecord
from workflows_dagster.lib.release.releases import Release
from workflows_dagster.lib.store.disk import disk_errors
from workflows_dagster.lib.store.version import content_digest, stat_folder
from workflows_dagster.lib.store.versioned import VersionedStore


def check_out(store: VersionedStore, release: Release, folder: Path) -> int:
    """Writes the files of every version of a release below a folder, and release.json; returns their bytes.

    The folder appears whole or not at all: it is written beside its place and renamed.

    Args:
        store: Where the release is published.
        release: The release.
        folder: A folder that is not there yet, or empty.

    Raises:
        ConfigurationError: The folder holds something.
        NotPublishedError: A version was pruned.
        IntegrityError: A file is not the one that was published.
        StorePermissionError: The folder may not be written.
        StoreUnavailableError: There is no room left for it.
    """
    with disk_errors(folder):
        return _written(store, release, folder.absolute())


def _written(store: VersionedStore, release: Release, target: Path) -> int:
    _require_empty(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}-{uuid4().hex[:8]}")
    try:
        for member in release.record.chain:
            place = aside / member.path
            # Copied, not linked: the store's own files are shared and read-only, these are the user's to change.
            shutil.copytree(store.folder(member.path, member.commit), place, copy_function=shutil.copyfile)
            _verify(place, member.digest)
        record = store.file(release.version.path, ReleaseRecord.FILE, release.version.commit)
        shutil.copyfile(record, aside / ReleaseRecord.FILE)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return sum(member.size_bytes for member in release.record.chain)


def _require_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigurationError(
            "a release is checked out into a folder of its own",
            given=str(folder),
            expected="a folder that is not there yet, or an empty one",
            remedy="name another folder, or empty this one",
        )


def _verify(folder: Path, digest: str) -> None:
    found = content_digest(stat_folder(folder))
    if found != digest:
        raise IntegrityError(
            f"{folder.name} was not written as it was published",
            given=found,
            expected=digest,
            remedy="check the disk, and check the release out again",
        )
