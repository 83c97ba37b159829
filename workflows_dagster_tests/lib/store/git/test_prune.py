"""The content of old versions goes, their history stays, and git finds the repository whole."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from workflows_dagster.lib.errors import ConfigurationError, IntegrityError, NotPublishedError, StoreUnavailableError
from workflows_dagster.lib.store.git.lfs import Pruned
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.git.setup import locked
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster_tests.lib.store import backends
from workflows_dagster_tests.lib.store.git.local import assert_sound, git, needs_git, publish, stage


def made(repository: GitRepository, path: str, text: str, base: str = "main") -> str:
    return publish(repository, path, {"deep/x.parquet": text, "report.json": f'"{text}"'}, base)


def is_there(repository: GitRepository, version: str, path: str, text: str) -> bool:
    """Whether the content of a version can be read; its report always can."""
    assert repository.read(version, f"{path}/report.json") == f'"{text}"'.encode()
    try:
        return repository.read(version, f"{path}/deep/x.parquet") == text.encode()
    except NotPublishedError:
        return False


def test_contents_of_the_last_versions_of_each_path_stay(repository: GitRepository) -> None:
    a = [made(repository, "a", f"a{number}") for number in range(5)]
    b = made(repository, "b", "b0")
    assert repository.prune(keep=2, older_than_s=-1) == Pruned(3, 6)
    assert [is_there(repository, version, "a", f"a{number}") for number, version in enumerate(a)] == [
        *[False] * 3,
        *[True] * 2,
    ]
    assert is_there(repository, b, "b", "b0")
    assert repository.last_change("main", "a/deep/x.parquet") == a[4]
    assert_sound(repository)
    assert repository.prune(keep=2, older_than_s=-1) == Pruned(0, 0)
    again = made(repository, "a", "a5")
    assert repository.last_change("main", "a") == again
    assert_sound(repository)


@needs_git
def test_history_of_pruned_versions_stays_readable_with_git(repository: GitRepository) -> None:
    a = [made(repository, "a", f"a{number}") for number in range(3)]
    repository.prune(keep=1, older_than_s=-1)
    assert git(repository, "show", f"{a[0]}:a/report.json") == '"a0"'
    assert git(repository, "log", "--format=%s", "--first-parent", "main").splitlines() == [
        *["a: Make it"] * 3,
        "Begin",
    ]


def test_held_tagged_and_staged_contents_stay_and_go_once_let_go(repository: GitRepository) -> None:
    a = [made(repository, "a", f"a{number}") for number in range(5)]
    repository.tag("v1", a[0])
    stage(repository, "a", {"deep/x.parquet": "staged", "report.json": '"staged"'}, "tx-2")
    made(repository, "a", "a5")
    repository.prune(keep=1, hold=[("a", a[2])], older_than_s=-1)
    there = [is_there(repository, version, "a", f"a{number}") for number, version in enumerate(a)]
    assert there == [True, False, True, False, False]
    assert is_there(repository, "tx-2", "a", "staged")
    repository.drop_branch("tx-2")
    assert repository.prune(keep=1, older_than_s=-1).contents == 2
    assert not is_there(repository, a[2], "a", "a2")
    assert is_there(repository, a[0], "a", "a0")
    assert_sound(repository)


def test_contents_of_each_base_branch_stay(repository: GitRepository) -> None:
    main = made(repository, "a", "main")
    dev = [made(repository, "a", f"dev{number}", "dev") for number in range(3)]
    repository.prune(keep=1, older_than_s=-1)
    assert is_there(repository, main, "a", "main")
    there = [is_there(repository, version, "a", f"dev{number}") for number, version in enumerate(dev)]
    assert there == [False, False, True]


def test_content_that_a_kept_version_shares_stays(repository: GitRepository) -> None:
    first = publish(repository, "a", {"x.bin": "shared", "y.bin": "first"})
    publish(repository, "a", {"x.bin": "shared", "y.bin": "second"})
    publish(repository, "b", {"z.bin": "first"})
    assert repository.prune(keep=1, older_than_s=-1) == Pruned(0, 0)
    assert repository.read(first, "a/y.bin") == b"first"


def test_young_contents_stay(repository: GitRepository) -> None:
    a = [made(repository, "a", f"a{number}") for number in range(4)]
    assert repository.prune(keep=1, older_than_s=3600) == Pruned(0, 0)
    assert all(is_there(repository, version, "a", f"a{number}") for number, version in enumerate(a))
    # Published from a file that is old itself, and again after an old publication: both are young.
    for place in repository.root.glob("lfs/objects/??/??/*"):
        os.utime(place, (0, 0))
    made(repository, "a", "a0")
    assert repository.prune(keep=1, older_than_s=3600).contents == 3
    assert is_there(repository, a[0], "a", "a0")


def test_pruned_content_that_is_published_again_is_back(repository: GitRepository) -> None:
    first = made(repository, "a", "a0")
    made(repository, "a", "a1")
    repository.prune(keep=1, older_than_s=-1)
    assert not is_there(repository, first, "a", "a0")
    made(repository, "a", "a0")
    assert is_there(repository, first, "a", "a0")


def test_reader_of_a_pruned_version_is_told_when(tmp_path: Path) -> None:
    store = VersionedStore(GitRepository(tmp_path / "store.git"), tmp_path / "work")
    first = backends.publish(store, "a", {"x": b"1", "y": b"2"})
    folder, file = store.folder("a"), store.file("a", "x")
    backends.publish(store, "a", {"x": b"3"})
    for _ in range(2):
        repository = GitRepository(tmp_path / "store.git")
        repository.prune(keep=1, older_than_s=-1)
        for read in (store.version, store.folder):
            with pytest.raises(NotPublishedError, match=r"the content of a at .* was pruned at \d{4}-\d\d-\d\dT"):
                read("a", first.commit)
    # What a view shows would take room as long as the view is there.
    assert not folder.exists()
    assert not file.exists()
    assert backends.content(store, "a") == {"x": b"3"}


def test_views_that_were_used_lately_stay_for_their_readers(tmp_path: Path) -> None:
    store = VersionedStore(GitRepository(tmp_path / "store.git"), tmp_path / "work")
    backends.publish(store, "a", {"x": b"1"})
    folder = store.folder("a")
    backends.publish(store, "a", {"x": b"2"})
    for place in (tmp_path / "store.git").glob("lfs/objects/??/??/*"):
        os.utime(place, (0, 0))
    assert GitRepository(tmp_path / "store.git").prune(keep=1, older_than_s=3600).contents == 1
    assert (folder / "x").read_bytes() == b"1"


def test_what_killed_writers_left_goes(repository: GitRepository) -> None:
    made(repository, "a", "a0")
    left = repository.root / "lfs" / "tmp" / "killed"
    left.write_text("half an object")
    partial = repository.root / "views" / ".partial-killed"
    partial.mkdir(parents=True)
    repository.prune(keep=1, older_than_s=3600)
    # A writer holds the lock that prune holds; a reader, who may be building that view, does not.
    assert (left.exists(), partial.exists()) == (False, True)
    os.utime(partial, (0, 0))
    repository.prune(keep=1, older_than_s=3600)
    assert list((repository.root / "views").iterdir()) == []


def test_prune_waits_for_a_writer_that_copies_from_another_disk(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    def copy_beside_prune(source: str, target: str) -> None:
        copied.append(target)
        with pytest.raises(StoreUnavailableError, match="held by another process"):
            GitRepository(repository.root).prune(keep=1, older_than_s=-1, timeout_s=0.05)
        Path(target).write_bytes(Path(source).read_bytes())

    copied: list[str] = []
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(shutil, "copyfile", copy_beside_prune)
    version = made(repository, "a", "a0")
    assert len(copied) == 1
    assert is_there(repository, version, "a", "a0")
    assert list((repository.root / "lfs" / "tmp").iterdir()) == []


def test_prune_of_a_repository_with_a_damaged_record_removes_nothing(tmp_path: Path) -> None:
    backend = backends.GitBackend(tmp_path)
    store = backend.store()
    backends.publish(store, "a", {"x": b"1"})
    backends.publish(store, "a", {"x": b"2"})
    backend.write_behind("a/.version.json", b"{}")
    repository = GitRepository(tmp_path / "store.git")
    with pytest.raises(IntegrityError, match="the record of a"):
        repository.prune(keep=1, older_than_s=-1)
    assert len(list(repository.root.glob("lfs/objects/??/??/*"))) == 2


def test_prune_waits_for_writers_and_says_so(repository: GitRepository) -> None:
    made(repository, "a", "a0")
    with (
        locked(repository.root),
        pytest.raises(StoreUnavailableError, match="held by another process"),
    ):
        repository.prune(keep=1, older_than_s=-1, timeout_s=0.05)


def test_prune_refuses_to_drop_what_is_published(repository: GitRepository) -> None:
    made(repository, "a", "a0")
    with pytest.raises(ConfigurationError, match="keep >= 1"):
        repository.prune(keep=0, older_than_s=-1)


def test_prune_of_nothing_removes_nothing(repository: GitRepository) -> None:
    assert repository.prune(keep=1, older_than_s=0) == Pruned(0, 0)


@needs_git
def test_gc_by_a_person_is_harmless(repository: GitRepository) -> None:
    a = [made(repository, "a", f"a{number}") for number in range(3)]
    other = GitRepository(repository.root)
    assert other.read(a[0], "a/report.json") == b'"a0"'
    stage(repository, "b", {"x.json": "1"}, "tx-2")
    repository.tag("v1", a[0])
    subprocess.run(["git", "--git-dir", repository.root, "gc", "--prune=now", "--quiet"], check=True)
    assert not list((repository.root / "objects").glob("[0-9a-f][0-9a-f]/*"))
    for reader in (repository, other):
        assert all(is_there(reader, version, "a", f"a{number}") for number, version in enumerate(a))
    assert repository.tags() == {"v1": a[0]}
    repository.merge("tx-2", "b", "main")
    repository.drop_branch("tx-2")
    last = made(repository, "a", "a3")
    repository.prune(keep=1, older_than_s=-1)
    assert repository.last_change("main", "a") == last
    assert is_there(repository, "v1", "a", "a0")
    assert not is_there(repository, a[1], "a", "a1")
    assert_sound(repository)
