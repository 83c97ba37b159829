"""Benchmarks of the exported models, and the report of the whole chain."""

from functools import partial

import dagster as dg

from workflows_dagster.checks.benchmark import BENCHMARK_REPORT, TECHNIQUE_BENCHMARKS
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.benchmark.measuring import benchmark_model
from workflows_dagster.lib.benchmark.reporting import ReportInputs, build_report
from workflows_dagster.lib.benchmark.settings import BenchmarkSettings, ReportSettings
from workflows_dagster.partitions import TECHNIQUES
from workflows_dagster.resources.sources import SourcesResource
from workflows_dagster.resources.store import Published, StoreResource, check_specs


class BenchmarkConfig(BenchmarkSettings, dg.Config):
    """Run configuration of technique_benchmarks."""


class BenchmarkReportConfig(ReportSettings, dg.Config):
    """Run configuration of benchmark_report."""


@dg.asset(
    group_name="benchmark",
    kinds={"json", "parquet"},
    code_version="1",
    partitions_def=TECHNIQUES,
    # Two at once would measure each other.
    pool="benchmark",
    check_specs=check_specs("technique_benchmarks", TECHNIQUE_BENCHMARKS),
)
def technique_benchmarks(
    context: dg.AssetExecutionContext,
    config: BenchmarkConfig,
    exported_models: Artifact,
    merged_model: Artifact,
    augmented_reviews: Artifact,
    store: StoreResource,
) -> Published:
    """Speed, memory, size and quality of one exported model, measured in fresh processes beside the merged model."""
    build = partial(benchmark_model, exported_models, merged_model, augmented_reviews, config)
    inputs = [exported_models, merged_model, augmented_reviews]
    yield from store.publish(context, build, audits=TECHNIQUE_BENCHMARKS, inputs=inputs)


@dg.asset(
    group_name="benchmark",
    kinds={"html", "json"},
    code_version="1",
    check_specs=check_specs("benchmark_report", BENCHMARK_REPORT),
)
def benchmark_report(
    context: dg.AssetExecutionContext,
    config: BenchmarkReportConfig,
    technique_benchmarks: list[Artifact],
    lora_adapter: Artifact,
    raw_reviews: list[Artifact],
    cleaned_reviews: list[Artifact],
    review_corpus: Artifact,
    training_reviews: Artifact,
    validated_synthetic_reviews: Artifact,
    augmented_reviews: Artifact,
    sources: SourcesResource,
    store: StoreResource,
) -> Published:
    """One page on the data, the model, its compressed forms and the pick; also as markdown and JSON."""
    inputs = ReportInputs(
        benchmarks=technique_benchmarks,
        adapter=lora_adapter,
        raw=sources.current(raw_reviews),
        cleaned=sources.current(cleaned_reviews),
        corpus=review_corpus,
        training=training_reviews,
        synthetic=validated_synthetic_reviews,
        augmented=augmented_reviews,
    )
    build = partial(build_report, inputs, config)
    yield from store.publish(context, build, audits=BENCHMARK_REPORT, inputs=inputs.artifacts())
