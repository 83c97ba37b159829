"""Readers get the versions that their upstream recorded, checked, or an error that says what to do."""

import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from workflows_dagster.io_managers import published
from workflows_dagster.io_managers.published import PublishedIOManager
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import IntegrityError, NotPublishedError
from workflows_dagster.resources.store import COMMIT_KEY, EmbeddedStore, Published, StoreResource

PARTS = dg.StaticPartitionsDefinition(["a", "b", "c"])


@dataclass(frozen=True)
class Nothing:
    """A report without metadata."""

    def to_metadata(self) -> dict[str, object]:
        return {}


def write(text: str, folder: Path) -> Nothing:
    (folder / "note.txt").write_text(text)
    return Nothing()


class TextConfig(dg.Config):
    text: str = "first"


@dg.asset
def whole(context: dg.AssetExecutionContext, config: TextConfig, store: StoreResource) -> Published:
    """Unpartitioned."""
    yield from store.publish(context, lambda folder: write(config.text, folder))


@dg.asset(partitions_def=PARTS)
def parted(context: dg.AssetExecutionContext, config: TextConfig, store: StoreResource) -> Published:
    """Partitioned."""
    yield from store.publish(context, lambda folder: write(f"{context.partition_key} {config.text}", folder))


@dg.asset
def reader_of_whole(context: dg.AssetExecutionContext, whole: Artifact, store: StoreResource) -> Published:
    """Copies the note it read."""
    yield from store.publish(context, lambda folder: write(note(whole), folder), inputs=[whole])


@dg.asset(partitions_def=PARTS)
def reader_of_part(context: dg.AssetExecutionContext, parted: Artifact, store: StoreResource) -> Published:
    """Copies the note of its own partition."""
    yield from store.publish(context, lambda folder: write(note(parted), folder), inputs=[parted])


@dg.asset
def reader_of_parts(context: dg.AssetExecutionContext, parted: list[Artifact], store: StoreResource) -> Published:
    """Copies the notes of all partitions."""
    text = ", ".join(f"{artifact.partition}: {note(artifact)}" for artifact in parted)
    yield from store.publish(context, lambda folder: write(text or "none", folder), inputs=parted)


def note(artifact: Artifact) -> str:
    return artifact.file("note.txt").read_text()


ASSETS = [whole, parted, reader_of_whole, reader_of_part, reader_of_parts]
Run = Callable[..., str]


@pytest.fixture
def instance() -> dg.DagsterInstance:
    """An instance of its own: what is unpublished here must not be published by another test."""
    return dg.DagsterInstance.ephemeral()


@pytest.fixture
def run(store: StoreResource, instance: dg.DagsterInstance) -> Run:
    """Materializes one asset alone and returns the note that it published."""

    def _run(asset: dg.AssetsDefinition, partition: str | None = None, text: str = "") -> str:
        result = dg.materialize(
            ASSETS,
            selection=[asset],
            instance=instance,
            partition_key=partition,
            resources={"store": store, "io_manager": PublishedIOManager(store=store)},
            run_config={"ops": {asset.op.name: {"config": {"text": text}}}} if text else None,
        )
        (event,) = result.asset_materializations_for_node(asset.op.name)
        return note(store.artifact(asset.op.name, partition, str(event.metadata[COMMIT_KEY].value)))

    return _run


def test_reader_gets_the_commit_that_upstream_recorded(run: Run, store: StoreResource) -> None:
    run(whole, text="recorded")
    with store.store().transaction("whole", "m", label=["aside"], metadata={}) as transaction:
        write("newest in the store", transaction.folder)
    assert run(reader_of_whole) == "recorded"


def test_reader_gets_what_was_materialized_last_even_where_it_is_older_content(run: Run) -> None:
    for text in ("one", "two", "one"):
        run(whole, text=text)
    assert run(reader_of_whole) == "one"


def test_reader_of_one_partition_gets_its_own(run: Run) -> None:
    run(parted, "a")
    run(parted, "b")
    run(parted, "a", text="again")
    assert run(reader_of_part, "a") == "a again"
    assert run(reader_of_part, "b") == "b first"


def test_unpartitioned_reader_gets_the_newest_of_each_partition_in_order(run: Run) -> None:
    for partition, text in (("b", "first"), ("a", "first"), ("c", "first"), ("b", "second")):
        run(parted, partition, text=text)
    assert run(reader_of_parts) == "a: a first, b: b second, c: c first"


