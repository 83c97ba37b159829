"""Old versions go, and git finds the repository whole whatever was dropped."""

import shutil
import subprocess
from pathlib import Path

import pytest

from workflows_dagster.lib.errors import ConfigurationError, NotPublishedError, StoreUnavailableError
from workflows_dagster.lib.store.git import GitRepository
from workflows_dagster.lib.store.git_lock import writing
from workflows_dagster.lib.store.git_removal import Pruned

HAS_GIT = shutil.which("git") is not None


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return GitRepository(tmp_path / "store.git")


def git(repository: GitRepository, *arguments: object) -> str:
    command = ["git", "--git-dir", str(repository.root), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def assert_sound(repository: GitRepository, *, garbage: bool = False) -> None:
    """Git finds nothing broken, and nothing that no ref leads to."""
    if HAS_GIT:
        found = git(repository, "fsck", "--full", "--strict").splitlines()
        assert [line for line in found if not (garbage and line.startswith("dangling"))] == []


def publish(repository: GitRepository, path: str, text: str, base: str = "main") -> str:
    folder = repository.root.parent / "folder"
    (folder / "deep").mkdir(parents=True, exist_ok=True)
    (folder / "deep" / "x").write_text(text)
    start = repository.prepare(base)
    version = repository.stage("tx-1", start, path, folder, unchanged=(), message=f"Make {text}", metadata={})
    repository.merge("tx-1", path, base)
    repository.drop_branch("tx-1")
    return version


def is_there(repository: GitRepository, version: str, path: str, text: str) -> bool:
    try:
        content = repository.read(version, f"{path}/deep/x")
    except NotPublishedError:
        return False
    assert content == text.encode()
    return True


def test_last_versions_of_each_path_stay(repository: GitRepository) -> None:
    a = [publish(repository, "a", f"a{number}") for number in range(5)]
    b = publish(repository, "b", "b0")
    pruned = repository.prune(keep=2, older_than_s=-1)
    assert [is_there(repository, version, "a", f"a{number}") for number, version in enumerate(a)] == [
        False,
        False,
        False,
        True,
        True,
    ]
    assert is_there(repository, b, "b", "b0")
    assert pruned.versions == 3
    with pytest.raises(NotPublishedError, match="if prune dropped that version, materialize it again"):
        repository.last_change(a[0], "a")
    assert repository.last_change("main", "a/deep/x") == a[4]
    assert repository.last_change("main", "b") == b
    assert_sound(repository)
    assert repository.prune(keep=2, older_than_s=-1) == Pruned(0, 0, 0)
    again = publish(repository, "a", "a5")
    assert repository.last_change("main", "a") == again
    assert_sound(repository)


def test_held_tagged_and_staged_versions_stay_and_go_once_let_go(repository: GitRepository) -> None:
    a = [publish(repository, "a", f"a{number}") for number in range(5)]
    repository.tag("v1", a[0])
    folder = repository.root.parent / "folder"
    staged = repository.stage("tx-2", repository.prepare("main"), "a", folder, unchanged=(), message="m", metadata={})
    publish(repository, "a", "a5")
    repository.prune(keep=1, hold=[a[2], "0" * 40, "not an id"], older_than_s=-1)
    there = [is_there(repository, version, "a", f"a{number}") for number, version in enumerate(a)]
    assert there == [True, False, True, False, False]
    assert is_there(repository, staged, "a", "a4")
    assert_sound(repository)
    repository.drop_branch("tx-2")
    assert repository.prune(keep=1, older_than_s=-1).versions == 2
    assert not is_there(repository, a[2], "a", "a2")
    assert is_there(repository, a[0], "a", "a0")
    assert_sound(repository)


def test_versions_of_each_base_branch_stay(repository: GitRepository) -> None:
    main = publish(repository, "a", "main")
    dev = [publish(repository, "a", f"dev{number}", "dev") for number in range(3)]
    repository.prune(keep=1, older_than_s=-1)
    assert repository.last_change("main", "a") == main
    assert repository.last_change("dev", "a") == dev[2]
    assert [is_there(repository, version, "a", f"dev{number}") for number, version in enumerate(dev)] == [
        False,
        False,
        True,
    ]
    assert_sound(repository)


def test_history_stays_as_far_as_it_costs_nothing(repository: GitRepository) -> None:
    for number, path in enumerate(("a", "b", "a", "c")):
        publish(repository, path, f"{path}{number}")
    before = repository.resolve("main")
    repository.prune(keep=1, older_than_s=-1)
    assert repository.resolve("main") == before
    if HAS_GIT:
        titles = git(repository, "log", "--first-parent", "--format=%s", "main").splitlines()
        # The first version of `a` is gone, and with it every state of the branch that held it.
        assert titles == ["c: Make c3", "a: Make a2"]


def test_what_is_young_stays_whole(repository: GitRepository) -> None:
    a = [publish(repository, "a", f"a{number}") for number in range(4)]
    assert repository.prune(keep=1, older_than_s=3600) == Pruned(0, 0, 0)
    assert all(is_there(repository, version, "a", f"a{number}") for number, version in enumerate(a))
    assert_sound(repository, garbage=True)
    assert repository.prune(keep=1, older_than_s=-1).versions == 3
    assert_sound(repository)


def test_prune_waits_for_writers_and_says_so(repository: GitRepository) -> None:
    publish(repository, "a", "a0")
    with writing(repository.root), pytest.raises(StoreUnavailableError, match="held by another process"):
        repository.prune(keep=1, older_than_s=-1, timeout_s=0.05)


def test_prune_refuses_to_drop_what_is_published(repository: GitRepository) -> None:
    publish(repository, "a", "a0")
    with pytest.raises(ConfigurationError, match="keep >= 1"):
        repository.prune(keep=0, older_than_s=-1)


def test_prune_of_nothing_removes_nothing(repository: GitRepository) -> None:
    assert repository.prune(keep=1, older_than_s=0) == Pruned(0, 0, 0)
