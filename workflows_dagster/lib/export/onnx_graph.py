"""ONNX exports, run by onnxruntime: the float32 graph with fused attention, and the dynamic int8 graph."""

import json
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from workflows_dagster.lib.export.technique import Details, Technique, option
from workflows_dagster.lib.model.torch_network import encoder_linears, load_classifier

if TYPE_CHECKING:
    import onnx
    from onnxruntime import InferenceSession

    from workflows_dagster.lib.model.inference import Inputs, Values

GRAPH_FILE: Final = "model.onnx"
FUSIBLE: Final = frozenset({"bert", "roberta", "distilbert", "camembert", "xlm-roberta"})
"""Model types whose encoder onnxruntime's transformer optimizer knows as "bert"."""


class OnnxNetwork:
    """A graph whose one output is the logits."""

    def __init__(self, session: "InferenceSession") -> None:
        self._session = session

    def __call__(self, inputs: "Inputs") -> "Values":
        """Scores before softmax, shape (rows, labels)."""
        (scores,) = self._session.run(["logits"], dict(inputs))
        return np.asarray(scores, dtype=np.float32)


@dataclass(frozen=True)
class OnnxTechnique(Technique):
    """An ONNX graph on the CPU."""

    format = "onnx"
    runtime = "onnxruntime"
    file = GRAPH_FILE
    packages = ("onnx", "onnxruntime", "torch", "transformers")

    opset: int = option(17, "ONNX operator set of the graph.", ge=17, le=20)

    @staticmethod
    def open(folder: Path, threads: int) -> OnnxNetwork:
        """An onnxruntime session on the CPU."""
        without_telemetry()
        # The stubs lack these names.
        from onnxruntime import InferenceSession, SessionOptions  # pyright: ignore[reportAttributeAccessIssue]

        options = SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only: fused graphs warn of a fallback that is not taken
        return OnnxNetwork(InferenceSession(folder / GRAPH_FILE, options, providers=["CPUExecutionProvider"]))


@dataclass(frozen=True)
class OnnxFloat32(OnnxTechnique):
    """The float32 graph; where the kind of model is known, attention, layer norm, GELU and embeddings are fused."""

    name = "onnx-fp32"
    lossless = True

    fuse: bool = option(True, "Fuse attention, layer norm and GELU (onnxruntime contrib operators).")

    def write(self, merged: Path, folder: Path) -> Details:
        """Traces and fuses the graph."""
        path = folder / GRAPH_FILE
        trace(merged, path, self.opset)
        fused = fuse(merged, path) if self.fuse else {}
        counts = {f"fused_{name}": count for name, count in sorted(fused.items())}
        return {"weights": "float32", "opset": self.opset, "fused": bool(fused), **counts}


@dataclass(frozen=True)
class OnnxInt8(OnnxTechnique):
    """The graph with weights in int8 per channel; activations are quantized at run time.

    The graph is not fused first: that gains no speed here and costs agreement (0.973 against 0.984 on MiniLM-L6).
    No reduced range either: it costs accuracy and gains nothing on CPUs with VNNI.
    """

    name = "onnx-int8"
    lossless = False

    outlier_ratio: float = option(
        100.0,
        "A layer stays float32 where the largest of its inputs is more than so many times their root mean square.",
        gt=1,
    )

    def write(self, merged: Path, folder: Path) -> Details:
        """Traces the graph and quantizes its weights."""
        without_telemetry()
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        with tempfile.TemporaryDirectory() as scratch, root_logger_errors_only():
            plain = Path(scratch) / GRAPH_FILE
            trace(merged, plain, self.opset)
            kept = [f"/{re.sub(r'[.](?![0-9])', '/', name)}/" for name in outlier_layers(merged, self.outlier_ratio)]
            nodes = onnx.load(plain).graph.node
            quantize_dynamic(
                plain,
                folder / GRAPH_FILE,
                per_channel=True,
                reduce_range=False,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=[
                    *_head_nodes(nodes),
                    *(node.name for node in nodes if node.name.startswith(tuple(kept))),
                ],
            )
        nodes = onnx.load(folder / GRAPH_FILE).graph.node
        return {
            "weights": "int8 symmetric per channel",
            "activations": "uint8 per tensor, at run time",
            "head": "float32",
            "float32_layers": len(kept),
            "quantized_layers": sum(node.op_type in {"MatMulInteger", "DynamicQuantizeMatMul"} for node in nodes),
            "opset": self.opset,
            "fused": False,
        }


