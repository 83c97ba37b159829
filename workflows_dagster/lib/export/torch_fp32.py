"""The merged model as it is: safetensors run by torch, the reference that every other technique is compared with."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from workflows_dagster.lib.export.technique import Details, Technique
from workflows_dagster.lib.model.torch_network import WEIGHTS_FILE, TorchNetwork, load_classifier


@dataclass(frozen=True)
class TorchFloat32(Technique):
    """Configuration and weights are copied; nothing is computed."""

    name = "torch-fp32"
    format = "safetensors"
    runtime = "torch"
    file = WEIGHTS_FILE
    lossless = True
    packages = ("torch", "transformers")

    def write(self, merged: Path, folder: Path) -> Details:
        """Copies configuration and weights."""
        for name in ("config.json", WEIGHTS_FILE):
            shutil.copyfile(merged / name, folder / name)
        return {"weights": "float32"}

    @staticmethod
    def open(folder: Path, threads: int) -> TorchNetwork:
        """The classifier of a plain transformers folder."""
        import torch
        from transformers.utils import logging

        logging.disable_progress_bar()
        torch.set_num_threads(threads)
        return TorchNetwork(load_classifier(folder))
