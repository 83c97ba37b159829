"""An embedded repository in the hands of a test: published to without a store, and judged by git itself."""

import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import pytest

from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.version import VERSION_FILE, Version, content_digest, stat_folder

needs_git: Final = pytest.mark.skipif(
    shutil.which("git") is None, reason="git itself is not installed: nobody judges the repository"
)
needs_git_lfs: Final = pytest.mark.skipif(
    shutil.which("git") is None or shutil.which("git-lfs") is None, reason="git and git-lfs are not installed"
)


def git(repository: GitRepository, *arguments: object) -> str:
    """What git prints; its errors and warnings count as output too."""
    command = ["git", "--git-dir", str(repository.root), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def assert_sound(repository: GitRepository) -> None:
    """Git finds nothing broken, and every content under LFS is what its name says."""
    if shutil.which("git"):
        found = git(repository, "fsck", "--full", "--strict").splitlines()
        assert [line for line in found if not line.startswith(("dangling", "notice"))] == []
    contents = repository.root / "lfs" / "objects"
    assert {path.name for path in contents.glob("??/??/*")} == {stat.sha256 for stat in stat_folder(contents).values()}


def write_record(folder: Path, path: str, metadata: Mapping[str, str] | None = None) -> None:
    """Describes a folder as the store does before it is staged."""
    (folder / VERSION_FILE).unlink(missing_ok=True)
    files = stat_folder(folder)
    version = Version("", path, content_digest(files), files, "m", metadata or {}, "2026-01-01T00:00:00", None)
    (folder / VERSION_FILE).write_bytes(version.to_record())


def stage(
    repository: GitRepository,
    path: str,
    files: Mapping[str, str],
    branch: str = "tx-1",
    start: str | None = None,
    unchanged: Collection[str] = (),
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Stages files of these texts; the version."""
    folder = repository.root.parent / f"folder-{branch}"
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    write_record(folder, path, metadata)
    start = start or repository.prepare("main")
    return repository.stage(
        branch, start, path, folder, unchanged=unchanged, message="Make it", metadata=metadata or {}
    )


def publish(repository: GitRepository, path: str, files: Mapping[str, str], base: str = "main") -> str:
    """Stages and merges files of these texts; the version."""
    version = stage(repository, path, files, start=repository.prepare(base))
    repository.merge("tx-1", path, base)
    repository.drop_branch("tx-1")
    return version
