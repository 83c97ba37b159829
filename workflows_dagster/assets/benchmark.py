"""Benchmarks of the exported models, the report of the whole chain, and the release that it allows."""

from functools import partial

import dagster as dg

from workflows_dagster.checks.benchmark import BENCHMARK_REPORT, MODEL_RELEASE, TECHNIQUE_BENCHMARKS
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.benchmark.measuring import benchmark_model
from workflows_dagster.lib.benchmark.reporting import ReportInputs, build_report
from workflows_dagster.lib.benchmark.settings import BenchmarkSettings, ReportSettings
from workflows_dagster.lib.release.building import build_release
from workflows_dagster.lib.release.comparing import worse_by
from workflows_dagster.lib.release.deployment import deploy, deployment, was_deployed
from workflows_dagster.lib.release.releases import Release, release_at, tag_release
from workflows_dagster.lib.release.settings import ReleaseSettings
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster.partitions import TECHNIQUES
from workflows_dagster.publishing import Build, Publication, gates, published_asset
from workflows_dagster.resources.metadata import link_metadata
from workflows_dagster.resources.sources import SourcesResource
from workflows_dagster.resources.store import StoreResource


class BenchmarkConfig(BenchmarkSettings, dg.Config):
    """Run configuration of technique_benchmarks."""


class BenchmarkReportConfig(ReportSettings, dg.Config):
    """Run configuration of benchmark_report."""


@published_asset(
    group_name="benchmark",
    kinds={"json", "parquet"},
    code_version="1",
    partitions_def=TECHNIQUES,
    # Two at once would measure each other.
    pool="benchmark",
    audits=TECHNIQUE_BENCHMARKS,
)
def technique_benchmarks(
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
    code_version="2",
    audits=BENCHMARK_REPORT,
)
def benchmark_report(
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
) -> Build:
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
    return partial(build_report, inputs, config)


class ReleaseConfig(ReleaseSettings, dg.Config):
    """Run configuration of model_release."""


@published_asset(
    group_name="benchmark",
    kinds={"json"},
    code_version="1",
    audits=MODEL_RELEASE,
)
def model_release(
    context: dg.AssetExecutionContext, config: ReleaseConfig, benchmark_report: Artifact, store: StoreResource
) -> Publication:
    """The exact versions behind a report under one tag, made only where each of them passed every blocking check."""
    build = partial(build_release, store.store(), benchmark_report, gates())
    return Publication(build, after=partial(_tag_and_deploy, context, store.store(), config))


def _tag_and_deploy(
    context: dg.AssetExecutionContext, store: VersionedStore, config: ReleaseConfig, version: Version
) -> dict[str, dg.MetadataValue]:
    """Tags a release, and puts it in force unless it was before: made again, it does not undo a rollback."""
    tag = tag_release(store, version)
    release = release_at(store, tag, version.commit)
    refusal = _why_not(store, config, release)
    if refusal:
        context.log.warning("%s was not put in force: %s", tag, refusal)
    else:
        deploy(store, release, "passed every gate", [tag])
    return {
        "release/tag": dg.MetadataValue.text(tag),
        "release/link": link_metadata(store.link(tag)),
        "release/deployed": dg.MetadataValue.text(f"no: {refusal}" if refusal else "yes"),
    }


def _why_not(store: VersionedStore, config: ReleaseConfig, release: Release) -> str:
    """Why a release must not be put in force by itself; "" where it may."""
    if not config.deploy:
        return "the configuration says not to"
    if was_deployed(store, release.tag):
        return "it was before, and what is in force now was chosen since"
    found = deployment(store)
    if found is None or config.deploy_worse:
        return ""
    worse = worse_by(store, release, release_at(store, found.tag, found.commit))
    if worse is None:
        return ""
    interval = f"{-worse.value:.3f} [{-worse.high:.3f}, {-worse.low:.3f}]"
    return (
        f"macro-F1 is worse than that of {found.tag} by {interval} on the {worse.n:,} test rows of both; "
        f"to use it all the same: workflows-dagster rollback {release.tag}"
    )
