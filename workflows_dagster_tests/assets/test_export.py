"""exported_models, export_benchmarks and benchmark_report through Dagster, on a tiny model."""

from pathlib import Path

import dagster as dg
import pytest

from workflows_dagster.assets.benchmark import benchmark_report, export_benchmarks
from workflows_dagster.assets.export import exported_models
from workflows_dagster.io_managers.published import PublishedIOManager
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.benchmark.report import ReportRecord
from workflows_dagster.lib.export.exported_model import ExportRecord
from workflows_dagster.lib.store.naming import published_path
from workflows_dagster.resources.store import COMMIT_KEY, StoreResource
from workflows_dagster_tests.lib.benchmark.made_up import made_up_chain

TECHNIQUE = "onnx-int8"
PARTITIONED = {"export_benchmarks"}


class Given(dg.IOManager):
    """Hands out prepared artifacts."""

    def __init__(self, store: StoreResource, artifacts: dict[str, list[Artifact]]) -> None:
        self._store = PublishedIOManager(store=store)
        self._artifacts = artifacts

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        self._store.handle_output(context, obj)

    def load_input(self, context: dg.InputContext) -> Artifact | list[Artifact]:
        asset = context.asset_key.to_python_identifier()
        if asset == "exported_models":
            return self._store.load_input(context)
        found = self._artifacts[asset]
        return found if asset in PARTITIONED else found[0]


def published(store: StoreResource, artifact: Artifact, *upstream: Artifact) -> Artifact:
    """A prepared artifact, published as if made from others."""
    made_from = {f"upstream/{published_path(one.asset, one.partition)}": one.commit for one in upstream}
    metadata = made_from | {"partition": artifact.partition or ""}
    path = published_path(artifact.asset, artifact.partition)
    with store.store().transaction(path, "Prepared", label=[artifact.asset], metadata=metadata) as transaction:
        for entry in artifact.folder.iterdir():
            transaction.copy(entry.name, entry)
    assert transaction.version is not None
    return store.artifact(artifact.asset, artifact.partition, transaction.version.commit)


def specs(*assets: str) -> list[dg.AssetSpec]:
    return [dg.AssetSpec(asset) for asset in assets]


def artifact_of(result: dg.ExecuteInProcessResult, store: StoreResource, asset: str, partition: str | None) -> Artifact:
    materialization = result.asset_materializations_for_node(asset)[0]
    return store.artifact(asset, partition, str(materialization.metadata[COMMIT_KEY].value))


@pytest.mark.slow
def test_export_benchmark_and_report_are_published(
    store: StoreResource, tiny_merged: Artifact, tiny_reviews: Artifact, tmp_path: Path
) -> None:
    prepared = {"merged_model": [tiny_merged], "augmented_reviews": [tiny_reviews]}
    settings = {"accuracy_rows": 20, "latency_rows": 4, "throughput_rows": 10, "repeats": 1, "threads": 1}
    result = dg.materialize(
        [exported_models, export_benchmarks, *specs("merged_model", "augmented_reviews")],
        partition_key=TECHNIQUE,
        resources={"store": store, "io_manager": Given(store, prepared)},
        run_config={
            "ops": {
                "exported_models": {"config": {"parity_rows": 10, "min_agreement": 0.5, "threads": 1}},
                "export_benchmarks": {"config": settings},
            }
        },
    )
    checks = {event.check_name: event.passed for event in result.get_asset_check_evaluations()}
    assert checks == {
        "agree_with_merged_model": True,
        "match_their_digests": True,
        "hold_no_pickle": True,
        "cover_every_row": True,
    }
    exported = artifact_of(result, store, "exported_models", TECHNIQUE)
    assert ExportRecord.read(exported.folder).parity.agreement.n == 10
    measured = artifact_of(result, store, "export_benchmarks", TECHNIQUE)
    chain = made_up_chain(tmp_path, []) | {"export_benchmarks": [measured]}
    cleaned = [
        published(store, clean, published(store, raw))
        for raw, clean in zip(chain["raw_reviews"], chain["cleaned_reviews"], strict=True)
    ]
    corpus = published(store, chain["review_corpus"][0], *cleaned)
    chain["augmented_reviews"] = [published(store, chain["augmented_reviews"][0], corpus)]
    report = dg.materialize(
        [benchmark_report, *specs(*(key.to_python_identifier() for key in benchmark_report.dependency_keys))],
        resources={"store": store, "io_manager": Given(store, chain)},
    )
    page = artifact_of(report, store, "benchmark_report", None)
    assert "onnx-int8" in page.file("report.html").read_text("utf-8")
    # Of the batches, which are no inputs of it, the report tells by the versions that the corpus was made from.
    told = ReportRecord.read(page.folder)
    assert {one.source: one.rows_in for one in told.sources} == {"made up": 10, "northgate_shop": 5}
    assert {event.check_name: event.passed for event in report.get_asset_check_evaluations()} == {
        "self_contained": True,
        "covers_every_technique": False,  # three were not benchmarked; it says so and is published
    }
