"""What is an ordinary git object and what a content under LFS, and that stock git and git-lfs agree."""

import os
import subprocess
from pathlib import Path

import pytest

from workflows_dagster.lib.store.git.lfs import is_ordinary
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.version import VERSION_FILE, stat_folder
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster_tests.lib.store.backends import publish
from workflows_dagster_tests.lib.store.git.local import assert_sound, needs_git_lfs
from workflows_dagster_tests.lib.store.test_contract import ODD_NAMES


@pytest.mark.parametrize(
    ("name", "size_bytes", "expected"),
    [
        ("report.json", 65_535, True),
        ("report.json", 65_536, False),
        ("deep/er/notes.md", 0, True),
        ("labels.txt", 1, True),
        ("reviews.parquet", 1, False),
        ("reviews.csv", 1, False),
        ("report.html", 1, False),
        ("no-suffix", 1, False),
        ("with space.json", 1, False),
        ("glob*.json", 1, False),
        ("ümläut.json", 1, False),
        ("x" * 200 + ".json", 1, False),
    ],
)
def test_small_texts_of_plain_names_are_ordinary(name: str, size_bytes: int, expected: bool) -> None:
    assert is_ordinary(name, size_bytes) is expected


@needs_git_lfs
def test_clone_with_git_lfs_gives_every_byte(tmp_path: Path) -> None:
    store = VersionedStore(GitRepository(tmp_path / "store.git"), tmp_path / "work")
    files = {name: name.encode() for name in ODD_NAMES}
    files |= {"model/weights.bin": os.urandom(300_000), "empty": b"", "report.json": b"{}", "big.json": b"[1]" * 30_000}
    files |= {"crlf.txt": b"a\r\nb\r\n", "crlf.csv": b"a\r\nb\r\n", "deep/notes.md": b"# note\n"}
    publish(store, "asset", files)
    publish(store, "asset/part", {"x.parquet": b"first"})
    publish(store, "parts/2024-01-01", {"x.parquet": b"replaced"})
    publish(store, "parts/2024-01-01", {"x.parquet": b"part", "report.json": b'{"rows": 1}'})
    clone = tmp_path / "clone"
    lfs = {"process": "git-lfs filter-process", "smudge": "git-lfs smudge -- %f", "clean": "git-lfs clean -- %f"}
    options = [each for key, value in lfs.items() for each in ("-c", f"filter.lfs.{key}={value}")]
    command = ["git", *options, "-c", "filter.lfs.required=true", "clone", tmp_path / "store.git", clone]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "should have been pointers" not in done.stderr
    for path in ("asset", "asset/part", "parts/2024-01-01"):
        version = store.version(path)
        for name, stat in version.files.items():
            assert (clone / path / name).read_bytes() == (store.folder(path) / name).read_bytes(), name
            assert (clone / path / name).stat().st_size == stat.size_bytes
        assert (clone / path / VERSION_FILE).read_bytes() == version.to_record()
    # Git takes nothing that it has checked out for changed.
    for attribute in ("--refresh", "--really-refresh"):
        subprocess.run(["git", *options, "update-index", attribute], cwd=clone, check=True)
    status = subprocess.run(["git", *options, "status", "--short"], cwd=clone, capture_output=True, check=True).stdout
    assert status == b""


def test_contents_are_kept_once_and_views_link_to_them(tmp_path: Path) -> None:
    store = VersionedStore(GitRepository(tmp_path / "store.git"), tmp_path / "work")
    large = os.urandom(100_000)
    first = publish(store, "a", {"x.bin": large, "same.bin": large, "report.json": b"{}"})
    publish(store, "a", {"x.bin": large, "report.json": b"[]"})
    publish(store, "b", {"other name": large})
    (place,) = (tmp_path / "store.git").glob("lfs/objects/??/??/*")
    for path, name in (("a", "x.bin"), ("b", "other name")):
        assert (store.folder(path) / name).samefile(place)
        assert store.file(path, name).samefile(place)
    assert store.folder("a", first.commit).joinpath("same.bin").samefile(place)
    assert place.stat().st_mode & 0o777 == 0o444
    store.evict(unused_for_s=-1)
    publish(store, "b", {"other name": large})
    assert (store.folder("b") / "other name").samefile(place)
    assert not (tmp_path / "work" / "staging").exists() or list((tmp_path / "work" / "staging").iterdir()) == []
    inodes = {path.stat().st_ino for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 90_000}
    assert len(inodes) == 1


def test_views_are_copies_where_links_are_impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    store = VersionedStore(GitRepository(tmp_path / "store.git"), tmp_path / "work")
    publish(store, "a", {"x.bin": b"1", "report.json": b"{}"})
    publish(store, "a", {"x.bin": b"1", "y.bin": b"1"})
    reader = VersionedStore(GitRepository(tmp_path / "store.git"), tmp_path / "other")
    reader.evict(unused_for_s=-1)
    assert {name: stat.size_bytes for name, stat in stat_folder(reader.folder("a")).items()} == {"x.bin": 1, "y.bin": 1}
    assert (reader.folder("a") / "x.bin").stat().st_mode & 0o777 == 0o444
    assert_sound(GitRepository(tmp_path / "store.git"))
