"""A full disk: named, nothing published, and as before once there is room again."""

import contextlib
import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest

from workflows_dagster.lib.errors import StoreUnavailableError
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster_tests.lib.store.backends import Begun, content, publish

MIB: Final = 2**20

LIMITED: Final = """
import json, resource, sys
from pathlib import Path
from workflows_dagster.lib.errors import WorkflowError
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.versioned import VersionedStore

root, moment, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
store = VersionedStore(GitRepository(root / "store.git"), root / "work")


def limit(size_bytes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


try:
    with store.transaction("a", "m", label=["a"], metadata={}) as transaction:
        if moment == "write":
            limit(1000)
        if how == "bytes":
            transaction.write("x", b"n" * 50_000)
        elif how == "table":
            import pyarrow as pa
            transaction.write_table("x", pa.table({"n": range(50_000)}))
        else:
            (transaction.folder / "x").write_bytes(b"n" * 50_000)
        if moment == "publish":
            limit(100)
except WorkflowError as error:
    limit(resource.RLIM_INFINITY)
    print(json.dumps([type(error).__name__, str(error), getattr(error, '__notes__', [])]))
"""
"""Publishes under a limit on the size of any one file, which makes its writes fail as those on a full disk do."""


@pytest.mark.parametrize(
    ("moment", "how"), [("write", "bytes"), ("write", "table"), ("write", "by hand"), ("publish", "bytes")]
)
def test_limit_on_files_is_named_and_nothing_is_published(tmp_path: Path, moment: str, how: str) -> None:
    store = VersionedStore(GitRepository(tmp_path / "store.git"), tmp_path / "work")
    before = publish(store, "a", {"x": b"old"})
    main = store.repository.resolve("main")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), moment, how], capture_output=True, text=True, check=True
    )
    name, text, notes = json.loads(done.stdout)
    assert name == "StoreUnavailableError"
    assert "File too large" in text  # EFBIG, what the limit gives instead of ENOSPC
    assert "nothing that was published is lost" in text
    # Of a table that it cannot write whole pyarrow leaves nothing.
    assert [str(tmp_path / "work" / "staging") in note for note in notes] == ([] if how == "table" else [True])
    assert (store.repository.resolve("main"), store.version("a")) == (main, before)
    assert len(store.sweep(older_than_s=-1)) == len(notes)
    assert list((tmp_path / "work" / "staging").iterdir()) == []
    assert publish(store, "a", {"x": b"n" * 50_000}).parent == before.commit


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A file system of 8 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if sys.platform != "linux" or mount is None or os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_full_disk_of_the_repository(small_disk: Path, tmp_path: Path) -> None:
    store = VersionedStore(GitRepository(small_disk / "store.git"), tmp_path / "work")
    before = publish(store, "a", {"x": b"o" * 3 * MIB})
    main = store.repository.resolve("main")
    with pytest.raises(StoreUnavailableError, match=r"No space left.*nothing that was published is lost") as raised:
        publish(store, "a", {"x": os.urandom(6 * MIB)})
    assert str(tmp_path / "work" / "staging") in " ".join(raised.value.__notes__)
    assert (store.repository.resolve("main"), store.version("a")) == (main, before)
    _assert_sound(small_disk / "store.git")
    after = publish(store, "a", {"x": b"n" * 2 * MIB})
    assert [version.commit for version in store.log("a")] == [after.commit, before.commit]


# dulwich closes its lock on a ref whose write fails only when it is collected, and warns of it then.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_full_disk_at_every_step_of_a_publication(small_disk: Path, tmp_path: Path) -> None:
    """Leaves less and less room, so that blobs, trees, commits, locks and refs each fail once."""
    store = VersionedStore(GitRepository(small_disk / "store.git"), tmp_path / "work")
    publish(store, "a", {"x": b"0", "y": b"0"})
    refused = 0
    for number, room_bytes in enumerate(range(0, 80 * 1024, 4096), 1):
        before = store.version("a")
        with _filled(small_disk, room_bytes):
            try:
                publish(store, "a", {"x": b"%d" % number, "deep/y": b"%d" % number})
            except StoreUnavailableError:
                refused += 1
        now = store.version("a")
        assert content(VersionedStore(store.repository, tmp_path / f"reader-{number}"), "a")["x"] in (
            b"%d" % number,
            content(store, "a", before.commit)["x"],
        )
        assert now.commit == before.commit or now.parent == before.commit
        _assert_sound(small_disk / "store.git")
    gc.collect()
    assert 0 < refused < 20
    store.sweep(older_than_s=-1)
    assert store.repository.branches("") == ["main"]


def test_full_disk_of_the_work_folder(small_disk: Path, tmp_path: Path) -> None:
    store = VersionedStore(GitRepository(tmp_path / "store.git"), small_disk / "work")
    before = publish(store, "a", {"x": b"o" * 6 * MIB})
    with pytest.raises(StoreUnavailableError, match="there is no room left") as raised:
        publish(store, "a", {"x": b"n" * 9 * MIB})
    assert "No space left" in str(raised.value)
    store.sweep(older_than_s=-1)
    begun = Begun(store, "a", {})
    with pytest.raises(StoreUnavailableError, match="there is no room left"):
        begun.end(_written_until_full(begun.transaction.folder / "x"))
    assert store.version("a") == before
    store.sweep(older_than_s=-1)
    publish(store, "a", {"x": b"n" * 6 * MIB})
    assert content(store, "a") == {"x": b"n" * 6 * MIB}


def test_view_that_does_not_fit_is_named_and_built_once_there_is_room(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    reader = VersionedStore(GitRepository(small_disk / "store.git"), tmp_path / "work")
    publish(reader, "a", {"x": b"o" * 3 * MIB})
    with _filled(small_disk, MIB):
        for read in (lambda: reader.folder("a"), lambda: reader.file("a", "x")):
            with pytest.raises(StoreUnavailableError, match="No space left"):
                read()
    assert content(reader, "a") == {"x": b"o" * 3 * MIB}


def test_repository_on_another_file_system_than_the_work_folder(
    small_disk: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = VersionedStore(GitRepository(small_disk / "store.git"), tmp_path / "work")
    version = publish(store, "a", {"x": b"1", "deep/y": b"2"})
    assert caplog.text == ""
    for reader in (store, VersionedStore(store.repository, small_disk / "work")):
        assert content(reader, "a") == {"x": b"1", "deep/y": b"2"}
        assert reader.folder("a") == small_disk / "store.git" / "views" / "folders" / version.digest


@contextlib.contextmanager
def _filled(disk: Path, room_bytes: int) -> Generator[None]:
    """Fills a file system up to some room."""
    filler = disk / "filler"
    _written_until_full(filler)
    os.truncate(filler, max(0, filler.stat().st_size - room_bytes))
    try:
        yield
    finally:
        filler.unlink()


def _written_until_full(place: Path) -> OSError:
    with place.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(b"f" * 4096)
            except OSError as error:
                return error


def _assert_sound(root: Path) -> None:
    if shutil.which("git"):
        subprocess.run(["git", "--git-dir", str(root), "fsck", "--full", "--strict"], capture_output=True, check=True)
