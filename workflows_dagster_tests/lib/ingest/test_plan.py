"""Batches and their manifests: the same for the same files."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.errors import ConfigurationError, NotPublishedError
from workflows_dagster.lib.ingest.catalog import Batching
from workflows_dagster.lib.ingest.locations import FileVersion
from workflows_dagster.lib.ingest.manifests import Manifest, Manifests
from workflows_dagster.lib.ingest.plan import known_files, plan_batches, settled_files

FILES = st.lists(
    st.builds(FileVersion, st.text("abc/", min_size=1), st.integers(0, 50), st.text("12", max_size=2), st.floats(0, 9)),
    unique_by=lambda file: file.uri,
)


@given(FILES, st.integers(1, 4), st.integers(1, 80), st.randoms())
def test_plan_holds_each_file_once_within_the_caps_in_any_order(
    files: list[FileVersion], max_files: int, max_bytes: int, random: Random
) -> None:
    batching = Batching(max_files=max_files, max_bytes=max_bytes)
    batches = plan_batches("shop", files, set(), batching)
    assert sorted(file.identity for batch in batches for file in batch.files) == sorted(file.identity for file in files)
    for batch in batches:
        assert 1 <= len(batch.files) <= max_files
        assert len(batch.files) == 1 or sum(file.size for file in batch.files) <= max_bytes
    random.shuffle(files)
    assert plan_batches("shop", files, set(), batching) == batches
    assert plan_batches("shop", files, known_files(batches), batching) == []


def test_changed_file_is_planned_again() -> None:
    before, after = FileVersion("a", 1, "1"), FileVersion("a", 1, "2")
    first = plan_batches("shop", [before], set(), Batching())
    (second,) = plan_batches("shop", [after], known_files(first), Batching())
    assert second.files == (after,)
    assert second.key != first[0].key


def test_settled_is_what_was_seen_before_and_is_old_enough() -> None:
    old, young, new = (FileVersion(name, 1, "1", written) for name, written in (("a", 70), ("b", 71), ("c", 0)))
    assert settled_files([old, young, new], {old.identity, young.identity}, now_s=100, settle_s=30) == [old]


def test_manifest_is_read_back_and_named_by_its_content(tmp_path: Path) -> None:
    manifest = Manifest(source="shop", files=(FileVersion("s3://bucket/é.csv", 3, "etag"),))
    manifests = Manifests(tmp_path / "manifests")
    manifests.write([manifest])
    manifests.write([manifest])
    assert manifests.read(manifest.key) == manifest
    assert manifests.all() == [manifest]
    assert [path.name for path in (tmp_path / "manifests").iterdir()] == [f"{manifest.key}.json"]


def test_batches_are_ordered_by_when_they_were_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = Manifests(tmp_path)
    states = [Manifest(source="shop", files=(FileVersion("a.csv", size, str(size)),)) for size in range(4)]
    for moment, manifest in zip((30.0, 10.0, 20.0, 10.0), states, strict=True):
        monkeypatch.setattr("workflows_dagster.lib.ingest.manifests.time.time", lambda moment=moment: moment)
        manifests.write([manifest])

    assert manifests.by_age() == [*sorted([states[1].key, states[3].key]), states[2].key, states[0].key]


def test_manifest_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(NotPublishedError, match="shop-000000000000"):
        Manifests(tmp_path).read("shop-000000000000")


@pytest.mark.parametrize("key", ["shop", "../shop-000000000000", "shop-00000000000g"])
def test_key_that_is_none_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigurationError, match="12 hex digits"):
        Manifests(tmp_path).read(key)


def test_manifest_that_was_edited_is_refused(tmp_path: Path) -> None:
    manifest = Manifest(source="shop", files=(FileVersion("a", 3, "1"),))
    Manifests(tmp_path).write([manifest])
    path = tmp_path / f"{manifest.key}.json"
    written = path.read_text()
    for changed in (written.replace('"size":3', '"size":4'), written[:-9], "{}"):
        path.write_text(changed)
        with pytest.raises(ConfigurationError, match="not the one that was written"):
            Manifests(tmp_path).read(manifest.key)


def test_look_is_remembered(tmp_path: Path) -> None:
    manifests = Manifests(tmp_path)
    assert manifests.last_look() == set()
    manifests.note_look([("a", 1, "1"), ("b", 2, "2")])
    assert manifests.last_look() == {("a", 1, "1"), ("b", 2, "2")}
    assert manifests.all() == []
