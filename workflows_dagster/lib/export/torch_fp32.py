"""The merged model as it is: safetensors run by torch, the reference that every other technique is compared with."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workflows_dagster.lib.export.merged import WEIGHTS_FILE, MergedModel
from workflows_dagster.lib.export.technique import Details, Logits, Technique
from workflows_dagster.lib.export.tokens import Ids

if TYPE_CHECKING:
    from torch.nn import Module
    from transformers import PreTrainedModel

    from workflows_dagster.lib.export.settings import ExportSettings


class TorchNetwork:
    """A Hugging Face sequence classifier in evaluation mode on the CPU."""

    def __init__(self, model: "Module", threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._model = model.eval()

    def logits(self, ids: Ids, mask: Ids) -> Logits:
        """Scores before softmax, shape (rows, labels)."""
        import torch

        with torch.inference_mode():
            return self._model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()


def load_float32(folder: Path, attention: Literal["eager"] | None = None) -> "PreTrainedModel":
    """The sequence classifier of a plain Hugging Face folder, in evaluation mode; nothing is fetched or unpickled.

    Args:
        folder: Holds config.json and model.safetensors.
        attention: Its attention implementation; None for the fastest that its architecture has.
    """
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.disable_progress_bar()
    return AutoModelForSequenceClassification.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, dtype="float32", attn_implementation=attention
    ).eval()


def open_folder(folder: Path, threads: int) -> TorchNetwork:
    """The classifier of a plain Hugging Face folder."""
    return TorchNetwork(load_float32(folder), threads)


def write_folder(merged: MergedModel, folder: Path, settings: "ExportSettings") -> Details:
    """Copies configuration and weights; nothing is recomputed."""
    del settings
    for name in ("config.json", WEIGHTS_FILE):
        shutil.copyfile(merged.folder / name, folder / name)
    return {"weights": "float32"}


TORCH_FP32 = Technique(
    name="torch-fp32",
    format="safetensors",
    runtime="torch",
    file=WEIGHTS_FILE,
    lossless=True,
    packages=("torch", "transformers"),
    write=write_folder,
    open=open_folder,
)
