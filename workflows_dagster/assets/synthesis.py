"""Synthetic augmentation: what is rare, what is made of it, and what of that may be trained on."""

from functools import partial

import dagster as dg

from workflows_dagster.automation import ON_CHANGED_DATA
from workflows_dagster.checks.synthesis import (
    AUGMENTED_REVIEWS,
    CLASS_BALANCE,
    SYNTHETIC_REQUEST,
    SYNTHETIC_REVIEWS,
    VALID_SYNTHETICS,
    VETTED_SYNTHETICS,
)
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.synthesis.augmentation import build_augmented_reviews
from workflows_dagster.lib.synthesis.balance import BalanceSettings, build_class_balance
from workflows_dagster.lib.synthesis.generation import SyntheticSettings, build_synthetic_reviews
from workflows_dagster.lib.synthesis.review import ReviewSettings, build_reviewed_reviews
from workflows_dagster.lib.synthesis.review_request import ReviewRequestSettings, build_review_request
from workflows_dagster.lib.synthesis.validation import ValidationSettings, build_validated_reviews
from workflows_dagster.publishing import OWNERS, Build, published_asset
from workflows_dagster.resources.annotation import AnnotationResource
from workflows_dagster.resources.generator import GeneratorResource

synthetic_verdicts = dg.AssetSpec(
    "synthetic_verdicts",
    deps=["synthetic_request"],
    description="The work of people: which synthetic rows they keep, fix or reject. The sensor "
    "synthetic_verdicts_sensor observes progress and materializes it when the round is complete.",
    group_name="synthesis",
    owners=OWNERS,
    kinds={"csv"},
)


class BalanceConfig(BalanceSettings, dg.Config):
    """Run configuration of class_balance."""


class SyntheticConfig(SyntheticSettings, dg.Config):
    """Run configuration of synthetic_reviews."""


class ValidationConfig(ValidationSettings, dg.Config):
    """Run configuration of valid_synthetics."""


class ReviewRequestConfig(ReviewRequestSettings, dg.Config):
    """Run configuration of synthetic_request."""


class ReviewConfig(ReviewSettings, dg.Config):
    """Run configuration of vetted_synthetics."""


@published_asset(
    group_name="synthesis",
    kinds={"polars", "json"},
    code_version="2",
    automation_condition=ON_CHANGED_DATA,
    audits=CLASS_BALANCE,
)
def class_balance(config: BalanceConfig, training_reviews: Artifact) -> Build:
    """How many training rows each class of each source has, and how many to make."""
    return partial(build_class_balance, training_reviews, config)


@published_asset(
    group_name="synthesis",
    kinds={"python", "parquet"},
    code_version="2",
    automation_condition=ON_CHANGED_DATA,
    table="synthetic.parquet",
    audits=SYNTHETIC_REVIEWS,
)
def synthetic_reviews(
    config: SyntheticConfig, class_balance: Artifact, training_reviews: Artifact, text_generator: GeneratorResource
) -> Build:
    """Generated rows of rare classes, each with generator, prompt, seed and the training rows it rests on."""
    return partial(build_synthetic_reviews, class_balance, training_reviews, text_generator.generator(), config)


@published_asset(
    group_name="synthesis",
    kinds={"scikitlearn", "parquet"},
    code_version="3",
    automation_condition=ON_CHANGED_DATA,
    table="reviews.parquet",
    audits=VALID_SYNTHETICS,
)
def valid_synthetics(config: ValidationConfig, synthetic_reviews: Artifact, training_reviews: Artifact) -> Build:
    """The synthetic rows that may be trained on, the refused ones with reasons, similarity, diversity and leakage."""
    return partial(build_validated_reviews, synthetic_reviews, training_reviews, config)


@published_asset(
    group_name="synthesis",
    kinds={"polars", "json"},
    code_version="2",
    automation_condition=ON_CHANGED_DATA,
    table="sample.parquet",
    audits=SYNTHETIC_REQUEST,
)
def synthetic_request(
    config: ReviewRequestConfig, valid_synthetics: Artifact, annotation_desk: AnnotationResource
) -> Build:
    """A sample of the synthetic rows that was put before people, who keep, fix or reject each."""
    return partial(build_review_request, valid_synthetics, annotation_desk.desk(), config)


@published_asset(
    group_name="synthesis",
    kinds={"polars", "parquet"},
    code_version="2",
    deps=["synthetic_verdicts"],
    automation_condition=ON_CHANGED_DATA,
    table="reviews.parquet",
    audits=VETTED_SYNTHETICS,
)
def vetted_synthetics(
    config: ReviewConfig,
    training_reviews: Artifact,
    valid_synthetics: Artifact,
    synthetic_request: Artifact,
    annotation_desk: AnnotationResource,
) -> Build:
    """The synthetic rows less what people rejected, with their corrections; none where they find too few sound."""
    return partial(
        build_reviewed_reviews,
        valid_synthetics,
        synthetic_request,
        training_reviews,
        annotation_desk.desk(),
        config,
    )


@published_asset(
    group_name="synthesis",
    kinds={"parquet"},
    code_version="3",
    automation_condition=ON_CHANGED_DATA,
    table="reviews.parquet",
    audits=AUGMENTED_REVIEWS,
)
def augmented_reviews(training_reviews: Artifact, vetted_synthetics: Artifact) -> Build:
    """The rows that are trained and measured on: all real ones unchanged, and the accepted synthetic ones in train."""
    return partial(build_augmented_reviews, training_reviews, vetted_synthetics)
