"""Raw reviews, read from the files of one batch."""

from functools import partial
from pathlib import Path

import dagster as dg

from workflows_dagster.checks.ingest import RAW_REVIEWS
from workflows_dagster.lib.ingest.raw_reviews import IngestReport, IngestSettings, read_batch
from workflows_dagster.partitions import BATCHES
from workflows_dagster.publishing import Build, published_asset
from workflows_dagster.resources.sources import FILES_FAILED_TAG, SourcesResource


class IngestConfig(IngestSettings, dg.Config):
    """Run configuration of raw_reviews."""


@published_asset(
    group_name="ingest",
    kinds={"parquet", "polars"},
    code_version="3",
    partitions_def=BATCHES,
    table="reviews.parquet",
    audits=RAW_REVIEWS,
)
def raw_reviews(context: dg.AssetExecutionContext, config: IngestConfig, sources: SourcesResource) -> Build:
    """The reviews of one batch of source files in one schema, and the rows that were refused, with reasons."""
    return partial(_read, context, sources, config)


def _read(
    context: dg.AssetExecutionContext, sources: SourcesResource, settings: IngestSettings, folder: Path
) -> IngestReport:
    manifest, source = sources.batch(context.partition_key)
    report = read_batch(manifest, source, settings, folder)
    if report.failures:
        context.instance.add_run_tags(context.run_id, {FILES_FAILED_TAG: "true"})
    return report
