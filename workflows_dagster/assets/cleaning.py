"""Reviews cleaned row by row, and the corpus that all of them make."""

from functools import partial

import dagster as dg

from workflows_dagster.checks.cleaning import CLEANED_REVIEWS, CLEANED_REVIEWS_OF_RAW, REVIEW_CORPUS
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.cleaning.clean import clean_batch
from workflows_dagster.lib.cleaning.corpus import CorpusSettings, build_corpus
from workflows_dagster.lib.cleaning.settings import CleaningSettings
from workflows_dagster.partitions import BATCHES
from workflows_dagster.resources.sources import SourcesResource
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


class CorpusConfig(CorpusSettings, dg.Config):
    """Run configuration of review_corpus."""


@dg.asset(
    group_name="cleaning",
    kinds={"polars", "parquet"},
    code_version="1",
    check_specs=check_specs("review_corpus", REVIEW_CORPUS),
)
def review_corpus(
    context: dg.AssetExecutionContext,
    config: CorpusConfig,
    cleaned_reviews: list[Artifact],
    sources: SourcesResource,
    store: StoreResource,
) -> Published:
    """The reviews of all batches, without exact and near copies, labelled and split by group; and the copies, named."""
    intake = sources.intake()
    build = partial(build_corpus, cleaned_reviews, intake.sources, config, batch_order=intake.batch_order)
    given = intake.to_metadata(cleaned_reviews)
    yield from store.publish(context, build, audits=REVIEW_CORPUS, inputs=cleaned_reviews, given=given)
