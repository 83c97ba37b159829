"""The embedded store: what readers can see after anything that a writer did, or that was done to it."""

import contextlib
import itertools
import json
import os
import stat
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows_dagster.lib.errors import (
    AlreadyRunningError,
    ConflictError,
    IntegrityError,
    NotPublishedError,
    StoreError,
)
from workflows_dagster.lib.hashing import digest_record, digest_text
from workflows_dagster.lib.store.directory import DirectoryStore
from workflows_dagster.lib.store.interface import Commit

ATTEMPTS = itertools.count()


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def publish(store: DirectoryStore, path: str, files: dict[str, str], branch: str = "") -> Commit:
    """Publishes files by name; each call is a branch of its own unless one is named."""
    branch = branch or f"{path}/{next(ATTEMPTS)}"
    with store.transaction(path, f"Publish {path}", branch=branch, metadata={"run_id": "r"}) as transaction:
        for name, text in files.items():
            (transaction.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (transaction.folder / name).write_text(text, "utf-8")
    assert transaction.commit is not None
    return transaction.commit


def content(store: DirectoryStore, path: str) -> dict[str, str] | None:
    """The published files of a path, checked against their digests."""
    head = store.head(path)
    if head is None:
        return None
    folder = store.folder(head.id)
    return {name: (folder / name).read_text("utf-8") for name in head.files}


def fail(store: DirectoryStore, path: str, branch: str, text: str = "half") -> None:
    with contextlib.suppress(KeyError), store.transaction(path, "m", branch=branch, metadata={}) as transaction:
        (transaction.folder / "part").write_text(text)
        raise KeyError(path)


def test_published_content_is_read_at_its_commit(store: DirectoryStore) -> None:
    first = publish(store, "a/b", {"x.txt": "1", "deep/er/y.txt": "22"})
    second = publish(store, "a/b", {"x.txt": "other"})
    assert sorted(path.name for path in store.folder(first.id).rglob("*.txt")) == ["x.txt", "y.txt"]
    assert content(store, "a/b") == {"x.txt": "other"}
    assert [commit.id for commit in store.log("a/b")] == [second.id, first.id]
    assert (second.parent, first.parent) == (first.id, None)
    assert first.size_bytes == 3
    assert first.metadata == {"run_id": "r"}


def test_commit_names_the_digest_of_its_files(store: DirectoryStore) -> None:
    commit = publish(store, "a", {"x": ""})
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of nothing
    assert dict(commit.files) == {"x": empty}
    assert commit.digest == digest_record({"x": empty})


def test_equal_content_makes_no_new_commit(store: DirectoryStore) -> None:
    first = publish(store, "a", {"x": "1"})
    assert publish(store, "a", {"x": "1"}) == first
    assert [commit.id for commit in store.log("a")] == [first.id]


def test_equal_content_of_two_paths_is_stored_once(store: DirectoryStore, tmp_path: Path) -> None:
    one, two = publish(store, "a", {"x": "1"}), publish(store, "b", {"x": "1"})
    assert one.id != two.id
    assert [path.name for path in (tmp_path / "store" / "versions").iterdir()] == [one.digest]


def test_content_that_returns_is_a_new_commit(store: DirectoryStore) -> None:
    first = publish(store, "a", {"x": "1"})
    publish(store, "a", {"x": "2"})
    third = publish(store, "a", {"x": "1"})
    assert third.digest == first.digest
    assert third.id != first.id
    assert content(store, "a") == {"x": "1"}


def test_failed_transaction_publishes_nothing_and_stays_for_inspection(store: DirectoryStore, tmp_path: Path) -> None:
    publish(store, "a", {"x": "1"})
    fail(store, "a", "a/run/0")
    assert content(store, "a") == {"x": "1"}
    (staged,) = (tmp_path / "store" / "staging").rglob("part")
    assert staged.read_text() == "half"


def test_repeated_attempt_starts_from_an_empty_folder(store: DirectoryStore) -> None:
    fail(store, "a", "a/run/0")
    publish(store, "a", {"x": "1"}, branch="a/run/0")
    assert content(store, "a") == {"x": "1"}


def test_transaction_without_output_is_refused(store: DirectoryStore) -> None:
    with pytest.raises(StoreError, match=r"nothing was written for a\. .*at least one file"):
        publish(store, "a", {})
    assert store.head("a") is None


def test_link_is_refused_since_its_target_may_change(store: DirectoryStore, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("1")
    with (
        pytest.raises(StoreError, match="here is a link or special file"),
        store.transaction("a", "m", branch="b", metadata={}) as transaction,
    ):
        (transaction.folder / "here").symlink_to(tmp_path / "target")
    assert store.head("a") is None


def test_published_files_are_write_protected_and_their_folders_removable(store: DirectoryStore) -> None:
    folder = store.folder(publish(store, "a", {"deep/x": "1"}).id)
    assert stat.S_IMODE((folder / "deep" / "x").stat().st_mode) == 0o444
    assert (folder / "deep").stat().st_mode & stat.S_IWUSR


@pytest.mark.parametrize(
    "path", ["a/..", "../../etc/passwd", ".hidden", "Prüfung/ü b", "a%2Fb", "评论" * 60, "x" * 5000, "a\nb"]
)
def test_any_path_is_kept_inside_the_store(store: DirectoryStore, tmp_path: Path, path: str) -> None:
    publish(store, path, {"x": path})
    publish(store, path + "'", {"x": "other"})
    assert content(store, path) == {"x": path}
    assert [entry.name for entry in tmp_path.iterdir()] == ["store"]


def test_unknown_commit_and_path(store: DirectoryStore) -> None:
    assert store.head("a") is None
    assert list(store.log("a")) == []
    with pytest.raises(NotPublishedError, match="holds no such commit"):
        store.folder("0" * 64)


def test_conflict_keeps_the_first_and_names_both_heads(store: DirectoryStore, tmp_path: Path) -> None:
    slow = store.transaction("a", "m", branch="slow", metadata={})
    (slow.__enter__().folder / "x").write_text("slow")
    quick = publish(store, "a", {"x": "quick"})
    with pytest.raises(ConflictError, match="published by another run in between") as raised:
        slow.__exit__(None, None, None)
    assert quick.id in str(raised.value)
    assert content(store, "a") == {"x": "quick"}
    assert [path.read_text() for path in (tmp_path / "store" / "staging").rglob("x")] == ["slow"]


def test_same_content_from_two_writers_is_no_conflict(store: DirectoryStore) -> None:
    with store.transaction("a", "m", branch="slow", metadata={}) as transaction:
        (transaction.folder / "x").write_text("same")
        quick = publish(store, "a", {"x": "same"})
    assert transaction.commit == quick


def test_branch_in_use_is_refused_to_a_second_transaction(store: DirectoryStore) -> None:
    with store.transaction("a", "m", branch="direct", metadata={}) as transaction:
        (transaction.folder / "x").write_text("1")
        with pytest.raises(AlreadyRunningError, match="in use by another process"):
            publish(store, "a", {"x": "2"}, branch="direct")
    assert content(store, "a") == {"x": "1"}


def damage(folder: Path, how: str) -> None:
    file = folder / "x"
    file.chmod(0o644)
    match how:
        case "flipped":
            file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
        case "cut":
            file.write_bytes(b"")
        case "missing":
            file.unlink()
        case "added":
            (folder / "z").write_text("new")
        case _:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()


@pytest.mark.parametrize("how", ["flipped", "cut", "missing", "added", "all gone"])
def test_damaged_version_is_named_and_healed_by_publishing_again(store: DirectoryStore, how: str) -> None:
    commit = publish(store, "a", {"x": "1", "y": "2"})
    damage(store.folder(commit.id), how)
    with pytest.raises(IntegrityError, match=r"a at \w{12} is not what was published") as raised:
        store.folder(commit.id)
    assert ("'z'" if how == "added" else "'x'") in str(raised.value)
    assert publish(store, "a", {"x": "1", "y": "2"}) == commit
    assert content(store, "a") == {"x": "1", "y": "2"}


def test_damaged_version_is_healed_by_equal_content_of_another_path(store: DirectoryStore) -> None:
    commit = publish(store, "a", {"x": "1"})
    damage(store.folder(commit.id), "flipped")
    publish(store, "b", {"x": "1"})
    assert content(store, "a") == content(store, "b") == {"x": "1"}


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff\xfe".decode("latin-1")])
@pytest.mark.parametrize("folder", ["heads", "commits"])
def test_damaged_record_is_refused(store: DirectoryStore, tmp_path: Path, folder: str, text: str) -> None:
    publish(store, "a", {"x": "1"})
    (record,) = (tmp_path / "store" / folder).iterdir()
    record.write_text(text)
    with pytest.raises(IntegrityError, match="damaged or changed"):
        store.head("a")


def test_commit_whose_digest_was_changed_by_hand_is_refused(store: DirectoryStore, tmp_path: Path) -> None:
    commit = publish(store, "a", {"x": "1"})
    (record,) = (tmp_path / "store" / "commits").iterdir()
    record.write_text(json.dumps({**json.loads(record.read_text()), "message": "forged"}))
    with pytest.raises(IntegrityError, match="damaged or changed"):
        store.folder(commit.id)


def test_sweep_removes_old_failures_and_leaves_recent_ones(store: DirectoryStore, tmp_path: Path) -> None:
    fail(store, "a", "old/run/0")
    _age(tmp_path / "store" / "staging", 100)
    fail(store, "a", "new/run/0")
    assert store.sweep(older_than_s=50) == ["old/run/0"]
    assert store.sweep(older_than_s=-1) == ["new/run/0"]
    assert list((tmp_path / "store" / "staging").iterdir()) == []


def test_sweep_counts_from_the_last_write(store: DirectoryStore, tmp_path: Path) -> None:
    fail(store, "a", "a/run/0")
    _age(tmp_path / "store" / "staging", 100)
    (part,) = (tmp_path / "store" / "staging").rglob("part")
    os.utime(part)
    assert store.sweep(older_than_s=50) == []


def test_sweep_spares_a_transaction_under_way_however_old(store: DirectoryStore, tmp_path: Path) -> None:
    with store.transaction("a", "m", branch="training", metadata={}) as transaction:
        (transaction.folder / "x").write_text("1")
        _age(tmp_path / "store" / "staging", 10**6)
        assert store.sweep(older_than_s=10) == []
    assert content(store, "a") == {"x": "1"}


def test_sweep_removes_what_crashes_left_and_no_version_of_a_commit(store: DirectoryStore, tmp_path: Path) -> None:
    first = publish(store, "a", {"x": "1"})
    publish(store, "a", {"x": "2"})
    root = tmp_path / "store"
    (root / "versions" / digest_text("orphan")).mkdir()
    (root / "heads" / ".a.json.123").write_text("{")
    (root / "commits" / ".b.json.123").write_text("{")
    assert store.sweep(older_than_s=3600) == []
    assert len(list((root / "versions").iterdir())) == 3
    assert store.sweep(older_than_s=-1) == []
    assert len(list((root / "versions").iterdir())) == 2
    assert not list(root.glob("*/.*"))
    store.folder(first.id)
    assert content(store, "a") == {"x": "2"}


def test_sweep_of_a_store_without_any_publication(store: DirectoryStore) -> None:
    assert store.sweep(older_than_s=0) == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["publish", "fail", "sweep", "damage"]),
        st.sampled_from(["a", "a/b", "A.", "é"]),
        st.dictionaries(st.sampled_from(["x", "y", "d/z"]), st.sampled_from(["", "1", "2"]), min_size=1, max_size=2),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_head_is_the_last_content_that_was_published(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, dict[str, str]]]
) -> None:
    store = DirectoryStore(tmp_path_factory.mktemp("store"))
    expected: dict[str, list[dict[str, str]]] = {}
    for verb, path, files in steps:
        match verb:
            case "publish":
                publish(store, path, files)
                if expected.get(path, [{}])[0] != files:
                    expected.setdefault(path, []).insert(0, files)
            case "fail":
                fail(store, path, f"{path}/broken")
            case "damage":
                _damage_and_publish_again(store, path)
            case _:
                store.sweep(older_than_s=-1)
        for known, history in expected.items():
            assert content(store, known) == history[0]
            assert len(list(store.log(known))) == len(history)


