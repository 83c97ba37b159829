"""What is made again by itself: what follows changed content, once, and nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from workflows_dagster.automation import FOLLOWING, ON_ANSWERS, ON_CHANGED_DATA, refresh_changed_data_sensor
from workflows_dagster.definitions import build_definitions
from workflows_dagster.io_managers.published import PublishedIOManager
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.resources.store import Published, StoreResource
from workflows_dagster.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:Parameter `include_sources`")  # Dagster's own call

SAMPLE = ["pilot_sample", "pilot_annotation_request"]
LABELS = [
    "pilot_labels",
    "training_reviews",
    "class_balance",
    "synthetic_reviews",
    "validated_synthetic_reviews",
    "synthetic_review_request",
    "reviewed_synthetic_reviews",
    "augmented_reviews",
]
"""What the sensor makes of people's answers."""


@dataclass
class Daemon:
    """Ticks as the automation sensor does."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    cursor: Any = None
    graph: Any = field(init=False)

    def __post_init__(self) -> None:
        self.graph = self.definitions.resolve_asset_graph()
        self.tick()

    def tick(self) -> list[str]:
        """The assets that are requested."""
        result = dg.evaluate_automation_conditions(self.definitions, self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        order = [key for level in self.graph.toposorted_asset_keys_by_level for key in level]
        return [key.to_user_string() for key in order if result.get_num_requested(key)]

    def made(self, *names: str, version: str, passed: bool = True) -> None:
        """Records materializations of this data version, and their checks."""
        for key in map(dg.AssetKey, names):
            made = dg.AssetMaterialization(key, tags={"dagster/data_version": version})
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
    daemon.made("synthetic_review_responses", version="verdicts")
    assert daemon.tick() == ["reviewed_synthetic_reviews", "augmented_reviews"]
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
    assert {spec.key.to_user_string() for spec in specs} == {*SAMPLE, *LABELS}
    assert {spec.group_name for spec in specs} == set(FOLLOWING)
    assert refresh_changed_data_sensor.default_status is dg.DefaultSensorStatus.STOPPED


@dataclass(frozen=True)
class Nothing:
    """A report without metadata."""

    def to_metadata(self) -> dict[str, object]:
        return {}


def write(text: str, folder: Path) -> Nothing:
    (folder / "note.txt").write_text(text)
    return Nothing()
