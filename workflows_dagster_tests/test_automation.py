"""What is made again by itself: what follows changed content, once, and nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from workflows_dagster.automation import (
    ON_ANSWERS,
    ON_CHANGED_DATA,
    follow_new_model_sensor,
    refresh_changed_data_sensor,
)
from workflows_dagster.definitions import build_definitions
from workflows_dagster.io_managers.published import PublishedIOManager
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.partitions import TECHNIQUES
from workflows_dagster.resources.store import Published, StoreResource
from workflows_dagster.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:Parameter `include_sources`")  # Dagster's own call

SAMPLE = ["pilot_sample", "pilot_request"]
LABELS = [
    "pilot_labels",
    "training_reviews",
    "class_balance",
    "synthetic_reviews",
    "valid_synthetics",
    "synthetic_request",
    "vetted_synthetics",
    "augmented_reviews",
]
"""What the sensor makes of people's answers."""

EXPORTS = ["exported_models", "export_benchmarks"]
REPORT = ["benchmark_report", "model_release", "deployed_release"]
NAMES = list(TECHNIQUES.get_partition_keys())


@dataclass
class Daemon:
    """Ticks as the automation sensor does."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    cursor: Any = None
    graph: Any = field(init=False)
    result: Any = None

    def __post_init__(self) -> None:
        self.graph = self.definitions.resolve_asset_graph()
        self.tick()

    def tick(self) -> list[str]:
        """The assets that are requested."""
        result = dg.evaluate_automation_conditions(self.definitions, self.instance, cursor=self.cursor)
        self.cursor, self.result = result.cursor, result
        order = [key for level in self.graph.toposorted_asset_keys_by_level for key in level]
        return [key.to_user_string() for key in order if result.get_num_requested(key)]

    def partitions(self, name: str) -> int:
        """How many partitions of an asset the last tick requested."""
        assert self.result is not None
        return self.result.get_num_requested(dg.AssetKey(name))

    def under_way(self, technique: str, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED) -> None:
        """Records a run that exports and measures one technique, and how it stands."""
        self.instance.create_run_for_job(
            self.definitions.resolve_job_def("export_job"),
            status=status,
            tags={"dagster/partition": technique},
        )

    def made(self, *names: str, version: str, passed: bool = True, partition: str | None = None) -> None:
        """Records materializations of this data version, and their checks."""
        for key in map(dg.AssetKey, names):
            made = dg.AssetMaterialization(key, partition=partition, tags={"dagster/data_version": version})
            self.instance.report_runless_asset_event(made)
            for check in self.graph.get_check_keys_for_assets({key}):
                self.instance.report_runless_asset_event(dg.AssetCheckEvaluation(key, check.name, passed, {}))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A deployment in which corpus_job has run once."""
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(build_definitions(Settings(home=tmp_path)), instance)
        daemon.made("review_corpus", *SAMPLE, *LABELS, version="1")
        assert daemon.tick() == []
        yield daemon


def test_answers_of_people_are_carried_to_the_training_rows_once(daemon: Daemon) -> None:
    daemon.made("pilot_responses", version="answers")
    assert set(daemon.tick()) == set(LABELS)
    assert daemon.tick() == []
    daemon.made(*LABELS, version="2")
    assert daemon.tick() == []


def test_verdicts_of_people_on_synthetic_rows_are_carried_to_the_training_rows_once(daemon: Daemon) -> None:
    daemon.made("synthetic_verdicts", version="verdicts")
    assert daemon.tick() == ["vetted_synthetics", "augmented_reviews"]
    assert daemon.tick() == []


def test_training_is_never_started_by_changed_data(daemon: Daemon) -> None:
    daemon.made("augmented_reviews", version="other")
    assert daemon.tick() == []


def test_corpus_with_new_content_is_followed_in_one_go(daemon: Daemon) -> None:
    daemon.made("review_corpus", version="2")
    assert set(daemon.tick()) == {*SAMPLE, *LABELS} - {"pilot_labels"}