def _damage_and_publish_again(store: DirectoryStore, path: str) -> None:
    head = store.head(path)
    if head is not None:
        files = content(store, path)
        assert files is not None
        name = next(iter(files))
        (store.folder(head.id) / name).chmod(0o644)
        (store.folder(head.id) / name).write_text("damaged")
        publish(store, path, files)


def test_one_of_two_writers_to_one_path_is_refused(store: DirectoryStore) -> None:
    outcomes = _race(store, ["same", "same"])
    assert sorted(outcomes) == ["ConflictError", "published"]
    assert content(store, "same") is not None
    assert len(list(store.log("same"))) == 1


def test_writers_to_different_paths_never_lose(store: DirectoryStore) -> None:
    paths = [f"path/{number}" for number in range(8)]
    assert _race(store, paths) == ["published"] * 8
    assert [content(store, path) for path in paths] == [{"x": f"{n} by {path}"} for n, path in enumerate(paths)]


def _race(store: DirectoryStore, paths: list[str]) -> list[str]:
    """Has one thread for each path open its transaction before any of them publishes."""
    all_open = threading.Barrier(len(paths))
    outcomes = [""] * len(paths)

    def write(number: int, path: str) -> None:
        try:
            with store.transaction(path, "m", branch=f"b{number}", metadata={}) as transaction:
                (transaction.folder / "x").write_text(f"{number} by {path}")
                all_open.wait(timeout=30)
            outcomes[number] = "published"
        except ConflictError:
            outcomes[number] = "ConflictError"

    threads = [threading.Thread(target=write, args=(number, path)) for number, path in enumerate(paths)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def _age(folder: Path, seconds: float) -> None:
    touched = time.time() - seconds
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (touched, touched))
