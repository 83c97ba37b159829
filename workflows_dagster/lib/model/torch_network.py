"""Classifiers by transformers and torch: loading them, running them, and their layers."""

import re
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from workflows_dagster.lib.errors import ModelReferenceError

if TYPE_CHECKING:
    from workflows_dagster.lib.model.inference import Inputs, Values

WEIGHTS_FILE: Final = "model.safetensors"
"""Name of the weights in a transformers folder."""


class TorchNetwork:
    """A transformers classifier in evaluation mode, on the device that it is on."""

    def __init__(self, model: Any) -> None:
        self._model = model.eval()

    def __call__(self, inputs: "Inputs") -> "Values":
        """Scores before softmax, shape (rows, labels), in full precision."""
        import torch

        tensors = {name: torch.from_numpy(array).to(self._model.device) for name, array in inputs.items()}
        with torch.inference_mode():
            return self._model(**tensors).logits.float().cpu().numpy()


class MeanPooledNetwork:
    """The mean of an encoder's last states over the tokens of each text, as sentence-transformers pools them."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModel

        with silenced():
            self._model = AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32).eval()
        self.outputs = int(self._model.config.hidden_size)

    def __call__(self, inputs: "Inputs") -> "Values":
        """Vectors, shape (rows, outputs)."""
        import torch

        tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
        mask = tensors["attention_mask"].unsqueeze(-1)
        with torch.inference_mode():
            states = self._model(**tensors).last_hidden_state
            return np.asarray((states * mask).sum(dim=1) / mask.sum(dim=1), dtype=np.float32)


def load_classifier(
    folder: Path, labels: Sequence[str] | None = None, attention: Literal["eager"] | None = None
) -> Any:
    """The float32 sequence classifier of a transformers folder; nothing is fetched or unpickled.

    Args:
        folder: Holds config.json and weights as safetensors.
        labels: Gives the model a head for these labels; a new one where it has none that fits. None keeps its own.
        attention: Its attention implementation; None for the fastest that its architecture has.

    Raises:
        ModelReferenceError: transformers knows no sequence classifier of its architecture.
    """
    from transformers import AutoConfig

    head: dict[str, Any] = {}
    if labels is not None:
        head = {
            "id2label": dict(enumerate(labels)),
            "label2id": {label: number for number, label in enumerate(labels)},
            "ignore_mismatched_sizes": True,
        }
    try:
        architecture = classifier_architecture(AutoConfig.from_pretrained(folder, local_files_only=True))
        return architecture.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype="float32",
            attn_implementation=attention,
            **head,
        ).eval()
    except ValueError as error:
        raise ModelReferenceError(
            "the model cannot be loaded as a sequence classifier",
            given=f"{folder} ({error})",
            expected="an architecture that AutoModelForSequenceClassification knows",
            remedy="choose an encoder such as BERT, RoBERTa or ModernBERT",
        ) from error


def classifier_architecture(config: Any) -> Any:
    """What makes a classifier of a configuration: transformers' own, or a head on the mean over the tokens.

    `classifier_pooling` is the name that ModernBERT has for this choice; `classifier_layers` are the hidden states
    whose means the head reads, counted from the last as -1. BERT's own classifier reads the first token, which a
    sentence encoder such as e5 was not trained to fill: a logistic regression on the frozen first token had a macro-F1
    of 0.57 in five folds of the bundled sample, on the mean 0.68, on the means of every second upper layer 0.70.
    """
    from transformers import AutoModelForSequenceClassification

    if config.model_type != "bert" or getattr(config, "classifier_pooling", "cls") != "mean":
        return AutoModelForSequenceClassification
    import torch
    from transformers import BertModel, BertPreTrainedModel
    from transformers.modeling_outputs import SequenceClassifierOutput
    from transformers.utils.generic import can_return_tuple

    class MeanPooledBert(BertPreTrainedModel):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.bert = BertModel(config, add_pooling_layer=False)
            self.layers: list[int] = getattr(config, "classifier_layers", [-1])
            self.classifier = torch.nn.Linear(len(self.layers) * config.hidden_size, config.num_labels)
            self.post_init()

        @can_return_tuple
        def forward(
            self,
            input_ids: Any = None,
            attention_mask: Any = None,
            inputs_embeds: Any = None,
            labels: Any = None,
            **kwargs: Any,
        ) -> Any:
            hidden = self.bert(
                input_ids, attention_mask, inputs_embeds=inputs_embeds, output_hidden_states=True, return_dict=True
            ).hidden_states
            states = torch.cat([hidden[layer] for layer in self.layers], dim=-1)
            mask = attention_mask.unsqueeze(-1).to(states.dtype)
            return SequenceClassifierOutput(logits=self.classifier((states * mask).sum(1) / mask.sum(1)))

        @classmethod
        def from_config(cls, config: Any, dtype: Any = None) -> Any:
            return cls._from_config(config, dtype=dtype)

    return MeanPooledBert


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


@contextmanager
def silenced() -> Generator[None]:
    """Hides what transformers and peft print: progress bars, advice on new heads, deprecations inside of them."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # peft 0.21 reads an attribute that transformers 5.23 renamed.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
