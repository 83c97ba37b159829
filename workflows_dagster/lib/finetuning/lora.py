"""A LoRA adapter: where it goes in a model, what is trained, and how it is saved and loaded."""

import json
from pathlib import Path
from typing import Any, Final

from workflows_dagster.lib.accelerator import Accelerator, device_of
from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.finetuning.settings import FineTuningSettings
from workflows_dagster.lib.model.pretrained import ModelSource
from workflows_dagster.lib.model.text import load_tokenizer, save_tokenizer
from workflows_dagster.lib.model.torch_network import encoder_linears, load_classifier
from workflows_dagster.lib.model.vocabulary import select_embedding
from workflows_dagster.lib.schema import LABELS

ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"


def load_base(source: ModelSource, max_length: int, tokenizer: Any) -> Any:
    """The full-precision base model with a head for LABELS; the head is new where the model has none that fits.

    Args:
        source: The base model.
        max_length: Longest input in tokens.
        tokenizer: Its transformers tokenizer, or one with fewer of its tokens: the model gets an embedding of these.

    Raises:
        ModelReferenceError: transformers knows no sequence classifier of its architecture.
        ConfigurationError: `max_length` is more than the model has positions for.
    """
    model = load_classifier(source.folder, LABELS)
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is not None and max_length > positions:
        raise ConfigurationError(
            "max_length is more than the model can read",
            given=max_length,
            expected=f"at most {positions} tokens for {source.reference}",
            remedy="lower max_length",
        )
    if len(tokenizer) < model.config.vocab_size and len(whole := load_tokenizer(source.folder)) > len(tokenizer):
        select_embedding(model, whole, tokenizer)
    return model


def with_adapter(model: Any, settings: FineTuningSettings) -> Any:
    """The model with LoRA on the linear layers of its encoder and its head to be trained in full."""
    from peft import LoraConfig, TaskType, get_peft_model

    adapted = get_peft_model(
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
    # Where the vocabulary is not the base model's, peft would write the whole embedding into every checkpoint.
    adapted.peft_config["default"].base_model_name_or_path = ""
    return adapted


def adapted_modules(model: Any, layers: int | None) -> list[str]:
    """Names of the linear modules inside the encoder's layers: of the last `layers` of them, or of all."""
    numbered = encoder_linears(model)
    first = 0 if layers is None else max(numbered.values()) + 1 - layers
    return [name for name, layer in numbered.items() if layer >= first]


def head_modules(model: Any) -> list[str]:
    """Names of the modules that turn the encoder's output into scores: beside the encoder, and its pooler."""
    from torch import nn

    def has_weights(module: nn.Module) -> bool:
        return next(module.parameters(), None) is not None

    beside = [name for name, child in model.named_children() if name != model.base_model_prefix and has_weights(child)]
    pooler = getattr(model.base_model, "pooler", None)
    return [*beside, "pooler"] if pooler is not None else beside


def trained_parameters(model: Any) -> tuple[list[Any], list[Any]]:
    """The trainable parameters of an adapted model: those of the adapter, and those of the head."""
    trainable = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    adapter = [value for name, value in trainable if "lora_" in name]
    return adapter, [value for name, value in trainable if "lora_" not in name]


def save_adapter(model: Any, tokenizer: Any, source: ModelSource, folder: Path) -> None:
    """Writes the adapter as safetensors, and the tokenizer, without paths of this machine."""
    model.save_pretrained(folder, safe_serialization=True)
    save_tokenizer(tokenizer, folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card, with the local path of the base model
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text("utf-8"))
    # peft writes sets in arbitrary order.
    for key in ("target_modules", "modules_to_save"):
        config[key] = sorted(config[key])
    config["base_model_name_or_path"] = source.reference
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def load_adapted(base: Any, folder: Path, accelerator: Accelerator) -> Any:
    """The base model with a saved adapter on it."""
    from peft import PeftModel

    return PeftModel.from_pretrained(base, folder).to(device_of(accelerator))


def load_weights(model: Any, checkpoint: Path) -> None:
    """Puts the adapter of a checkpoint into an adapted model."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    set_peft_model_state_dict(model, load_file(checkpoint / ADAPTER_WEIGHTS))
