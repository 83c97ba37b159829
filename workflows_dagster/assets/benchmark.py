"""Benchmarks of the exported models, and the report of the whole chain."""

from functools import partial
from pathlib import Path

import dagster as dg

from workflows_dagster.automation import ON_NEW_BENCHMARKS, ON_NEW_EXPORT
from workflows_dagster.checks.benchmark import BENCHMARK_REPORT, EXPORT_BENCHMARKS
from workflows_dagster.lib.artifact import REPORT_FILE, Artifact
from workflows_dagster.lib.benchmark.export_benchmark import benchmark_model
from workflows_dagster.lib.benchmark.page import HTML_FILE, build_report
from workflows_dagster.lib.benchmark.report import DATA_ASSETS, gather
from workflows_dagster.lib.benchmark.settings import BenchmarkSettings, ReportSettings
from workflows_dagster.lib.errors import StoreError
from workflows_dagster.lib.release.reports import keep_page
from workflows_dagster.lib.store.lineage import lineage_of, records_of
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster.partitions import TECHNIQUES
from workflows_dagster.publishing import Build, Publication, published_asset
from workflows_dagster.resources.store import StoreResource
from workflows_dagster.settings import REPORTS


class BenchmarkConfig(BenchmarkSettings, dg.Config):
    """Run configuration of export_benchmarks."""


class BenchmarkReportConfig(ReportSettings, dg.Config):
    """Run configuration of benchmark_report."""


@published_asset(
    group_name="benchmark",
    kinds={"json", "parquet"},
    code_version="3",
    partitions_def=TECHNIQUES,
    # Two at once would measure each other.
    pool="benchmark",
    automation_condition=ON_NEW_EXPORT,
    audits=EXPORT_BENCHMARKS,
)
def export_benchmarks(
    config: BenchmarkConfig,
    exported_models: Artifact,
    merged_model: Artifact,
    augmented_reviews: Artifact,
) -> Build:
    """Speed, memory, size and quality of one exported model, measured in fresh processes beside the merged model."""
    return partial(benchmark_model, exported_models, merged_model, augmented_reviews, config)


@published_asset(
    group_name="benchmark",
    kinds={"html", "json"},
    code_version="4",
    automation_condition=ON_NEW_BENCHMARKS,
    audits=BENCHMARK_REPORT,
)
def benchmark_report(
    config: BenchmarkReportConfig,
    export_benchmarks: list[Artifact],
    lora_adapter: Artifact,
    augmented_reviews: Artifact,
    store: StoreResource,
) -> Publication:
    """One page on the data, the model, its compressed forms and the pick; also as markdown and JSON."""
    versions = store.store()
    data = records_of(versions, augmented_reviews, REPORT_FILE, DATA_ASSETS)
    own = {"augmented_reviews": [augmented_reviews], "lora_adapter": [lora_adapter]}
    inputs = gather({**data, **own, "export_benchmarks": export_benchmarks}, partial(lineage_of, versions))
    after = partial(_page, versions, Path(store.home) / REPORTS / "newest.html")
    return Publication(partial(build_report, inputs, config), after=after)


def _page(store: VersionedStore, named: Path, version: Version) -> dict[str, dg.MetadataValue]:
    try:
        page = keep_page(store, version.commit, named)
    except StoreError:
        page = store.file(version.path, HTML_FILE, version.commit)
    return {"benchmark/page": dg.MetadataValue.path(str(page))}