def without_telemetry() -> None:
    """Keeps onnxruntime from reporting to its maker; to be called before it is imported.

    Since 1.29 its builds for Linux send, unless told not to, names and digests of the models that they load.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def outlier_layers(merged: Path, ratio: float) -> list[str]:
    """Names of the linear layers whose inputs have a value far beyond the others, which int8 would leave few steps.

    The scale of activations is that of a whole tensor. The outliers come with the model, whatever the text: random
    tokens show the same layers as reviews do. In multilingual-e5-small, three of 72 layers have them; in float32, they
    halve the error of the scores.

    Args:
        merged: The merged model's folder.
        ratio: Largest value over root mean square, above which a layer is named.
    """
    import torch

    model = load_classifier(merged)
    found: dict[str, float] = {}

    def look(name: str) -> Callable[..., None]:
        def hook(_: object, inputs: tuple[torch.Tensor, ...]) -> None:
            found[name] = float(inputs[0].abs().max() / inputs[0].square().mean().sqrt())

        return hook

    hooks = [model.get_submodule(name).register_forward_pre_hook(look(name)) for name in encoder_linears(model)]
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(0, model.config.vocab_size, (16, 32), generator=draw)
    try:
        with torch.inference_mode():
            model(input_ids=ids, attention_mask=torch.ones_like(ids))
    finally:
        for hook in hooks:
            hook.remove()
    return sorted(name for name, value in found.items() if value > ratio)


def _head_nodes(nodes: "Sequence[onnx.NodeProto]") -> list[str]:
    """Names of the nodes of the classification head, whose inputs differ too much in scale to share one for int8."""
    head = [node.name for node in nodes if node.name.startswith(("/classifier", "/pre_classifier", "/score"))]
    # Before it quantizes, onnxruntime writes each Gemm as a MatMul and an Add.
    return [*head, *(f"{name}_MatMul" for name in head)]


def trace(merged: Path, path: Path, opset: int) -> None:
    """Writes the float32 graph with dynamic rows and length.

    The exporter that traces, and eager attention, are chosen on purpose: onnxruntime recognizes attention only in the
    graph that these two give.
    """
    import torch

    model = load_classifier(merged, attention="eager")
    model.config.return_dict = False
    ids = torch.ones((2, 8), dtype=torch.int64)
    axes = {0: "rows", 1: "length"}
    with warnings.catch_warnings():
        # The tracing exporter announces its age and every shape that it takes for a constant; parity is tested after.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (ids, torch.ones_like(ids)),
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "rows"}},
            opset_version=opset,
            do_constant_folding=True,
            dynamo=False,
        )


def fuse(merged: Path, path: Path) -> Mapping[str, int]:
    """Replaces known patterns by onnxruntime's fused operators, in place; how many of each, nothing where none fits."""
    without_telemetry()
    from onnxruntime.transformers.optimizer import optimize_model

    config = json.loads((merged / "config.json").read_text("utf-8"))
    if config.get("model_type") not in FUSIBLE:
        return {}
    with warnings.catch_warnings(), root_logger_errors_only():
        warnings.simplefilter("ignore", DeprecationWarning)
        optimizer = optimize_model(
            str(path),
            model_type="bert",
            num_heads=int(config.get("num_attention_heads", 0)),
            hidden_size=int(config.get("hidden_size", 0)),
            opt_level=0,
        )
        optimizer.save_model_to_file(str(path))
    return {name: count for name, count in optimizer.get_fused_operator_statistics().items() if count}


@contextmanager
def root_logger_errors_only() -> Generator[None]:
    """Drops what onnxruntime's tools write straight to the root logger, a line per node; errors still raise."""

    def is_error(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    root = logging.getLogger()
    root.addFilter(is_error)  # a logger's filters see only records made on that logger, not those of its children
    try:
        yield
    finally:
        root.removeFilter(is_error)
