"""The compression techniques, in the order in which they are shown: a new one is a module and a line here."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.export.onnx_graph import OnnxFloat32, OnnxInt8
from workflows_dagster.lib.export.technique import Technique
from workflows_dagster.lib.export.torch_fp32 import TorchFloat32
from workflows_dagster.lib.export.torch_int8 import TorchInt8
from workflows_dagster.lib.model.inference import BATCH_TOKENS
from workflows_dagster.lib.model.reference import MODEL_FOLDER, ModelReference
from workflows_dagster.lib.model.text import TextClassifier, TextEncoder

REFERENCE: Final = TorchFloat32
"""The technique that every other one is compared with: the merged model itself."""

REGISTRY: Final[Mapping[str, type[Technique]]] = MappingProxyType(
    {technique.name: technique for technique in (TorchFloat32, TorchInt8, OnnxFloat32, OnnxInt8)}
)


def technique(name: str) -> type[Technique]:
    """The technique of that name.

    Raises:
        ConfigurationError: There is none.
    """
    if name not in REGISTRY:
        raise ConfigurationError(
            "no compression technique of that name",
            given=name,
            expected=f"one of {', '.join(REGISTRY)}",
            remedy="name one of them, or add it to workflows_dagster/lib/export/registry.py",
        )
    return REGISTRY[name]


def open_classifier(
    name: str, folder: Path, reference: ModelReference, *, threads: int = 2, batch_tokens: int = BATCH_TOKENS
) -> TextClassifier:
    """A published classifier; every file is checked against its digest first.

    Args:
        name: The technique that it was exported with; that of REFERENCE opens the merged model.
        folder: Folder of the asset that published it.
        reference: The model in that folder.
        threads: Threads of the runtime. For torch this is a setting of the process.
        batch_tokens: Padded tokens computed at once.

    Raises:
        IntegrityError: A file is not the one that was published.
        ConfigurationError: This version of the code does not know the technique.
    """
    reference.verify(folder)
    return open_verified(name, folder, reference, threads=threads, batch_tokens=batch_tokens)


def open_verified(
    name: str, folder: Path, reference: ModelReference, *, threads: int = 2, batch_tokens: int = BATCH_TOKENS
) -> TextClassifier:
    """As `open_classifier`, where the caller has just checked every file: a large model takes long to digest."""
    model = folder / MODEL_FOLDER
    encoder = TextEncoder.open(model, reference.max_length, reference.pad_id)
    return TextClassifier(technique(name).open(model, threads), encoder, reference.labels, batch_tokens)
