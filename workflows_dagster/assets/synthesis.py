"""Synthetic augmentation: what is rare, what is made of it, and what of that may be trained on."""

from functools import partial

import dagster as dg

from workflows_dagster.checks.synthesis import (
    AUGMENTED_OF_REVIEWED,
    AUGMENTED_OF_TRAINING,
    CLASS_BALANCE,
    REVIEW_REQUEST_OF_VALIDATED,
    REVIEWED,
    REVIEWED_OF_TRAINING,
    REVIEWED_OF_VALIDATED,
    SYNTHETIC_REVIEWS,
    SYNTHETIC_REVIEWS_OF_TRAINING,
    VALIDATED_OF_SYNTHETIC,
    VALIDATED_OF_TRAINING,
)
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.synthesis.augmenting import build_augmented_reviews
from workflows_dagster.lib.synthesis.balance import BalanceSettings, build_class_balance
from workflows_dagster.lib.synthesis.making import SyntheticSettings, build_synthetic_reviews
from workflows_dagster.lib.synthesis.review_gate import ReviewSettings
from workflows_dagster.lib.synthesis.review_request import ReviewRequestSettings, build_review_request
from workflows_dagster.lib.synthesis.reviewing import build_reviewed_reviews
from workflows_dagster.lib.synthesis.validation import ValidationSettings, build_validated_reviews
from workflows_dagster.resources.annotation import AnnotationResource
from workflows_dagster.resources.generator import GeneratorResource
from workflows_dagster.resources.store import Published, StoreResource, check_specs

synthetic_review_responses = dg.AssetSpec(
    "synthetic_review_responses",
    deps=["synthetic_review_request"],
    description="The work of people: which synthetic rows they keep, fix or reject. The sensor "
    "synthetic_review_responses_sensor observes progress and materializes it when the round is complete.",
    group_name="synthesis",
    kinds={"csv"},
)


class BalanceConfig(BalanceSettings, dg.Config):
    """Run configuration of class_balance."""


class SyntheticConfig(SyntheticSettings, dg.Config):
    """Run configuration of synthetic_reviews."""


class ValidationConfig(ValidationSettings, dg.Config):
    """Run configuration of validated_synthetic_reviews."""


class ReviewRequestConfig(ReviewRequestSettings, dg.Config):
    """Run configuration of synthetic_review_request."""


class ReviewConfig(ReviewSettings, dg.Config):
    """Run configuration of reviewed_synthetic_reviews."""


@dg.asset(
    group_name="synthesis",
    kinds={"polars", "json"},
    code_version="1",
    check_specs=check_specs("class_balance", CLASS_BALANCE),
)
def class_balance(
    context: dg.AssetExecutionContext, config: BalanceConfig, training_reviews: Artifact, store: StoreResource
) -> Published:
    """How many training rows each class of each source has, and how many to make."""
    build = partial(build_class_balance, training_reviews, config)
    yield from store.publish(context, build, audits=CLASS_BALANCE, inputs=[training_reviews])


@dg.asset(
    group_name="synthesis",
    kinds={"python", "parquet"},
    code_version="1",
    check_specs=check_specs("synthetic_reviews", [*SYNTHETIC_REVIEWS, *SYNTHETIC_REVIEWS_OF_TRAINING]),
)
def synthetic_reviews(
    context: dg.AssetExecutionContext,
    config: SyntheticConfig,
    class_balance: Artifact,
    training_reviews: Artifact,
    store: StoreResource,
    text_generator: GeneratorResource,
) -> Published:
    """Generated rows of rare classes, each with generator, prompt, seed and the training rows it rests on."""
    audits = [*SYNTHETIC_REVIEWS, *(audit.against(training_reviews.folder) for audit in SYNTHETIC_REVIEWS_OF_TRAINING)]
    build = partial(build_synthetic_reviews, class_balance, training_reviews, text_generator.generator(), config)
    yield from store.publish(context, build, audits=audits, inputs=[class_balance, training_reviews])


