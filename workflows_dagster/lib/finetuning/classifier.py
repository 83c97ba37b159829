"""Sequence classifiers: loading one to adapt, putting the adapter on it, and asking it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workflows_dagster.lib.accelerator import Accelerator, device_of
from workflows_dagster.lib.errors import ConfigurationError, ModelReferenceError
from workflows_dagster.lib.finetuning.models import ModelSource
from workflows_dagster.lib.finetuning.settings import FineTuningSettings
from workflows_dagster.lib.progress import Progress
from workflows_dagster.lib.schema import LABELS

Probabilities = npt.NDArray[np.float32]


def load_classifier(source: ModelSource, accelerator: Accelerator, max_length: int) -> Any:
    """The full-precision model with a head for LABELS; the head is new where the model has none that fits.

    Raises:
        ModelReferenceError: transformers knows no sequence classifier of its architecture.
        ConfigurationError: `max_length` is more than the model has positions for.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    try:
        model = AutoModelForSequenceClassification.from_pretrained(
            source.folder,
            num_labels=len(LABELS),
            id2label=dict(enumerate(LABELS)),
            label2id={label: index for index, label in enumerate(LABELS)},
            ignore_mismatched_sizes=True,
            # sdpa is what transformers takes where an architecture has it; named, it refuses MPNet and DeBERTa.
            attn_implementation=None if accelerator.attention == "sdpa" else accelerator.attention,
            dtype=torch.float32,
            use_safetensors=True,
        )
    except ValueError as error:
        raise ModelReferenceError(
            "the model cannot be loaded as a sequence classifier",
            given=f"{source.reference} ({error})",
            expected="an architecture that AutoModelForSequenceClassification knows",
            remedy="choose an encoder such as BERT, RoBERTa or ModernBERT",
        ) from error
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is not None and max_length > positions:
        raise ConfigurationError(
            "max_length is more than the model can read",
            given=max_length,
            expected=f"at most {positions} tokens for {source.reference}",
            remedy="lower max_length",
        )
    return model


def with_adapter(model: Any, settings: FineTuningSettings) -> Any:
    """The model with LoRA on the linear layers of its encoder and its head to be trained in full."""
    from peft import LoraConfig, TaskType, get_peft_model

    return get_peft_model(
        model,
        LoraConfig(
            task_type=TaskType.SEQ_CLS,
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=adapted_modules(model, settings.adapted_layers),
            modules_to_save=head_modules(model),
        ),
    )


def adapted_modules(model: Any, layers: int | None) -> list[str]:
    """Names of the linear modules inside the encoder's layers: of the last `layers` of them, or of all."""
    numbered = encoder_linears(model)
    first = 0 if layers is None else max(numbered.values()) + 1 - layers
    return [name for name, layer in numbered.items() if layer >= first]


def encoder_linears(model: Any) -> dict[str, int]:
    """The linear modules inside the numbered layers of the encoder: name to number of the layer.

    Raises:
        ModelReferenceError: There are none.
    """
    from torch import nn

    inside = re.compile(rf"^{re.escape(model.base_model_prefix)}\..*?\.(\d+)\.")
    linear = {name: inside.match(name) for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    numbered = {name: int(match[1]) for name, match in linear.items() if match}
    if not numbered:
        raise ModelReferenceError(
            "the model has no numbered layers with linear modules",
            given=type(model).__name__,
            expected="a transformer whose layers are linear modules",
            remedy="choose another model",
        )
    return numbered


def head_modules(model: Any) -> list[str]:
    """Names of the modules that turn the encoder's output into scores: beside the encoder, and its pooler."""
    from torch import nn

    def has_weights(module: nn.Module) -> bool:
        return next(module.parameters(), None) is not None

    beside = [name for name, child in model.named_children() if name != model.base_model_prefix and has_weights(child)]
    pooler = getattr(model.base_model, "pooler", None)
    return [*beside, "pooler"] if pooler is not None else beside


def head_parameters(model: Any) -> tuple[list[Any], list[Any]]:
    """The trainable parameters of an adapted model: those of the adapter, and those of the head."""
    trainable = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    adapter = [value for name, value in trainable if "lora_" in name]
    return adapter, [value for name, value in trainable if "lora_" not in name]


def logits(model: Any, tokenizer: Any, encoded: Sequence[Sequence[int]], batch_size: int, stage: str) -> Probabilities:
    """Scores of each text in full precision, shape (texts, classes), in the order of the texts."""
    import torch

    shortest_first = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
    scores = np.zeros((len(encoded), len(LABELS)), dtype=np.float32)
    progress = Progress(stage, len(encoded), "rows")
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(encoded), batch_size):
            chosen = shortest_first[start : start + batch_size]
            batch = tokenizer.pad({"input_ids": [encoded[index] for index in chosen]}, return_tensors="pt")
            outputs = model(**batch.to(model.device))
            scores[chosen] = outputs.logits.float().cpu().numpy()
            progress.advance(len(chosen))
    return scores


def load_adapted(base: Any, folder: Path, accelerator: Accelerator) -> Any:
    """The base model with a stored adapter on it."""
    from peft import PeftModel

    return PeftModel.from_pretrained(base, folder).to(device_of(accelerator))
