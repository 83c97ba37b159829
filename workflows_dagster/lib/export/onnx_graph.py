"""ONNX exports, run by onnxruntime: the float32 graph with fused attention, and its dynamic int8 twin."""

import logging
import tempfile
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from workflows_dagster.lib.export.merged import MergedModel
from workflows_dagster.lib.export.technique import Details, Logits, Technique
from workflows_dagster.lib.export.tokens import Ids
from workflows_dagster.lib.export.torch_fp32 import load_float32

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from workflows_dagster.lib.export.settings import ExportSettings

GRAPH_FILE: Final = "model.onnx"
FUSIBLE: Final = frozenset({"bert", "roberta", "distilbert", "camembert", "xlm-roberta"})
"""Model types whose encoder onnxruntime's transformer optimizer knows as "bert"."""


class OnnxNetwork:
    """A graph of two inputs, token ids and attention mask, and one output, the logits."""

    def __init__(self, session: "InferenceSession") -> None:
        self._session = session

    def logits(self, ids: Ids, mask: Ids) -> Logits:
        """Scores before softmax, shape (rows, labels)."""
        (scores,) = self._session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
        return np.asarray(scores, dtype=np.float32)


def open_graph(folder: Path, threads: int) -> OnnxNetwork:
    """An onnxruntime session on the CPU."""
    from onnxruntime import InferenceSession, SessionOptions  # pyright: ignore[reportAttributeAccessIssue] - stubs lack it

    options = SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: fused graphs warn of a fallback that is not taken
    return OnnxNetwork(InferenceSession(folder / GRAPH_FILE, options, providers=["CPUExecutionProvider"]))


def write_fp32(merged: MergedModel, folder: Path, settings: "ExportSettings") -> Details:
    """Traces the model and, where its kind is known, fuses attention, layer norm, GELU and embeddings."""
    path = folder / GRAPH_FILE
    trace(merged, path, settings.opset)
    fused = fuse(merged, path) if settings.fuse else {}
    return {"weights": "float32", "fused": bool(fused), **{f"fused_{name}": n for name, n in sorted(fused.items())}}


def write_int8(merged: MergedModel, folder: Path, settings: "ExportSettings") -> Details:
    """Traces the model and quantizes its weights per channel; activations are quantized at run time.

    The graph is not fused first: that gains no speed here and costs agreement (0.973 against 0.984 on MiniLM-L6).
    No reduced range either: it costs accuracy and gains nothing on CPUs with VNNI.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as scratch, quiet_root_logger():
        plain = Path(scratch) / GRAPH_FILE
        trace(merged, plain, settings.opset)
        quantize_dynamic(plain, folder / GRAPH_FILE, per_channel=True, reduce_range=False, weight_type=QuantType.QInt8)
    nodes = onnx.load(folder / GRAPH_FILE).graph.node
    products = sum(node.op_type in {"MatMulInteger", "DynamicQuantizeMatMul"} for node in nodes)
    return {
        "weights": "int8 symmetric per channel",
        "activations": "uint8 per tensor, at run time",
        "quantized_layers": products,
        "fused": False,
    }


def trace(merged: MergedModel, path: Path, opset: int) -> None:
    """Writes the float32 graph with dynamic rows and length.

    The exporter that traces, and eager attention, are chosen on purpose: onnxruntime recognizes attention only in the
    graph that these two give.
    """
    import torch

    model = load_float32(merged.folder, attention="eager")
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


def fuse(merged: MergedModel, path: Path) -> Mapping[str, int]:
    """Replaces known patterns by onnxruntime's fused operators, in place; how many of each, nothing where none fits."""
    from onnxruntime.transformers.optimizer import optimize_model

    config = merged.config()
    if config.get("model_type") not in FUSIBLE:
        return {}
    with warnings.catch_warnings(), quiet_root_logger():
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
def quiet_root_logger() -> Generator[None]:
    """Drops what onnxruntime's tools write straight to the root logger, a line per node; errors still raise."""

    def is_error(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    root = logging.getLogger()
    root.addFilter(is_error)  # a logger's filters see only records made on that logger, not those of its children
    try:
        yield
    finally:
        root.removeFilter(is_error)


ONNX_FP32 = Technique(
    name="onnx-fp32",
    format="onnx",
    runtime="onnxruntime",
    file=GRAPH_FILE,
    lossless=True,
    packages=("onnx", "onnxruntime", "torch", "transformers"),
    write=write_fp32,
    open=open_graph,
)

ONNX_INT8 = Technique(
    name="onnx-int8",
    format="onnx",
    runtime="onnxruntime",
    file=GRAPH_FILE,
    lossless=False,
    packages=("onnx", "onnxruntime", "torch", "transformers"),
    write=write_int8,
    open=open_graph,
)