def test_new_round_waits_for_people_whose_last_answers_stay(daemon: Daemon) -> None:
    daemon.made("pilot_responses", version="first round")
    daemon.made(*LABELS, version="2")
    assert daemon.tick() == []
    daemon.made(*SAMPLE, version="2")
    assert daemon.tick() == []
    daemon.made("pilot_responses", version="second round")
    assert set(daemon.tick()) == set(LABELS)


def test_answers_are_used_though_somebody_was_too_early(instance: dg.DagsterInstance) -> None:
    @dg.asset(deps=["pilot_responses"], automation_condition=ON_ANSWERS)
    def labels() -> None:
        """Fails as long as people have not finished."""
        raise ZeroDivisionError

    responses = dg.AssetSpec("pilot_responses")
    daemon = Daemon(dg.Definitions([responses, labels]), instance)
    dg.materialize([responses, labels], selection=[labels], instance=instance, raise_on_error=False)
    assert daemon.tick() == []
    daemon.made("pilot_responses", version="answers")
    assert daemon.tick() == ["labels"]


@pytest.fixture
def trained(daemon: Daemon) -> Daemon:
    """A deployment in which a model was trained, exported, measured and released."""
    daemon.made("lora_adapter", "merged_model", version="1")
    for name in NAMES:
        daemon.made(*EXPORTS, version="1", partition=name)
    daemon.made(*REPORT, version="1")
    daemon.tick()
    assert daemon.tick() == []
    return daemon


def test_first_model_is_exported_and_measured_by_every_technique(daemon: Daemon) -> None:
    daemon.made("lora_adapter", "merged_model", version="1")
    assert daemon.tick() == EXPORTS
    assert [daemon.partitions(name) for name in EXPORTS] == [len(NAMES), len(NAMES)]
    assert daemon.tick() == []


def test_new_model_is_exported_and_measured_once(trained: Daemon) -> None:
    trained.made("merged_model", version="2")
    assert trained.tick() == EXPORTS
    assert [trained.partitions(name) for name in EXPORTS] == [len(NAMES), len(NAMES)]
    assert trained.tick() == []


def test_model_made_again_with_the_same_content_is_not_exported_again(trained: Daemon) -> None:
    trained.made("lora_adapter", version="2")
    trained.made("merged_model", version="1")
    assert trained.tick() == []


def test_export_made_again_by_hand_is_measured_again(trained: Daemon) -> None:
    trained.made("exported_models", version="2", partition=NAMES[0])
    assert trained.tick() == ["export_benchmarks"]
    assert trained.partitions("export_benchmarks") == 1


def test_report_waits_for_every_technique_that_is_under_way(trained: Daemon) -> None:
    trained.under_way(NAMES[0])
    for name in NAMES[1:]:
        trained.made(*EXPORTS, version="2", partition=name)
    assert trained.tick() == []


def test_report_and_release_are_made_together_and_once(trained: Daemon) -> None:
    for name in NAMES:
        trained.made(*EXPORTS, version="2", partition=name)
    assert trained.tick() == REPORT
    assert trained.tick() == []
    trained.made(*REPORT, version="2")
    assert trained.tick() == []


def test_first_report_waits_for_techniques_that_were_never_measured_unless_they_failed(daemon: Daemon) -> None:
    daemon.made("lora_adapter", "merged_model", version="1")
    daemon.tick()
    for name in NAMES[1:]:
        daemon.made(*EXPORTS, version="1", partition=name)
    assert daemon.tick() == []
    daemon.under_way(NAMES[0], dg.DagsterRunStatus.FAILURE)
    assert daemon.tick() == REPORT


def test_no_report_where_every_technique_failed(daemon: Daemon) -> None:
    daemon.made("lora_adapter", "merged_model", version="1")
    daemon.tick()
    for name in NAMES:
        daemon.under_way(name, dg.DagsterRunStatus.FAILURE)
    assert daemon.tick() == []


