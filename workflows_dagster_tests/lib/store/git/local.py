"""An embedded repository in the hands of a test: published to without a store, and judged by git itself."""

import json
import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
import pytest

from workflows_dagster.lib.store.git.lfs import is_ordinary
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.version import VERSION_FILE, Version, content_digest, stat_folder
from workflows_dagster.lib.store.versioned import VersionedStore

needs_git: Final = pytest.mark.skipif(
    shutil.which("git") is None, reason="git itself is not installed: nobody judges the repository"
)
needs_git_lfs: Final = pytest.mark.skipif(
    shutil.which("git") is None or shutil.which("git-lfs") is None, reason="git and git-lfs are not installed"
)

_TELLING_CHARACTERS: Final = 20
"""Shorter texts ("Great!") stand in a report by chance."""


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


def ordinary_files_with_review_text(store: VersionedStore) -> list[str]:
    """The published files that are ordinary git objects, which nothing can forget, and hold a text of some table."""
    texts: set[str] = set()
    contents: dict[str, str] = {}
    for path in store.paths():
        folder, version = store.folder(path), store.version(path)
        contents[f"{path}/{VERSION_FILE}"] = version.to_record().decode()
        for name, stat in version.files.items():
            if name.endswith(".parquet"):
                columns = {"text", "excerpt"}.intersection(pq.read_schema(folder / name).names)
                for column in pq.read_table(folder / name, columns=sorted(columns)).columns:
                    texts.update(text for text in column.to_pylist() if text and len(text) >= _TELLING_CHARACTERS)
            elif is_ordinary(name, stat.size_bytes):
                contents[f"{path}/{name}"] = (folder / name).read_text("utf-8")
    forms = {
        form for text in texts for form in (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    }
    assert forms, "no table of texts was published"
    return sorted(name for name, content in contents.items() if any(form in content for form in forms))
