"""The new-files sensor: no file twice, none lost, whatever happens in between."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from workflows_dagster.assets.ingest import raw_reviews
from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.manifests import Manifests
from workflows_dagster.resources.sources import FILES_FAILED_TAG, SourcesResource
from workflows_dagster.resources.store import EmbeddedStore
from workflows_dagster.sensors.new_files import ingest_new_files_sensor

CATALOG = """
batching: {{max_files: {max_files}, max_runs_per_tick: {max_runs}, settle_s: 30}}
sources:
  - name: shop
    location: inbox/*.csv
    format: csv
    columns: {{text: text}}
"""
GONE = """
  - name: gone
    location: nowhere/gone.csv
    format: csv
    columns: {text: text}
"""


class Deployment:
    """A sources.yaml, an inbox, and an instance on which the sensor ticks."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        self.sources = SourcesResource(path=str(folder / "sources.yaml"), manifests=str(folder / "manifests"))
        self.store = EmbeddedStore(home=str(folder))
        self.instance = instance
        self.cursor: str | None = None
        self.describe()
        self.repository = dg.Definitions(
            assets=[raw_reviews],
            jobs=[dg.define_asset_job("ingest_job", [raw_reviews])],
            sensors=[ingest_new_files_sensor],
            resources={"sources": self.sources, "store": self.store},
        ).get_repository_def()

    def describe(self, max_files: int = 500, max_runs: int = 100, more: str = "") -> None:
        Path(self.sources.path).write_text(CATALOG.format(max_files=max_files, max_runs=max_runs) + more)

    def put(self, name: str, text: str = "text\ngood\n", age_s: float = 60) -> None:
        path = self.inbox / name
        path.write_text(text)
        written = time.time() - age_s
        os.utime(path, (written, written))

    def look(self) -> dg.SensorResult | dg.SkipReason:
        """Evaluates the sensor, and forgets what it returned: a process killed at once."""
        with dg.build_sensor_context(
            self.instance, self.cursor, repository_def=self.repository, resources={"sources": self.sources}
        ) as context:
            answer = ingest_new_files_sensor(context)
        assert isinstance(answer, dg.SensorResult | dg.SkipReason)
        return answer

    def lose(self) -> dg.RunRequest:
        """Evaluates the sensor and is killed before the daemon has seen its one request."""
        answer = self.look()
        assert isinstance(answer, dg.SensorResult)
        (request,) = answer.run_requests or []
        return request

    def tick(self) -> list[str]:
        """Evaluates the sensor and does what the daemon does with the answer; the keys of the runs."""
        answer = self.look()
        if isinstance(answer, dg.SkipReason):
            return []
        for request in answer.dynamic_partitions_requests or []:
            assert len(request.partition_keys) <= 1_000
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        keys = [str(request.run_key) for request in answer.run_requests or []]
        for key in keys:
            assert self.instance.has_dynamic_partition("batch", key)
            self.instance.create_run_for_job(self.repository.get_job("ingest_job"), tags={"dagster/partition": key})
        self.cursor = answer.cursor
        return keys

    def why(self) -> str:
        """Why the sensor asks for nothing."""
        answer = self.look()
        assert isinstance(answer, dg.SkipReason)
        return str(answer.skip_message)

    def files(self, *keys: str) -> list[str]:
        manifests = Manifests(Path(self.sources.manifests))
        return [Path(file.uri).name for key in keys for file in manifests.read(key).files]


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Deployment(tmp_path, instance)


def test_sensor_requests_a_settled_file_once(deployment: Deployment) -> None:
    deployment.put("a.csv")
    assert deployment.tick() == []
    (key,) = deployment.tick()
    assert deployment.files(key) == ["a.csv"]
    assert key in deployment.instance.get_dynamic_partitions("batch")
    assert deployment.tick() == []


def test_sensor_skips_with_the_why(deployment: Deployment) -> None:
    assert deployment.why() == "no new files in 1 sources; none at all in shop"
    deployment.put("a.csv")
    assert "waiting until 1 files stop growing" in deployment.why()


def test_sensor_waits_for_a_growing_file(deployment: Deployment) -> None:
    for length in range(1, 4):
        # The writer sets an old time, as copying tools do: the size alone tells that it grows.
        deployment.put("a.csv", "text\n" + "good\n" * length)
        assert deployment.tick() == []
    assert len(deployment.tick()) == 1


def test_sensor_waits_for_a_file_that_was_just_written(deployment: Deployment) -> None:
    deployment.put("a.csv", age_s=0)
    assert deployment.tick() == []
    assert deployment.tick() == []
    deployment.put("a.csv", age_s=31)
    assert deployment.tick() == []
    assert len(deployment.tick()) == 1


def test_sensor_takes_a_changed_file_as_a_new_batch(deployment: Deployment) -> None:
    deployment.put("a.csv")
    deployment.put("b.csv")
    deployment.tick()
    (first,) = deployment.tick()
    report_materialized(deployment, first)
    deployment.put("b.csv", "text\nbetter\n")
    assert deployment.tick() == []
    (second,) = deployment.tick()
    assert deployment.files(second) == ["b.csv"]


def test_sensor_takes_the_intact_files_of_a_batch_that_can_no_longer_be_read(deployment: Deployment) -> None:
    deployment.put("a.csv")
    deployment.put("b.csv")
    deployment.tick()
    deployment.tick()
    (deployment.inbox / "b.csv").unlink()
    deployment.tick()
    (key,) = deployment.tick()
    assert deployment.files(key) == ["a.csv"]


def test_sensor_requests_again_what_a_killed_process_had_planned(deployment: Deployment) -> None:
    deployment.put("a.csv")
    deployment.tick()
    lost = deployment.lose()
    assert deployment.tick() == [lost.run_key]


def test_sensor_requests_again_when_killed_after_the_partition_was_registered(deployment: Deployment) -> None:
    deployment.put("a.csv")
    deployment.tick()
    lost = deployment.lose()
    deployment.instance.add_dynamic_partitions("batch", [str(lost.partition_key)])
    assert deployment.tick() == [lost.run_key]


def test_sensor_reads_the_other_sources_when_one_cannot_be_listed(deployment: Deployment) -> None:
    deployment.describe(more=GONE)
    deployment.put("a.csv")
    assert "nowhere/gone.csv of source gone cannot be read" in deployment.why()
    assert len(deployment.tick()) == 1


def test_sensor_fails_when_no_source_can_be_listed(deployment: Deployment) -> None:
    Path(deployment.sources.path).write_text("sources:" + GONE)
    with pytest.raises(SourceUnreadableError, match="source gone"):
        deployment.look()


def test_sensor_takes_what_a_run_by_hand_has_read_as_done(deployment: Deployment) -> None:
    deployment.put("a.csv")
    (batch,) = deployment.sources.collect(deployment.instance).batches
    report_materialized(deployment, batch.key)
    assert deployment.tick() == []
    assert deployment.tick() == []


def test_sensor_handles_10000_new_files_in_one_tick(deployment: Deployment) -> None:
    for number in range(10_000):
        deployment.put(f"{number:05}.csv")
    deployment.tick()
    keys = deployment.tick()
    assert len(keys) == 20
    assert sorted(deployment.files(*keys)) == [f"{number:05}.csv" for number in range(10_000)]
    assert len(deployment.cursor or "") < 200
    assert json.loads(deployment.cursor or "{}") == {"requested": 20, "batches_left": 0, "files_waiting": 0}
    assert deployment.tick() == []


def test_sensor_spreads_many_batches_over_ticks(deployment: Deployment) -> None:
    deployment.describe(max_files=1, max_runs=7)
    for number in range(20):
        deployment.put(f"{number}.csv")
    deployment.tick()
    ticks = [deployment.tick() for _ in range(4)]
    assert [len(keys) for keys in ticks] == [7, 7, 6, 0]
    assert len({key for keys in ticks for key in keys}) == 20


def fail(deployment: Deployment, request: dg.RunRequest) -> None:
    """Does what the daemon does with a request whose run then fails."""
    run = deployment.instance.create_run_for_job(
        deployment.repository.get_job("ingest_job"),
        tags={**request.tags, "dagster/partition": str(request.partition_key)},
        status=dg.DagsterRunStatus.FAILURE,
    )
    assert run.is_finished


def test_sensor_asks_again_for_a_failed_batch_when_its_source_is_described_anew(deployment: Deployment) -> None:
    deployment.put("a.csv")
    deployment.tick()
    first = deployment.lose()
    fail(deployment, first)
    assert "1 batches failed" in deployment.why()
    assert f"to try at once, materialize raw_reviews: {first.partition_key}" in deployment.why()
    deployment.describe(more="    language: en\n")
    again = deployment.lose()
    assert again.partition_key == first.partition_key
    assert again.run_key != first.run_key
    fail(deployment, again)
    assert "1 batches failed" in deployment.why()


def test_sensor_asks_again_for_a_batch_that_lacks_files_that_failed(deployment: Deployment) -> None:
    deployment.put("a.csv")
    deployment.tick()
    first = deployment.lose()
    run = deployment.instance.create_run_for_job(
        deployment.repository.get_job("ingest_job"),
        tags={**first.tags, "dagster/partition": str(first.partition_key), FILES_FAILED_TAG: "true"},
        status=dg.DagsterRunStatus.SUCCESS,
    )
    assert run.is_success
    report_materialized(deployment, str(first.partition_key))
    assert "1 batches failed or lack files that failed" in deployment.why()
    deployment.describe(more="    language: en\n")
    assert deployment.lose().partition_key == first.partition_key


def test_sensor_tells_of_files_that_do_not_fit_the_location(deployment: Deployment) -> None:
    deployment.put("A.CSV")
    assert "1 files of shop do not fit its location, such as A.CSV" in deployment.why()


def test_daemon_takes_the_requests_of_the_sensor(tmp_path: Path) -> None:
    # As the daemon does, from a reference: a tick's run requests then see the partitions of the same tick.
    with dg.instance_for_test() as instance:
        deployment = Deployment(tmp_path, instance)
        deployment.put("a.csv")
        deployment.tick()
        with dg.SensorEvaluationContext(
            instance_ref=instance.get_ref(),
            last_tick_completion_time=None,
            last_run_key=None,
            cursor=None,
            log_key=None,
            repository_name=None,
            repository_def=deployment.repository,
            resources={"sources": deployment.sources.get_resource_definition()},
        ) as context:
            data = ingest_new_files_sensor.evaluate_tick(context)
    (request,) = data.run_requests or []
    assert request.tags["dagster/partition"] == request.partition_key == request.run_key


def report_materialized(deployment: Deployment, key: str) -> None:
    deployment.instance.report_runless_asset_event(dg.AssetMaterialization("raw_reviews", partition=key))
