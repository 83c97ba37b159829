"""What maintenance removes, and above all what it must not."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from workflows_dagster import maintenance
from workflows_dagster.lib.errors import NotPublishedError
from workflows_dagster.lib.release.retention import prune_store
from workflows_dagster.maintenance import holds_current_version, maintenance_job
from workflows_dagster.resources.retention import RetentionResource
from workflows_dagster.resources.store import StoreResource

PARTS = dg.StaticPartitionsDefinition(["a", "b"])


@dg.asset
def whole() -> None:
    """Unpartitioned."""


@dg.asset(partitions_def=PARTS)
def parted() -> None:
    """Partitioned."""


@dg.asset
def observed() -> Iterator[Any]:
    """Observes another asset."""
    yield dg.AssetObservation("elsewhere")
    yield dg.MaterializeResult()


class RefusingIOManager(dg.IOManager):
    """Takes no output, as the published one does: a job of ops must not need one."""

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        raise TypeError("no outputs")

    def load_input(self, context: dg.InputContext) -> None:
        raise TypeError("no inputs")


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance that keeps its runs in files, as the project's does."""
    with dg.instance_for_test(temp_dir=str(tmp_path_factory.mktemp("home"))) as instance:
        yield instance


def materialize(instance: dg.DagsterInstance, asset: dg.AssetsDefinition, partition: str | None = None) -> str:
    return dg.materialize([asset], instance=instance, partition_key=partition).run_id


def test_run_holds_a_current_version_until_every_asset_of_it_was_made_again(sqlite: dg.DagsterInstance) -> None:
    both = dg.materialize([whole, observed], instance=sqlite).run_id
    materialize(sqlite, whole)
    assert holds_current_version(sqlite, both)
    materialize(sqlite, observed)
    assert not holds_current_version(sqlite, both)


def test_run_holds_a_current_version_of_its_own_partition(sqlite: dg.DagsterInstance) -> None:
    first_a, b = materialize(sqlite, parted, "a"), materialize(sqlite, parted, "b")
    assert holds_current_version(sqlite, first_a)
    second_a = materialize(sqlite, parted, "a")
    assert [holds_current_version(sqlite, run) for run in (first_a, b, second_a)] == [False, True, True]


def test_maintenance_deletes_superseded_runs_with_their_files_and_sweeps_the_store(
    sqlite: dg.DagsterInstance, store: StoreResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    superseded = materialize(sqlite, whole)
    current = materialize(sqlite, whole)
    shards = Path(sqlite.root_directory) / "history" / "runs"
    logs = Path(sqlite.root_directory) / "storage" / superseded
    assert (shards / f"{superseded}.db").exists()
    assert logs.exists()
    stale = _staged(store, "stale", age_days=8)
    recent = _staged(store, "recent", age_days=6)
    _let_days_pass(monkeypatch, 31)

    result = maintenance_job.execute_in_process(
        instance=sqlite, resources={"store": store, "retention": RetentionResource(), "io_manager": RefusingIOManager()}
    )

    assert result.success
    assert sqlite.get_run_by_id(superseded) is None
    assert not (shards / f"{superseded}.db").exists()
    assert not logs.exists()
    assert sqlite.get_run_by_id(current) is not None
    event = sqlite.get_latest_materialization_event(dg.AssetKey("whole"))
    assert event is not None
    assert event.run_id == current
    assert (stale.exists(), recent.exists()) == (False, True)


def test_maintenance_keeps_runs_that_ended_lately(
    sqlite: dg.DagsterInstance, store: StoreResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    superseded = materialize(sqlite, whole)
    materialize(sqlite, whole)
    _let_days_pass(monkeypatch, 29)
    maintenance_job.execute_in_process(instance=sqlite, resources={"store": store, "retention": RetentionResource()})
    assert sqlite.get_run_by_id(superseded) is not None


def test_maintenance_reads_every_page_of_old_runs(
    sqlite: dg.DagsterInstance, store: StoreResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [materialize(sqlite, whole) for _ in range(5)]
    monkeypatch.setattr(maintenance, "PAGE", 2)
    _let_days_pass(monkeypatch, 31)
    maintenance_job.execute_in_process(instance=sqlite, resources={"store": store, "retention": RetentionResource()})
    assert [run for run in runs if sqlite.get_run_by_id(run)] == runs[-1:]


def test_maintenance_keeps_the_last_versions_and_what_they_were_made_from(
    sqlite: dg.DagsterInstance, store: StoreResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpora = [_publish(store, "corpus", f"{number}") for number in range(4)]
    _publish(store, "model", "made of the second", {"upstream/corpus": corpora[1]})
    monkeypatch.setattr(maintenance, "prune_store", partial(prune_store, older_than_s=-1.0))
    result = maintenance_job.execute_in_process(
        instance=sqlite, resources={"store": store, "retention": RetentionResource(keep_versions=1)}
    )
    assert result.success
    assert [_is_there(store, "corpus", commit) for commit in corpora] == [False, True, False, True]


def test_maintenance_leaves_versions_of_lakefs_to_its_own_garbage_collection(
    sqlite: dg.DagsterInstance, any_store: StoreResource
) -> None:
    corpora = [_publish(any_store, "corpus", f"{number}") for number in range(3)]
    resources = {"store": any_store, "retention": RetentionResource(keep_versions=1)}
    assert maintenance_job.execute_in_process(instance=sqlite, resources=resources).success
    # In git for another reason: they are too young.
    assert [_is_there(any_store, "corpus", commit) for commit in corpora] == [True] * 3


def _publish(store: StoreResource, path: str, text: str, metadata: dict[str, str] | None = None) -> str:
    with store.store().transaction(path, "m", label=["test"], metadata=metadata or {}) as transaction:
        transaction.write("table.parquet", text.encode())
    assert transaction.version is not None
    return transaction.version.commit


def _is_there(store: StoreResource, path: str, commit: str) -> bool:
    try:
        return bool(store.store().version(path, commit))
    except NotPublishedError:
        return False


def _staged(store: StoreResource, branch: str, age_days: float) -> Path:
    """An unfinished transaction that was last touched so many days ago."""
    folder = Path(store.home) / "work" / "staging" / branch
    folder.mkdir(parents=True)
    touched = time.time() - age_days * 86_400
    os.utime(folder, (touched, touched))
    return folder


def _let_days_pass(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Has maintenance take today for so many days later; files keep their age."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) + timedelta(days=days)

    monkeypatch.setattr(maintenance, "datetime", Later)
