"""Pilot annotation: which reviews people are asked about, what they answered, and what that changes."""

from functools import partial

import dagster as dg

from workflows_dagster.automation import ON_ANSWERS, ON_CHANGED_DATA
from workflows_dagster.checks.annotation import PILOT_LABELS, PILOT_REQUEST, PILOT_SAMPLE, TRAINING_REVIEWS
from workflows_dagster.lib.annotation.labels import LabelsSettings, build_pilot_labels
from workflows_dagster.lib.annotation.request import RequestSettings, build_request
from workflows_dagster.lib.annotation.rounds import open_round
from workflows_dagster.lib.annotation.sample import PilotSettings, build_pilot_sample
from workflows_dagster.lib.annotation.training import build_training_reviews
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.publishing import OWNERS, Build, Publication, published_asset
from workflows_dagster.resources.annotation import AnnotationResource
from workflows_dagster.resources.store import COMMIT_KEY, StoreResource, data_version_tag

earlier_answers = dg.AssetSpec(
    "earlier_answers",
    description="What people answered in the rounds before: versions of pilot_labels. A round is drawn with them, and "
    "an edge from pilot_labels would close a circle. Each pilot_sample observes the versions that it read.",
    group_name="annotation",
    owners=OWNERS,
    kinds={"parquet"},
)
earlier_release = dg.AssetSpec(
    "earlier_release",
    description="The release that was deployed when a round was begun: its model says which labels look wrong. Each "
    "pilot_sample observes the version of model_release that it read.",
    group_name="annotation",
    owners=OWNERS,
    kinds={"json"},
)
pilot_responses = dg.AssetSpec(
    "pilot_responses",
    deps=["pilot_request"],
    description="The work of people: their answers to the pilot. The sensor pilot_responses_sensor observes progress "
    "and materializes it when the round is complete.",
    group_name="annotation",
    owners=OWNERS,
    kinds={"csv"},
)


class PilotConfig(PilotSettings, dg.Config):
    """Run configuration of pilot_sample."""


class RequestConfig(RequestSettings, dg.Config):
    """Run configuration of pilot_request."""


class LabelsConfig(LabelsSettings, dg.Config):
    """Run configuration of pilot_labels."""


@published_asset(
    group_name="annotation",
    kinds={"polars", "parquet"},
    code_version="3",
    deps=["earlier_answers", "earlier_release"],
    automation_condition=ON_CHANGED_DATA,
    table="pilot.parquet",
    audits=PILOT_SAMPLE,
)
def pilot_sample(
    context: dg.AssetExecutionContext, config: PilotConfig, review_corpus: Artifact, store: StoreResource
) -> Publication:
    """The reviews that people are asked about: from test at random, from train in part those that teach most."""
    opening = open_round(store.store(), config.round, config.scorer)
    for asset, commit in (("earlier_answers", opening.labels_commit), ("earlier_release", opening.release_commit)):
        if commit:
            context.log_event(dg.AssetObservation(asset, metadata={COMMIT_KEY: commit}, tags=data_version_tag(commit)))
    build = partial(build_pilot_sample, review_corpus, config, opening=opening)
    return Publication(build, given=opening.provenance)


@published_asset(
    group_name="annotation",
    kinds={"json"},
    code_version="2",
    automation_condition=ON_CHANGED_DATA,
    audits=PILOT_REQUEST,
)
def pilot_request(config: RequestConfig, pilot_sample: Artifact, annotation_desk: AnnotationResource) -> Build:
    """The record of the round that was put before annotators; asking again wipes nothing."""
    return partial(build_request, pilot_sample, annotation_desk.desk(), config)


@published_asset(
    group_name="annotation",
    kinds={"polars", "parquet"},
    code_version="5",
    deps=["pilot_responses"],
    automation_condition=ON_ANSWERS,
    table="labels.parquet",
    audits=PILOT_LABELS,
)
def pilot_labels(
    config: LabelsConfig,
    review_corpus: Artifact,
    pilot_sample: Artifact,
    pilot_request: Artifact,
    annotation_desk: AnnotationResource,
) -> Build:
    """What people agree on so far: labels, agreement with interval, annotators, and what to ask next."""
    desk = annotation_desk.desk()
    return partial(build_pilot_labels, pilot_request, pilot_sample, review_corpus, desk, config)


@published_asset(
    group_name="annotation",
    kinds={"polars", "parquet"},
    code_version="4",
    automation_condition=ON_CHANGED_DATA,
    table="reviews.parquet",
    audits=TRAINING_REVIEWS,
)
def training_reviews(review_corpus: Artifact, pilot_labels: Artifact) -> Build:
    """The corpus with human labels laid over weak ones, each row naming where its label is from."""
    return partial(build_training_reviews, review_corpus, pilot_labels)