def test_corpus_with_the_same_content_is_not_followed(daemon: Daemon) -> None:
    daemon.made("review_corpus", version="1")
    assert daemon.tick() == []


def test_what_a_job_makes_together_is_not_made_twice(daemon: Daemon) -> None:
    daemon.made("review_corpus", *SAMPLE, *LABELS, version="3")
    assert daemon.tick() == []


def test_corpus_that_failed_a_blocking_check_is_not_followed(daemon: Daemon) -> None:
    daemon.made("review_corpus", version="2", passed=False)
    assert daemon.tick() == []


def test_same_inputs_make_no_new_commit_and_wake_nothing(store: StoreResource) -> None:
    @dg.asset
    def words(context: dg.AssetExecutionContext, store: StoreResource) -> Published:
        """Published for real."""
        yield from store.publish(context, lambda folder: write(content[-1], folder))

    @dg.asset(automation_condition=ON_CHANGED_DATA)
    def counted(context: dg.AssetExecutionContext, words: Artifact, store: StoreResource) -> Published:
        """Follows."""
        yield from store.publish(context, lambda folder: write(words.digest, folder), inputs=[words])

    def make(*assets: dg.AssetsDefinition) -> None:
        dg.materialize([words, counted], selection=list(assets), instance=instance, resources=resources)

    content = ["one"]
    resources: dict[str, Any] = {"store": store, "io_manager": PublishedIOManager(store=store)}
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(dg.Definitions([words, counted], resources=resources), instance)
        make(words, counted)
        assert daemon.tick() == []
        make(words)
        assert daemon.tick() == []
        content.append("two")
        make(words)
        assert daemon.tick() == ["counted"]
        make(counted)
        assert daemon.tick() == []
    assert [len(list(store.store().log(name))) for name in ("words", "counted")] == [2, 2]


def test_what_has_failed_waits_for_a_person(instance: dg.DagsterInstance) -> None:
    @dg.asset
    def source() -> dg.MaterializeResult[Any]:
        """Has other content each time."""
        return dg.MaterializeResult(data_version=dg.DataVersion(f"{len(daemon_ticks)}"))

    @dg.asset(automation_condition=ON_CHANGED_DATA)
    def broken(source: None) -> None:
        """Fails."""
        raise ZeroDivisionError

    def make(asset: dg.AssetsDefinition) -> None:
        dg.materialize([source, broken], selection=[asset], instance=instance, raise_on_error=False)

    daemon_ticks: list[list[str]] = []
    daemon = Daemon(dg.Definitions([source, broken]), instance)
    for asset in (source, broken, source):
        make(asset)
        daemon_ticks.append(daemon.tick())
    assert daemon_ticks == [["broken"], [], []]


def test_sensor_covers_exactly_what_has_the_condition(tmp_path: Path) -> None:
    definitions = build_definitions(Settings(home=tmp_path))
    specs = [spec for spec in definitions.resolve_all_asset_specs() if spec.automation_condition]
    assert {spec.key.to_user_string() for spec in specs} == {*SAMPLE, *LABELS, *EXPORTS, *REPORT}
    graph = definitions.resolve_asset_graph()
    watched = [
        sensor.asset_selection.resolve(graph) for sensor in (refresh_changed_data_sensor, follow_new_model_sensor)
    ]
    assert not watched[0] & watched[1]
    assert {spec.key for spec in specs} == (watched[0] | watched[1]) & graph.executable_asset_keys
    assert refresh_changed_data_sensor.default_status is dg.DefaultSensorStatus.STOPPED
    assert follow_new_model_sensor.default_status is dg.DefaultSensorStatus.STOPPED


@dataclass(frozen=True)
class Nothing:
    """A report without metadata."""

    def to_metadata(self) -> dict[str, object]:
        return {}


def write(text: str, folder: Path) -> Nothing:
    (folder / "note.txt").write_text(text)
    return Nothing()
