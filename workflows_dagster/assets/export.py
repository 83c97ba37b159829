"""Exported artefacts of the merged model, one for each compression technique."""

from functools import partial

import dagster as dg

from workflows_dagster.automation import ON_NEW_MODEL
from workflows_dagster.checks.export import EXPORTED_MODELS
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.export.exported_model import export_model
from workflows_dagster.lib.export.settings import export_settings
from workflows_dagster.partitions import TECHNIQUES
from workflows_dagster.publishing import Build, published_asset


class ExportConfig(export_settings(dg.Config)):
    """Run configuration of exported_models."""


@published_asset(
    group_name="export",
    kinds={"onnx", "pytorch"},
    code_version="3",
    partitions_def=TECHNIQUES,
    # An export beside a benchmark would be measured with it.
    pool="benchmark",
    automation_condition=ON_NEW_MODEL,
    audits=EXPORTED_MODELS,
)
def exported_models(
    context: dg.AssetExecutionContext, config: ExportConfig, merged_model: Artifact, augmented_reviews: Artifact
) -> Build:
    """The merged model compressed by one technique, with its tokenizer, digests and how it answered when reloaded."""
    return partial(export_model, merged_model, augmented_reviews, context.partition_key, config)
