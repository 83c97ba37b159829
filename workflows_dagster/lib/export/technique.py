"""What a compression technique is: its options, how it writes an artefact, and how it opens one again.

A process that serves a model imports this module and those of the techniques: no library beyond numpy at their top.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from workflows_dagster.lib.model.inference import Network

Details = Mapping[str, str | int | float | bool]


@dataclass(frozen=True)
class Technique(ABC):
    """One way to compress a classifier. The fields of a subclass, each an `option`, are what a run may choose.

    Attributes:
        name: Partition key of its artefacts.
        format: Container of the weights. Never a pickle.
        runtime: What executes the artefact.
        file: Name of the weights below the model's folder.
        lossless: Whether it must answer as the merged model does, up to float noise.
        packages: Distributions whose versions decide its result.
    """

    name: ClassVar[str]
    format: ClassVar[Literal["safetensors", "onnx"]]
    runtime: ClassVar[Literal["torch", "onnxruntime"]]
    file: ClassVar[str]
    lossless: ClassVar[bool]
    packages: ClassVar[tuple[str, ...]]

    @abstractmethod
    def write(self, merged: Path, folder: Path) -> Details:
        """Writes the artefact (not the tokenizer) and says what it did.

        Args:
            merged: The merged model's folder, with config.json and model.safetensors.
            folder: The model folder of the artefact.
        """

    @staticmethod
    @abstractmethod
    def open(folder: Path, threads: int) -> Network:
        """The network in an artefact's model folder, run by so many threads."""


def option(default: bool | int | float | str, description: str, **bounds: float) -> Any:
    """A field of a technique: its default, what it means, and its bounds (ge, le, gt, lt) where it has some."""
    return field(default=default, metadata={"description": description, **bounds})
