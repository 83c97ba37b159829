"""Old versions go, and git finds the repository whole whatever was dropped."""

import os
import shutil
import subprocess
import time
import zlib
from pathlib import Path

import pytest

from workflows_dagster.lib.errors import ConfigurationError, NotPublishedError, StoreUnavailableError
from workflows_dagster.lib.store.git.lock import writing
from workflows_dagster.lib.store.git.objects import GitObjects
from workflows_dagster.lib.store.git.removal import Pruned, remove_rest
from workflows_dagster.lib.store.git.repository import GitRepository

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


def test_rubbish_that_is_damaged_goes_too(repository: GitRepository) -> None:
    publish(repository, "a", "a0")
    for number, content in enumerate(
        (b"", b"no zlib stream", zlib.compress(b"commit 3\0abc"), zlib.compress(b"blob 9\0x"))
    ):
        place = repository.root / "objects" / "ab" / f"{number:038x}"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
    assert repository.prune(keep=1, older_than_s=3600) == Pruned(0, 0, 0)
    assert repository.prune(keep=1, older_than_s=-1).objects == 4
    assert_sound(repository)
    assert is_there(repository, "main", "a", "a0")


def test_what_was_pushed_meanwhile_is_not_removed(repository: GitRepository) -> None:
    publish(repository, "a", "a0")
    objects = GitObjects(repository.root / "objects")
    assert remove_rest(objects, stay=(), limit=time.time() - 3600) == Pruned(0, 0, 0)
    assert_sound(repository)


@pytest.mark.skipif(not HAS_GIT, reason="git itself is not installed: nothing else writes logs of refs")
def test_what_a_log_of_refs_names_stays(repository: GitRepository) -> None:
    a = [publish(repository, "a", f"a{number}") for number in range(3)]
    git(repository, "-c", "core.logAllRefUpdates=true", "branch", "--create-reflog", "mine", a[0])
    git(repository, "update-ref", "refs/heads/mine", a[2])
    repository.prune(keep=1, older_than_s=-1)
    assert [is_there(repository, version, "a", f"a{number}") for number, version in enumerate(a)] == [True, False, True]
    assert_sound(repository)
    git(repository, "reflog", "expire", "--expire=now", "--all")
    assert repository.prune(keep=1, older_than_s=-1).versions == 1
    assert_sound(repository)


def test_refs_to_versions_are_mended_before_history_is_cut(repository: GitRepository) -> None:
    a = [publish(repository, "a", f"a{number}") for number in range(3)]
    (repository.root / "refs" / "versions" / "main" / "a").write_text(a[0] + "\n")
    gone = repository.root / "refs" / "versions" / "dropped-branch" / "a"
    gone.parent.mkdir()
    gone.write_text(a[0] + "\n")
    repository.prune(keep=2, older_than_s=-1)
    assert [is_there(repository, version, "a", f"a{number}") for number, version in enumerate(a)] == [False, True, True]
    assert repository.last_change("main", "a") == a[2]
    assert not gone.exists()
    assert_sound(repository)


def test_transaction_that_began_before_a_prune_is_published_after_it(repository: GitRepository) -> None:
    publish(repository, "a", "a0")
    publish(repository, "b", "b0")
    for place in (repository.root / "objects").glob("??/*"):
        os.utime(place, (0, 0))
    start = repository.prepare("main")
    publish(repository, "a", "a1")
    repository.prune(keep=1, older_than_s=3600)
    folder = repository.root.parent / "folder"
    version = repository.stage("tx-2", start, "b", folder, unchanged=(), message="m", metadata={})
    repository.merge("tx-2", "b", "main")
    assert repository.last_change("main", "b") == version
    repository.drop_branch("tx-2")
    repository.prune(keep=1, older_than_s=-1)
    assert_sound(repository)
    with pytest.raises(NotPublishedError, match="prune dropped"):
        repository.stage("tx-3", start, "b", folder, unchanged=(), message="m", metadata={})
