"""Fine-tuning: the adapter with its baseline, and the model that it merges into."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import dagster as dg

from workflows_dagster.checks.finetuning import LORA_ADAPTER, MERGED_MODEL
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.finetuning.adapter import CODE_VERSION, build_adapter, discard_checkpoints
from workflows_dagster.lib.finetuning.merged_model import build_merged
from workflows_dagster.lib.finetuning.settings import FineTuningSettings
from workflows_dagster.publishing import Build, published_asset
from workflows_dagster.resources.accelerator import AcceleratorResource
from workflows_dagster.resources.checkpoints import CheckpointsResource

ON_GPU: Final = {"compute/gpu": "true"}


class LoraConfig(FineTuningSettings, dg.Config):
    """Run configuration of lora_adapter."""


@published_asset(
    group_name="finetuning",
    kinds={"huggingface", "pytorch"},
    code_version=CODE_VERSION,
    pool="gpu",
    tags=ON_GPU,
    audits=LORA_ADAPTER,
)
def lora_adapter(
    context: dg.AssetExecutionContext,
    config: LoraConfig,
    augmented_reviews: Artifact,
    accelerator: AcceleratorResource,
    checkpoints: CheckpointsResource,
) -> Iterator[Build]:
    """A LoRA adapter trained on the training rows, its scores on the test rows, and those of a linear baseline."""
    with accelerator.session(context) as session:
        yield partial(build_adapter, augmented_reviews, config, session, checkpoints.folder)
        discard_checkpoints(augmented_reviews, config, session, checkpoints.folder)


@published_asset(
    group_name="finetuning",
    kinds={"huggingface", "pytorch"},
    code_version="3",
    pool="gpu",
    tags=ON_GPU,
    audits=MERGED_MODEL,
)
def merged_model(
    context: dg.AssetExecutionContext, lora_adapter: Artifact, accelerator: AcceleratorResource
) -> Iterator[Build]:
    """The adapter merged into full-precision weights: a plain model folder that needs no peft."""
    with accelerator.session(context) as session:
        yield partial(build_merged, lora_adapter, session)
