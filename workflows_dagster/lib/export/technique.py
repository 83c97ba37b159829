"""What a compression technique is: how it writes an artefact, and how it opens one again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from workflows_dagster.lib.export.tokens import Ids

if TYPE_CHECKING:
    from workflows_dagster.lib.export.merged import MergedModel
    from workflows_dagster.lib.export.settings import ExportSettings

Logits = npt.NDArray[np.float32]
Details = Mapping[str, str | int | float | bool]


class Network(Protocol):
    """A loaded model without its tokenizer."""

    def logits(self, ids: Ids, mask: Ids) -> Logits:
        """Scores before softmax, shape (rows, labels), of token ids and attention mask of shape (rows, length)."""
        ...


@dataclass(frozen=True)
class Technique:
    """One way to compress a sequence classifier.

    Attributes:
        name: Partition key of its artefacts.
        format: Container of the weights.
        runtime: What executes the artefact.
        file: Name of the weights below the artefact's model folder.
        lossless: Whether it must answer as the merged model does, up to float noise.
        packages: Distributions whose versions decide its result.
        write: Writes the artefact (not the tokenizer) into a model folder and says what it did.
        open: Loads an artefact's model folder for so many threads.
    """

    name: str
    format: Literal["safetensors", "onnx"]
    runtime: Literal["torch", "onnxruntime"]
    file: str
    lossless: bool
    packages: tuple[str, ...]
    write: "Callable[[MergedModel, Path, ExportSettings], Details]"
    open: Callable[[Path, int], Network]