@dg.asset(
    group_name="synthesis",
    kinds={"scikitlearn", "parquet"},
    code_version="2",
    check_specs=check_specs("validated_synthetic_reviews", [*VALIDATED_OF_SYNTHETIC, *VALIDATED_OF_TRAINING]),
)
def validated_synthetic_reviews(
    context: dg.AssetExecutionContext,
    config: ValidationConfig,
    synthetic_reviews: Artifact,
    training_reviews: Artifact,
    store: StoreResource,
) -> Published:
    """The synthetic rows that may be trained on, the refused ones with reasons, similarity, diversity and leakage."""
    audits = [
        *(audit.against(synthetic_reviews.folder) for audit in VALIDATED_OF_SYNTHETIC),
        *(audit.against(training_reviews.folder) for audit in VALIDATED_OF_TRAINING),
    ]
    build = partial(build_validated_reviews, synthetic_reviews, training_reviews, config)
    yield from store.publish(context, build, audits=audits, inputs=[synthetic_reviews, training_reviews])


@dg.asset(
    group_name="synthesis",
    kinds={"polars", "json"},
    code_version="1",
    check_specs=check_specs("synthetic_review_request", REVIEW_REQUEST_OF_VALIDATED),
)
def synthetic_review_request(
    context: dg.AssetExecutionContext,
    config: ReviewRequestConfig,
    validated_synthetic_reviews: Artifact,
    store: StoreResource,
    annotation_desk: AnnotationResource,
) -> Published:
    """A sample of the synthetic rows that was put before people, who keep, fix or reject each."""
    audits = [audit.against(validated_synthetic_reviews.folder) for audit in REVIEW_REQUEST_OF_VALIDATED]
    build = partial(build_review_request, validated_synthetic_reviews, annotation_desk.desk(), config)
    yield from store.publish(context, build, audits=audits, inputs=[validated_synthetic_reviews])


@dg.asset(
    group_name="synthesis",
    kinds={"polars", "parquet"},
    code_version="1",
    deps=["synthetic_review_responses"],
    check_specs=check_specs("reviewed_synthetic_reviews", [*REVIEWED, *REVIEWED_OF_VALIDATED, *REVIEWED_OF_TRAINING]),
)
def reviewed_synthetic_reviews(
    context: dg.AssetExecutionContext,
    config: ReviewConfig,
    training_reviews: Artifact,
    validated_synthetic_reviews: Artifact,
    synthetic_review_request: Artifact,
    store: StoreResource,
    annotation_desk: AnnotationResource,
) -> Published:
    """The synthetic rows less what people rejected, with their corrections; none where they find too few sound."""
    audits = [
        *REVIEWED,
        *(audit.against(validated_synthetic_reviews.folder) for audit in REVIEWED_OF_VALIDATED),
        *(audit.against(training_reviews.folder) for audit in REVIEWED_OF_TRAINING),
    ]
    build = partial(
        build_reviewed_reviews,
        validated_synthetic_reviews,
        synthetic_review_request,
        training_reviews,
        annotation_desk.desk(),
        config,
    )
    inputs = [training_reviews, validated_synthetic_reviews, synthetic_review_request]
    yield from store.publish(context, build, audits=audits, inputs=inputs)


@dg.asset(
    group_name="synthesis",
    kinds={"parquet"},
    code_version="2",
    check_specs=check_specs("augmented_reviews", [*AUGMENTED_OF_TRAINING, *AUGMENTED_OF_REVIEWED]),
)
def augmented_reviews(
    context: dg.AssetExecutionContext,
    training_reviews: Artifact,
    reviewed_synthetic_reviews: Artifact,
    store: StoreResource,
) -> Published:
    """The rows that are trained and measured on: all real ones unchanged, and the accepted synthetic ones in train."""
    audits = [
        *(audit.against(training_reviews.folder) for audit in AUGMENTED_OF_TRAINING),
        *(audit.against(reviewed_synthetic_reviews.folder) for audit in AUGMENTED_OF_REVIEWED),
    ]
    build = partial(build_augmented_reviews, training_reviews, reviewed_synthetic_reviews)
    yield from store.publish(context, build, audits=audits, inputs=[training_reviews, reviewed_synthetic_reviews])
