"""A whole round with people at a real Argilla: from raw files to labels that are trained on."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from workflows_dagster.definitions import build_definitions
from workflows_dagster.lib.sample.settings import SampleSettings
from workflows_dagster.lib.sample.writing import SOURCES_FILE, write_sample
from workflows_dagster.lib.schema import LABELS
from workflows_dagster.local_argilla.launch import LocalArgilla
from workflows_dagster.resources.annotation import ArgillaAnnotation
from workflows_dagster.resources.sources import SourcesResource
from workflows_dagster.resources.store import COMMIT_KEY, EmbeddedStore
from workflows_dagster.sensors.pilot_responses import pilot_responses_sensor
from workflows_dagster.settings import Settings
from workflows_dagster_tests.lib.annotation.argilla_bench import ArgillaBench
from workflows_dagster_tests.lib.annotation.desk_contract import ANNOTATORS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Parameter `include_sources`"),  # Dagster's own call
]

EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w+")
ROWS = 60
MADE_BY_PEOPLE = ["pilot_labels", "training_reviews"]


@dataclass
class Deployment:
    """Definitions, an instance, and what its daemons remember."""

    home: Path
    server: LocalArgilla
    instance: dg.DagsterInstance
    sensor_cursor: str | None = None
    automation_cursor: Any = None
    desk: ArgillaAnnotation = field(init=False)
    definitions: dg.Definitions = field(init=False)

    def __post_init__(self) -> None:
        credentials = self.server.credentials
        self.desk = ArgillaAnnotation(
            url=self.server.url, api_key=credentials.owner.api_key, workspace=credentials.workspace
        )
        settings = Settings(home=self.home, sources=self.home / "reviews" / SOURCES_FILE)
        self.definitions = build_definitions(settings, {"annotation_desk": self.desk})

    def ingest(self) -> None:
        sources = (self.definitions.resources or {})["sources"]
        assert isinstance(sources, SourcesResource)
        job = self.definitions.resolve_job_def("ingest_job")
        for batch in sources.collect(self.instance).batches:
            assert job.execute_in_process(instance=self.instance, partition_key=batch.key).success

    def materialize(self, *names: str, **config: Any) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(name) for name in names],
            run_config={"ops": {name: {"config": given} for name, given in config.items()}},
            raise_on_error=False,
        )

    def tick(self) -> str:
        """What the sensor says it did; its events are recorded."""
        with dg.build_sensor_context(
            self.instance, self.sensor_cursor, resources={"annotation_desk": self.desk}
        ) as context:
            result = pilot_responses_sensor(context)
        if isinstance(result, dg.SkipReason):
            return str(result.skip_message)
        assert isinstance(result, dg.SensorResult)
        for event in result.asset_events:
            assert not isinstance(event, dg.AssetCheckEvaluation)
            self.instance.report_runless_asset_event(event)
        self.sensor_cursor = result.cursor
        return str(result.skip_reason.skip_message) if result.skip_reason else ""

    def automation(self) -> set[str]:
        """What the automation sensor requests."""
        result = dg.evaluate_automation_conditions(self.definitions, self.instance, cursor=self.automation_cursor)
        self.automation_cursor = result.cursor
        keys = self.definitions.resolve_asset_graph().materializable_asset_keys
        return {key.to_user_string() for key in keys if result.get_num_requested(key)}

    def rows(self, result: dg.ExecuteInProcessResult) -> pl.DataFrame:
        """The rows that are trained on."""
        [event] = result.asset_materializations_for_node("training_reviews")
        store = EmbeddedStore(home=str(self.home)).store()
        commit = str(event.metadata[COMMIT_KEY].value)
        return pl.read_parquet(store.folder("training_reviews", commit) / "reviews.parquet")


@pytest.fixture
def deployment(tmp_path: Path, argilla_server: LocalArgilla) -> Iterator[Deployment]:
    write_sample(tmp_path / "reviews", SampleSettings())
    with dg.DagsterInstance.ephemeral() as instance:
        yield Deployment(tmp_path, argilla_server, instance)


def test_answers_of_people_become_labels_that_are_trained_on(deployment: Deployment) -> None:
    raw = [path.read_bytes().decode("utf-8", "replace") for path in (deployment.home / "reviews").rglob("*.*")]
    assert any(EMAIL.search(text) for text in raw)
    deployment.ingest()
    upstream = ["review_corpus", "pilot_sample", "pilot_request"]
    before = deployment.materialize(
        *upstream, *MADE_BY_PEOPLE, pilot_sample={"rows": ROWS}, pilot_labels={"unfinished": "weak"}
    )
    assert before.success
    assert "human" not in set(deployment.rows(before)["label_source"])
    request = before.asset_materializations_for_node("pilot_request")[0].metadata
    round_id = str(request["annotation/round_id"].value)
    assert (request["annotation/desk"].value, request["annotation/requested_rows"].value) == ("argilla", ROWS)
    bench = ArgillaBench(deployment.server)
    records = bench.records(round_id)

    # What leaves the company: nothing that cleaning would have masked, and nothing but text and four properties.
    assert {name for record in records.values() for name in record["fields"]} == {"text"}
    assert {name for record in records.values() for name in record["metadata"]} <= {
        "source",
        "stars",
        "language",
        "batch",
        "round",
    }
    assert not any(EMAIL.search(str(record)) for record in records.values())

    assert deployment.tick().startswith(
        f"observed: 0 of {ROWS} reviews are answered in {deployment.server.url}/dataset/"
    )
    deployment.automation()
    early = deployment.materialize("pilot_labels")
    [failure] = [event for event in early.all_events if event.is_step_failure]
    said = failure.step_failure_data.user_failure_data.description  # pyright: ignore[reportOptionalMemberAccess]
    assert f"0 of {ROWS} reviews are answered in {deployment.server.url}/dataset/" in str(said)

    label_of = {review: LABELS[place % len(LABELS)] for place, review in enumerate(sorted(records))}
    bench.answer(round_id, [(who, review, label) for who in ANNOTATORS[:2] for review, label in label_of.items()])
    calibration = bench.datasets(round_id)[0]["id"]
    assert deployment.tick().startswith(
        f"observed: 40 of {ROWS} reviews are answered in {deployment.server.url}/dataset/"
    )
    assert deployment.automation() == set()
    third = [review for review, record in records.items() if record["dataset_id"] == calibration]
    bench.answer(round_id, [(ANNOTATORS[2], review, label_of[review]) for review in third])

    assert deployment.tick().startswith(f"materialized: {ROWS} of {ROWS} reviews")
    assert deployment.automation() >= set(MADE_BY_PEOPLE)
    after = deployment.materialize(*MADE_BY_PEOPLE)

    assert after.success
    human = deployment.rows(after).filter(pl.col("label_source") == "human")
    assert dict(human.select("review_id", "label").iter_rows()) == label_of
    votes = dict(human.select("review_id", "votes").iter_rows())
    assert votes == {review: 3 if review in third else 2 for review in label_of}
    assert deployment.tick().startswith("no new answers")
    assert not deployment.automation() & set(MADE_BY_PEOPLE)
