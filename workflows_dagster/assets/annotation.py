"""Pilot annotation: which reviews people are asked about, what they answered, and what that changes."""

from functools import partial

import dagster as dg

from workflows_dagster.checks.annotation import (
    PILOT_LABELS,
    PILOT_LABELS_OF_PILOT,
    PILOT_SAMPLE,
    PILOT_SAMPLE_OF_CORPUS,
    REQUEST_OF_PILOT,
    TRAINING_REVIEWS,
    TRAINING_REVIEWS_OF_CORPUS,
    TRAINING_REVIEWS_OF_LABELS,
)
from workflows_dagster.lib.annotation.labels import LabelsSettings, build_pilot_labels
from workflows_dagster.lib.annotation.request import RequestSettings, build_request
from workflows_dagster.lib.annotation.rounds import open_round
from workflows_dagster.lib.annotation.sample import PilotSettings, build_pilot_sample
from workflows_dagster.lib.annotation.training import build_training_reviews
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.resources.annotation import AnnotationResource
from workflows_dagster.resources.store import Published, StoreResource, check_specs

pilot_responses = dg.AssetSpec(
    "pilot_responses",
    deps=["pilot_annotation_request"],
    description="The work of people: their answers to the pilot. The sensor pilot_responses_sensor observes progress "
    "and materializes it when the round is complete.",
    group_name="annotation",
    kinds={"csv"},
)


class PilotConfig(PilotSettings, dg.Config):
    """Run configuration of pilot_sample."""


class RequestConfig(RequestSettings, dg.Config):
    """Run configuration of pilot_annotation_request."""


class LabelsConfig(LabelsSettings, dg.Config):
    """Run configuration of pilot_labels."""


@dg.asset(
    group_name="annotation",
    kinds={"polars", "parquet"},
    code_version="2",
    check_specs=check_specs("pilot_sample", [*PILOT_SAMPLE, *PILOT_SAMPLE_OF_CORPUS]),
)
def pilot_sample(
    context: dg.AssetExecutionContext, config: PilotConfig, review_corpus: Artifact, store: StoreResource
) -> Published:
    """The reviews that people are asked about: from test at random, from train in part those that teach most."""
    audits = [*PILOT_SAMPLE, *(audit.against(review_corpus.folder) for audit in PILOT_SAMPLE_OF_CORPUS)]
    opening = open_round(store.store(), config.round, config.scorer)
    build = partial(build_pilot_sample, review_corpus, config, opening=opening)
    yield from store.publish(context, build, audits=audits, inputs=[review_corpus], given=opening.provenance)


@dg.asset(
    group_name="annotation",
    kinds={"json"},
    code_version="1",
    check_specs=check_specs("pilot_annotation_request", REQUEST_OF_PILOT),
)
def pilot_annotation_request(
    context: dg.AssetExecutionContext,
    config: RequestConfig,
    pilot_sample: Artifact,
    store: StoreResource,
    annotation_desk: AnnotationResource,
) -> Published:
    """The record of the round that was put before annotators; asking again wipes nothing."""
    audits = [audit.against(pilot_sample.folder) for audit in REQUEST_OF_PILOT]
    build = partial(build_request, pilot_sample, annotation_desk.desk(), config)
    yield from store.publish(context, build, audits=audits, inputs=[pilot_sample])


@dg.asset(
    group_name="annotation",
    kinds={"polars", "parquet"},
    code_version="4",
    deps=["pilot_responses"],
    check_specs=check_specs("pilot_labels", [*PILOT_LABELS, *PILOT_LABELS_OF_PILOT]),
)
def pilot_labels(
    context: dg.AssetExecutionContext,
    config: LabelsConfig,
    review_corpus: Artifact,
    pilot_sample: Artifact,
    pilot_annotation_request: Artifact,
    store: StoreResource,
    annotation_desk: AnnotationResource,
) -> Published:
    """What people agree on so far: labels, agreement with interval, annotators, and what to ask next."""
    audits = [*PILOT_LABELS, *(audit.against(pilot_sample.folder) for audit in PILOT_LABELS_OF_PILOT)]
    build = partial(
        build_pilot_labels, pilot_annotation_request, pilot_sample, review_corpus, annotation_desk.desk(), config
    )
    inputs = [review_corpus, pilot_sample, pilot_annotation_request]
    yield from store.publish(context, build, audits=audits, inputs=inputs)


@dg.asset(
    group_name="annotation",
    kinds={"polars", "parquet"},
    code_version="3",
    check_specs=check_specs(
        "training_reviews", [*TRAINING_REVIEWS, *TRAINING_REVIEWS_OF_CORPUS, *TRAINING_REVIEWS_OF_LABELS]
    ),
)
def training_reviews(
    context: dg.AssetExecutionContext, review_corpus: Artifact, pilot_labels: Artifact, store: StoreResource
) -> Published:
    """The corpus with human labels laid over weak ones, each row naming where its label is from."""
    audits = [
        *TRAINING_REVIEWS,
        *(audit.against(review_corpus.folder) for audit in TRAINING_REVIEWS_OF_CORPUS),
        *(audit.against(pilot_labels.folder) for audit in TRAINING_REVIEWS_OF_LABELS),
    ]
    build = partial(build_training_reviews, review_corpus, pilot_labels)
    yield from store.publish(context, build, audits=audits, inputs=[review_corpus, pilot_labels])
