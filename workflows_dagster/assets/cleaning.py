"""Cleaned reviews of one batch, and the corpus of all batches."""

from functools import partial

import dagster as dg

from workflows_dagster.checks.cleaning import CLEANED_REVIEWS, REVIEW_CORPUS
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.cleaning.clean import clean_batch
from workflows_dagster.lib.cleaning.corpus import CorpusSettings, build_corpus
from workflows_dagster.lib.cleaning.settings import CleaningSettings
from workflows_dagster.partitions import BATCHES
from workflows_dagster.publishing import Build, Publication, published_asset
from workflows_dagster.resources.sources import SourcesResource


class CleaningConfig(CleaningSettings, dg.Config):
    """Run configuration of cleaned_reviews."""


class CorpusConfig(CorpusSettings, dg.Config):
    """Run configuration of review_corpus."""


@published_asset(
    group_name="cleaning",
    kinds={"polars", "parquet"},
    code_version="2",
    partitions_def=BATCHES,
    table="reviews.parquet",
    audits=CLEANED_REVIEWS,
)
def cleaned_reviews(config: CleaningConfig, raw_reviews: Artifact) -> Build:
    """The reviews of one batch, repaired, with language and masked personal data; and the refused, with reasons."""
    return partial(clean_batch, raw_reviews, config)


@published_asset(
    group_name="cleaning", kinds={"polars", "parquet"}, code_version="2", table="reviews.parquet", audits=REVIEW_CORPUS
)
def review_corpus(config: CorpusConfig, cleaned_reviews: list[Artifact], sources: SourcesResource) -> Publication:
    """The reviews of all batches, without exact and near copies, labelled and split by group; and the copies, named."""
    intake = sources.intake()
    build = partial(build_corpus, cleaned_reviews, intake.sources, config, batch_order=intake.batch_order)
    return Publication(build, given=intake.to_metadata(cleaned_reviews))
