"""What a new model sets in motion, and what it does not."""

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from workflows_dagster.partitions import TECHNIQUES
from workflows_dagster.resources.store import COMMIT_KEY, DIGEST_KEY, UPSTREAM_KEY
from workflows_dagster.sensors.after_training import (
    RUN_KEY_TAG,
    WILL_RETRY_TAG,
    export_new_model_sensor,
    report_new_benchmarks_sensor,
)

NAMES = list(TECHNIQUES.get_partition_keys())


@pytest.fixture
def fresh() -> Iterator[dg.DagsterInstance]:
    """An instance in which nothing was materialized."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def publish(
    instance: dg.DagsterInstance,
    asset: str,
    commit: str,
    upstream: dict[str, str],
    partition: str | None = None,
    digest: str = "",
) -> None:
    """Records what StoreResource.publish records."""
    metadata = {COMMIT_KEY: commit, DIGEST_KEY: digest or commit, UPSTREAM_KEY: upstream}
    instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=partition, metadata=metadata))


def publish_technique(instance: dg.DagsterInstance, name: str, model: str) -> None:
    """An export of the model by one technique, and the benchmark of that export."""
    publish(instance, "exported_models", f"export-{name}-{model}", {"merged_model": model}, name)
    upstream = {f"exported_models/{name}": f"export-{name}-{model}"}
    publish(instance, "technique_benchmarks", f"benchmark-{name}-{model}", upstream, name)


@dg.asset(partitions_def=TECHNIQUES)
def exported_models() -> None:
    """Stands for the asset of that name."""


@dg.asset
def benchmark_report() -> None:
    """Stands for the asset of that name."""


REPOSITORY = dg.Definitions(
    assets=[exported_models, benchmark_report],
    jobs=[
        dg.define_asset_job("export_job", selection=[exported_models]),
        dg.define_asset_job("report_job", selection=[benchmark_report]),
    ],
).get_repository_def()


def tick(sensor: dg.SensorDefinition, instance: dg.DagsterInstance) -> SensorExecutionData:
    return sensor.evaluate_tick(dg.build_sensor_context(instance=instance, repository_def=REPOSITORY))


def requests(sensor: dg.SensorDefinition, instance: dg.DagsterInstance) -> list[tuple[str | None, str | None]]:
    """Run key and partition of each run that a tick requests."""
    return [(request.run_key, request.partition_key) for request in tick(sensor, instance).run_requests or []]


def skip_message(sensor: dg.SensorDefinition, instance: dg.DagsterInstance) -> str | None:
    return tick(sensor, instance).skip_message


@pytest.mark.parametrize("sensor", [export_new_model_sensor, report_new_benchmarks_sensor])
def test_nothing_is_requested_before_there_is_a_model(sensor: dg.SensorDefinition, fresh: dg.DagsterInstance) -> None:
    assert skip_message(sensor, fresh) == "no model was trained yet: materialize merged_model"


def test_new_model_is_exported_by_every_technique(fresh: dg.DagsterInstance) -> None:
    publish(fresh, "merged_model", "m1", {})
    expected = [(f"m1/{name}", name) for name in NAMES]
    assert requests(export_new_model_sensor, fresh) == expected
    # Asked again, it names the same run keys: Dagster starts no second run for them.
    assert requests(export_new_model_sensor, fresh) == expected


def test_only_techniques_without_a_benchmark_of_the_newest_model_are_requested(fresh: dg.DagsterInstance) -> None:
    publish(fresh, "merged_model", "m1", {})
    for name in NAMES:
        publish_technique(fresh, name, "m1")
    assert skip_message(export_new_model_sensor, fresh) == "every technique is benchmarked for model m1"
    publish(fresh, "merged_model", "m2", {})
    publish_technique(fresh, NAMES[0], "m2")
    assert requests(export_new_model_sensor, fresh) == [(f"m2/{name}", name) for name in NAMES[1:]]


def test_benchmark_of_an_older_export_does_not_count(fresh: dg.DagsterInstance) -> None:
    publish(fresh, "merged_model", "m1", {})
    for name in NAMES:
        publish_technique(fresh, name, "m1")
    publish(fresh, "exported_models", "export-again", {"merged_model": "m1"}, NAMES[0])
    assert requests(export_new_model_sensor, fresh) == [(f"m1/{NAMES[0]}", NAMES[0])]


def test_model_made_again_with_the_same_content_is_not_exported_again(fresh: dg.DagsterInstance) -> None:
    publish(fresh, "merged_model", "m1", {})
    for name in NAMES:
        publish_technique(fresh, name, "m1")
    publish(fresh, "merged_model", "m1", {})
    assert requests(export_new_model_sensor, fresh) == []
    publish(fresh, "merged_model", "of-other-inputs", {"lora_adapter": "a2"}, digest="m1")
    assert requests(export_new_model_sensor, fresh) == []
    assert len(requests(report_new_benchmarks_sensor, fresh)) == 1


def test_report_waits_for_every_technique_and_names_the_missing(fresh: dg.DagsterInstance) -> None:
    publish(fresh, "merged_model", "m1", {})
    for name in NAMES[1:]:
        publish_technique(fresh, name, "m1")
    assert skip_message(report_new_benchmarks_sensor, fresh) == f"not benchmarked yet for model m1: {NAMES[0]}"


def end_export(
    instance: dg.DagsterInstance, name: str, status: dg.DagsterRunStatus, tags: dict[str, str] | None = None
) -> None:
    """Records a run that export_new_model_sensor requested for model m1, and how it stands."""
    run_tags = {RUN_KEY_TAG: f"m1/{name}", **(tags or {})}
    instance.create_run_for_job(REPOSITORY.get_job("export_job"), status=status, tags=run_tags)


def test_report_does_not_wait_for_techniques_that_failed(fresh: dg.DagsterInstance) -> None:
    publish(fresh, "merged_model", "m1", {})
    for name in NAMES[1:]:
        publish_technique(fresh, name, "m1")
    end_export(fresh, NAMES[0], dg.DagsterRunStatus.FAILURE)
    first = requests(report_new_benchmarks_sensor, fresh)
    assert len(first) == 1
    publish(
        fresh, "benchmark_report", "r1", {f"technique_benchmarks/{name}": f"benchmark-{name}-m1" for name in NAMES[1:]}
    )
    assert skip_message(report_new_benchmarks_sensor, fresh) == "the report of model m1 is there"
    # Mended and run again by hand, it is reported after all.
    publish_technique(fresh, NAMES[0], "m1")
    assert requests(report_new_benchmarks_sensor, fresh) not in ([], first)


@pytest.mark.parametrize(
    ("status", "tags"),
    [(dg.DagsterRunStatus.STARTED, {}), (dg.DagsterRunStatus.FAILURE, {WILL_RETRY_TAG: "true"})],
    ids=["under way", "to be tried again"],
)
def test_report_waits_for_techniques_that_may_still_come(
    status: dg.DagsterRunStatus, tags: dict[str, str], fresh: dg.DagsterInstance
) -> None:
    publish(fresh, "merged_model", "m1", {})
    for name in NAMES[1:]:
        publish_technique(fresh, name, "m1")
    end_export(fresh, NAMES[0], status, tags)
    assert skip_message(report_new_benchmarks_sensor, fresh) == f"not benchmarked yet for model m1: {NAMES[0]}"


def test_report_waits_for_the_retry_of_a_technique(fresh: dg.DagsterInstance) -> None:
    publish(fresh, "merged_model", "m1", {})
    for name in NAMES[1:]:
        publish_technique(fresh, name, "m1")
    end_export(fresh, NAMES[0], dg.DagsterRunStatus.FAILURE)
    end_export(fresh, NAMES[0], dg.DagsterRunStatus.STARTING)
    assert skip_message(report_new_benchmarks_sensor, fresh) == f"not benchmarked yet for model m1: {NAMES[0]}"


def test_no_report_where_every_technique_failed(fresh: dg.DagsterInstance) -> None:
    publish(fresh, "merged_model", "m1", {})
    for name in NAMES:
        end_export(fresh, name, dg.DagsterRunStatus.FAILURE)
    assert "every technique failed" in str(skip_message(report_new_benchmarks_sensor, fresh))


def test_report_is_requested_once_for_a_set_of_benchmarks(fresh: dg.DagsterInstance) -> None:
    publish(fresh, "merged_model", "m1", {})
    for name in NAMES:
        publish_technique(fresh, name, "m1")
    first = requests(report_new_benchmarks_sensor, fresh)
    assert len(first) == 1
    assert requests(report_new_benchmarks_sensor, fresh) == first
    commits = {f"technique_benchmarks/{name}": f"benchmark-{name}-m1" for name in NAMES}
    publish(fresh, "benchmark_report", "r1", commits | {"lora_adapter": "a1"})
    assert skip_message(report_new_benchmarks_sensor, fresh) == "the report of model m1 is there"


def test_report_is_requested_again_for_a_newer_model(fresh: dg.DagsterInstance) -> None:
    publish(fresh, "merged_model", "m1", {})
    for name in NAMES:
        publish_technique(fresh, name, "m1")
    first = requests(report_new_benchmarks_sensor, fresh)
    publish(fresh, "benchmark_report", "r1", {f"technique_benchmarks/{name}": f"benchmark-{name}-m1" for name in NAMES})
    publish(fresh, "merged_model", "m2", {})
    for name in NAMES:
        publish_technique(fresh, name, "m2")
    second = requests(report_new_benchmarks_sensor, fresh)
    assert len(second) == 1
    assert second != first
