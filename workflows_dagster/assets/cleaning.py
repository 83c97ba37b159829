"""Reviews cleaned row by row."""

from functools import partial

import dagster as dg

from workflows_dagster.checks.cleaning import CLEANED_REVIEWS, CLEANED_REVIEWS_OF_RAW
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.cleaning.clean import clean_batch
from workflows_dagster.lib.cleaning.settings import CleaningSettings
from workflows_dagster.partitions import BATCHES
from workflows_dagster.resources.store import Published, StoreResource, check_specs


class CleaningConfig(CleaningSettings, dg.Config):
    """Run configuration of cleaned_reviews."""


@dg.asset(
    group_name="cleaning",
    kinds={"polars", "parquet"},
    code_version="1",
    partitions_def=BATCHES,
    check_specs=check_specs("cleaned_reviews", [*CLEANED_REVIEWS, *CLEANED_REVIEWS_OF_RAW]),
)
def cleaned_reviews(
    context: dg.AssetExecutionContext, config: CleaningConfig, raw_reviews: Artifact, store: StoreResource
) -> Published:
    """The reviews of one batch, repaired, with language and masked personal data; and the refused, with reasons."""
    audits = [*CLEANED_REVIEWS, *(audit.against(raw_reviews.folder) for audit in CLEANED_REVIEWS_OF_RAW)]
    build = partial(clean_batch, raw_reviews, config)
    yield from store.publish(context, build, audits=audits, inputs=[raw_reviews])