def test_newest_of_each_partition_is_found_on_later_pages(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for partition in "abc":
        run(parted, partition)
    for number in range(3):
        run(parted, "c", text=f"{number}")
    monkeypatch.setattr(published, "PAGE", 2)
    assert run(reader_of_parts) == "a: a first, b: b first, c: c 2"


def test_missing_partitions_are_left_out_and_named(run: Run, instance: dg.DagsterInstance) -> None:
    run(parted, "b")
    assert run(reader_of_parts) == "b: b first"
    entries = instance.all_logs(instance.get_runs(limit=1)[0].run_id)
    assert [entry.user_message for entry in entries if entry.level == logging.WARNING] == [
        "parted: 2 of 3 partitions are not there and are left out: ['a', 'c']"
    ]


def test_reader_of_partitions_gets_an_empty_list_where_there_is_none(run: Run) -> None:
    assert run(reader_of_parts) == "none"


@pytest.mark.parametrize(
    ("reader", "partition", "message"),
    [
        (reader_of_whole, None, "whole has no published version. Given: 'whole'. .* materialize whole first"),
        (reader_of_part, "c", "parted has no published version. Given: \"partition 'c'\""),
    ],
)
def test_unpublished_upstream_is_named(
    run: Run, reader: dg.AssetsDefinition, partition: str | None, message: str
) -> None:
    run(parted, "a")
    with pytest.raises(NotPublishedError, match=message):
        run(reader, partition)


def test_materialization_that_was_reported_by_hand_is_refused(run: Run, instance: dg.DagsterInstance) -> None:
    run(whole)
    instance.report_runless_asset_event(dg.AssetMaterialization("whole", metadata={"rows": 3}))
    with pytest.raises(NotPublishedError, match="newest materialization of whole published nothing"):
        run(reader_of_whole)


def test_damaged_view_is_built_again(run: Run, store: StoreResource) -> None:
    run(whole)
    forge(store.store().folder("whole") / "note.txt")
    assert run(reader_of_whole) == "first"


def test_damaged_upstream_is_not_loaded(run: Run, store: StoreResource) -> None:
    run(whole)
    forge(store.store().folder("whole") / "note.txt")
    for path in Path(store.home, "store.git", "objects").glob("??/*"):
        if zlib.decompress(path.read_bytes()) == b"blob 5\0first":
            path.chmod(0o644)
            path.write_bytes(zlib.compress(b"blob 5\0faked"))
    with pytest.raises(IntegrityError, match="whole"):
        run(reader_of_whole)


def forge(file: Path) -> None:
    file.chmod(0o644)
    file.write_bytes(file.read_bytes().replace(b"first", b"faked"))


def test_materialization_of_another_base_branch_is_refused(
    run: Run, store: StoreResource, instance: dg.DagsterInstance
) -> None:
    run(whole)
    own = EmbeddedStore(home=store.home, base_branch="jane")
    resources: dict[str, Any] = {"store": own, "io_manager": PublishedIOManager(store=own)}
    with pytest.raises(NotPublishedError, match=r"on branch 'main' of a git store.*on branch 'jane'"):
        dg.materialize(ASSETS, selection=[reader_of_whole], instance=instance, resources=resources)


def test_materialization_of_another_store_is_refused(run: Run, tmp_path: Path, instance: dg.DagsterInstance) -> None:
    run(whole)
    other = EmbeddedStore(home=str(tmp_path / "other"))
    resources: dict[str, Any] = {"store": other, "io_manager": PublishedIOManager(store=other)}
    with pytest.raises(NotPublishedError, match=r"other/store\.git"):
        dg.materialize(ASSETS, selection=[reader_of_whole], instance=instance, resources=resources)


def test_commit_records_the_upstream_commits_of_all_partitions(run: Run, store: StoreResource) -> None:
    run(parted, "a")
    run(parted, "b")
    run(reader_of_parts)
    commit = store.store().head("reader_of_parts")
    assert commit is not None
    heads = {part: store.store().head(f"parted/{part}") for part in "ab"}
    assert {key: value for key, value in commit.metadata.items() if key.startswith("upstream/")} == {
        f"upstream/parted/{part}": head.commit for part, head in heads.items() if head
    }


def test_returned_value_is_refused(store: StoreResource, instance: dg.DagsterInstance) -> None:
    @dg.asset
    def returns_text() -> str:
        return "text"

    resources: dict[str, Any] = {"store": store, "io_manager": PublishedIOManager(store=store)}
    with pytest.raises(TypeError, match="returns_text returned a str: expected no value"):
        dg.materialize([returns_text], instance=instance, resources=resources)
