"""Fine-tuning: the adapter with its baseline, and the model that it merges into."""

from functools import partial

import dagster as dg

from workflows_dagster.checks.finetuning import LORA_ADAPTER, MERGED_MODEL
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.finetuning.adapter import CODE_VERSION, build_adapter, discard_checkpoints
from workflows_dagster.lib.finetuning.merging import build_merged
from workflows_dagster.lib.finetuning.settings import FineTuningSettings
from workflows_dagster.resources.accelerator import AcceleratorResource
from workflows_dagster.resources.checkpoints import CheckpointsResource
from workflows_dagster.resources.store import Published, StoreResource, check_specs


class LoraConfig(FineTuningSettings, dg.Config):
    """Run configuration of lora_adapter."""


@dg.asset(
    group_name="finetuning",
    kinds={"huggingface", "pytorch"},
    code_version=CODE_VERSION,
    pool="gpu",
    tags={"compute/gpu": "true"},
    op_tags={"compute/gpu": "true"},
    check_specs=check_specs("lora_adapter", LORA_ADAPTER),
)
def lora_adapter(
    context: dg.AssetExecutionContext,
    config: LoraConfig,
    augmented_reviews: Artifact,
    store: StoreResource,
    accelerator: AcceleratorResource,
    checkpoints: CheckpointsResource,
) -> Published:
    """A LoRA adapter trained on the training rows, its scores on the test rows, and those of a linear baseline."""
    with accelerator.session(context) as session:
        build = partial(build_adapter, augmented_reviews, config, session, checkpoints.folder)
        yield from store.publish(context, build, audits=LORA_ADAPTER, inputs=[augmented_reviews])
        discard_checkpoints(augmented_reviews, config, session, checkpoints.folder)


@dg.asset(
    group_name="finetuning",
    kinds={"huggingface", "pytorch"},
    code_version="1",
    pool="gpu",
    tags={"compute/gpu": "true"},
    op_tags={"compute/gpu": "true"},
    check_specs=check_specs("merged_model", MERGED_MODEL),
)
def merged_model(
    context: dg.AssetExecutionContext, lora_adapter: Artifact, store: StoreResource, accelerator: AcceleratorResource
) -> Published:
    """The adapter merged into full-precision weights: a plain model folder that needs no peft."""
    with accelerator.session(context) as session:
        build = partial(build_merged, lora_adapter, session)
        yield from store.publish(context, build, audits=MERGED_MODEL, inputs=[lora_adapter])
