"""The embedded repository, looked at by our own reader and by git itself."""

import shutil
import subprocess
from pathlib import Path

import pytest

from workflows_dagster.lib.errors import ConflictError, NotPublishedError
from workflows_dagster.lib.store.git import GitRepository
from workflows_dagster.lib.store.repository import Change, Repository

needs_git = pytest.mark.skipif(
    shutil.which("git") is None, reason="git itself is not installed: nothing to compare with"
)


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return GitRepository(tmp_path / "home" / "store.git")


def git(repository: GitRepository, *arguments: object) -> str:
    """What git prints; its errors and warnings count as output too."""
    command = ["git", "--git-dir", str(repository.root), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def assert_sound(repository: GitRepository) -> None:
    found = [line for line in git(repository, "fsck", "--full", "--strict").splitlines() if "dangling" not in line]
    assert found == [], found


def stage(
    repository: GitRepository, path: str, files: dict[str, str], branch: str = "tx-1", start: str | None = None
) -> str:
    folder = repository.root.parent / f"folder-{branch}"
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    start = start or repository.prepare("main")
    return repository.stage(branch, start, path, folder, unchanged=(), message="Make it", metadata={"run_id": "r1"})


def publish(repository: GitRepository, path: str, files: dict[str, str], base: str = "main") -> str:
    version = stage(repository, path, files, start=repository.prepare(base))
    repository.merge("tx-1", path, base)
    repository.drop_branch("tx-1")
    return version


def test_git_repository_is_a_repository(tmp_path: Path) -> None:
    repository: Repository = GitRepository(tmp_path)
    assert repository.kind == "git"


@needs_git
def test_published_path_is_read_back_by_us_and_by_git(repository: GitRepository, tmp_path: Path) -> None:
    first = publish(repository, "a/p", {"x": "1", "deep/y": "2"})
    second = publish(repository, "b", {"x": "3"})
    assert repository.read(first, "a/p/deep/y") == b"2"
    repository.fetch(second, "b", ["x"], tmp_path / "out")
    assert (tmp_path / "out" / "x").read_text() == "3"
    assert repository.last_change("main", "a/p/x") == first
    assert repository.last_change("main", "b") == second
    assert repository.last_change("main", "c") is None
    assert repository.paths("main", "x") == ["a/p", "b"]
    assert git(repository, "show", "main:a/p/deep/y") == "2"
    assert git(repository, "ls-tree", "-r", "--name-only", second).split() == ["b/x"]
    assert_sound(repository)


def test_path_is_replaced_whole_and_the_version_before_stays(repository: GitRepository) -> None:
    first = publish(repository, "a", {"x": "1", "y": "1"})
    second = publish(repository, "a", {"x": "1", "z": "2"})
    assert list(repository.diff(first, second)) == [Change("a/y", "removed"), Change("a/z", "added")]
    assert repository.read(first, "a/y") == b"1"
    with pytest.raises(NotPublishedError, match="does not hold a/y"):
        repository.read("main", "a/y")
    assert repository.last_change("main", "a/z") == second
    assert repository.last_change("main", "a/x") == first


def test_second_of_two_writers_of_one_path_is_in_conflict(repository: GitRepository) -> None:
    start = repository.prepare("main")
    stage(repository, "a", {"x": "1"}, "tx-1", start)
    stage(repository, "a", {"x": "2"}, "tx-2", start)
    stage(repository, "b", {"x": "3"}, "tx-3", start)
    for branch, path in (("tx-1", "a"), ("tx-3", "b")):
        repository.merge(branch, path, "main")
    with pytest.raises(ConflictError, match="a was published on main by another writer"):
        repository.merge("tx-2", "a", "main")
    assert repository.read("main", "a/x") == b"1"
    assert repository.branches("tx-") == ["tx-1", "tx-2", "tx-3"]


def test_tag_names_a_commit_for_good(repository: GitRepository) -> None:
    first, second = publish(repository, "a", {"x": "1"}), publish(repository, "a", {"x": "2"})
    repository.tag("v1", first)
    repository.tag("v1", first)
    with pytest.raises(ConflictError, match="v1"):
        repository.tag("v1", second)
    assert repository.tags() == {"v1": first}
    assert repository.resolve("v1") == first
