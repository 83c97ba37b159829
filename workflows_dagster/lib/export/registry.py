"""The techniques there are. A new one is a module with a `Technique`, a line here and a partition key."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.export.onnx_graph import ONNX_FP32, ONNX_INT8
from workflows_dagster.lib.export.technique import Technique
from workflows_dagster.lib.export.torch_fp32 import TORCH_FP32
from workflows_dagster.lib.export.torch_int8 import TORCH_INT8

REFERENCE: Final = TORCH_FP32
"""The technique that every other one is compared with: the merged model itself."""

REGISTRY: Final[Mapping[str, Technique]] = MappingProxyType(
    {technique.name: technique for technique in (TORCH_FP32, TORCH_INT8, ONNX_FP32, ONNX_INT8)}
)


def technique(name: str) -> Technique:
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
