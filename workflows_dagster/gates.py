"""Which blocking audits each asset has to pass, over all stages: what a release asks of its chain."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from workflows_dagster.checks import annotation, benchmark, cleaning, export, finetuning, ingest, synthesis
from workflows_dagster.lib.audit import Audit, Comparison

_AUDITS: Final[Mapping[str, Sequence[Audit | Comparison]]] = {
    "raw_reviews": ingest.RAW_REVIEWS,
    "cleaned_reviews": [*cleaning.CLEANED_REVIEWS, *cleaning.CLEANED_REVIEWS_OF_RAW],
    "review_corpus": cleaning.REVIEW_CORPUS,
    "pilot_sample": [*annotation.PILOT_SAMPLE, *annotation.PILOT_SAMPLE_OF_CORPUS],
    "pilot_annotation_request": annotation.REQUEST_OF_PILOT,
    "pilot_labels": [*annotation.PILOT_LABELS, *annotation.PILOT_LABELS_OF_PILOT],
    "training_reviews": [
        *annotation.TRAINING_REVIEWS,
        *annotation.TRAINING_REVIEWS_OF_CORPUS,
        *annotation.TRAINING_REVIEWS_OF_LABELS,
    ],
    "class_balance": synthesis.CLASS_BALANCE,
    "synthetic_reviews": [*synthesis.SYNTHETIC_REVIEWS, *synthesis.SYNTHETIC_REVIEWS_OF_TRAINING],
    "validated_synthetic_reviews": [*synthesis.VALIDATED_OF_SYNTHETIC, *synthesis.VALIDATED_OF_TRAINING],
    "synthetic_review_request": synthesis.REVIEW_REQUEST_OF_VALIDATED,
    "reviewed_synthetic_reviews": [
        *synthesis.REVIEWED,
        *synthesis.REVIEWED_OF_VALIDATED,
        *synthesis.REVIEWED_OF_TRAINING,
    ],
    "augmented_reviews": [*synthesis.AUGMENTED_OF_TRAINING, *synthesis.AUGMENTED_OF_REVIEWED],
    "lora_adapter": finetuning.LORA_ADAPTER,
    "merged_model": finetuning.MERGED_MODEL,
    "exported_models": export.EXPORTED_MODELS,
    "technique_benchmarks": benchmark.TECHNIQUE_BENCHMARKS,
    "benchmark_report": benchmark.BENCHMARK_REPORT,
    "model_release": benchmark.MODEL_RELEASE,
}

GATES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {asset: frozenset(audit.name for audit in audits if audit.blocking) for asset, audits in _AUDITS.items()}
)
"""Names of the blocking audits of each asset."""
