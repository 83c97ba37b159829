"""Dynamic int8 in torch: weights quantized by torchao per output channel, activations per token at run time.

So is the word embedding, per token: it holds most of the weights of a multilingual model.

The quantized weights are plain safetensors (an int8 tensor and a float32 scale per channel) under names of our own, so
that loading needs neither torchao nor pickle. They run on the integer product that torchao dispatches to, called
directly: in eager mode its tensor subclass spends most of its time in dispatch (fp32 150 ms, torchao eager 135 ms, this
80 ms for 1,024 tokens of MiniLM-L6 on 2 threads of an AVX512-VNNI CPU), and torch.compile would need a C++ compiler on
the machine that serves.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.errors import IntegrityError
from workflows_dagster.lib.export.technique import Details, Technique
from workflows_dagster.lib.model.torch_network import (
    WEIGHTS_FILE,
    TorchNetwork,
    classifier_architecture,
    encoder_linears,
    load_classifier,
)

if TYPE_CHECKING:
    import torch

QUANTIZED: Final = ".weight_int8"
SCALE: Final = ".weight_scale"


@dataclass(frozen=True)
class TorchInt8(Technique):
    """Linear layers of the encoder and word embedding in int8; positions, norms and classifying head stay float32."""

    name = "torch-int8"
    format = "safetensors"
    runtime = "torch"
    file = WEIGHTS_FILE
    lossless = False
    packages = ("torch", "torchao", "transformers")

    def write(self, merged: Path, folder: Path) -> Details:
        """Quantizes the linear layers of the encoder."""
        import torch
        from safetensors.torch import save_file
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

        model = load_classifier(merged)
        encoder = frozenset(encoder_linears(model))
        words = _word_embedding(model)
        quantize_(model, Int8DynamicActivationInt8WeightConfig(version=2), filter_fn=lambda _, name: name in encoder)
        tensors: dict[str, torch.Tensor] = {}
        layers = 0
        for name, tensor in model.state_dict().items():
            if hasattr(tensor, "qdata"):
                stem = name.removesuffix(".weight")
                tensors[stem + QUANTIZED] = tensor.qdata.contiguous()
                tensors[stem + SCALE] = tensor.scale.flatten().float().contiguous()
                layers += 1
            elif name == f"{words}.weight":
                scale = (tensor.abs().amax(1) / 127).clamp_min(1e-12)
                tensors[words + QUANTIZED] = (tensor / scale[:, None]).round().to(torch.int8)
                tensors[words + SCALE] = scale
            else:
                tensors[name] = tensor.contiguous()
        save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
        shutil.copyfile(merged / "config.json", folder / "config.json")
        return {
            "weights": "int8 symmetric per channel, by torchao",
            "activations": "int8 symmetric per token, at run time",
            "quantized_layers": layers,
            "word_embedding": "int8 symmetric per token",
        }

    @staticmethod
    def open(folder: Path, threads: int) -> TorchNetwork:
        """The classifier with its quantized layers in place of the float32 ones.

        Raises:
            IntegrityError: The weights do not fit the configuration.
        """
        import torch
        from accelerate import init_empty_weights
        from safetensors.torch import load_file
        from transformers import AutoConfig

        torch.set_num_threads(threads)
        tensors = load_file(folder / WEIGHTS_FILE)
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        # Buffers that are not stored, such as positions and rotary frequencies, are computed as the model is built.
        with init_empty_weights(include_buffers=False):
            model = classifier_architecture(config).from_config(config, dtype=torch.float32)
        words = _word_embedding(model)
        for stem in [name.removesuffix(QUANTIZED) for name in tensors if name.endswith(QUANTIZED)]:
            weight, scale = tensors.pop(stem + QUANTIZED), tensors.pop(stem + SCALE)
            if stem == words:
                layer = _int8_embedding(weight, scale)
            else:
                layer = _dynamic_linear(weight, scale, tensors.pop(f"{stem}.bias", None))
            model.set_submodule(stem, layer)
        _load_rest(model, tensors)
        return TorchNetwork(model)


def _word_embedding(model: "torch.nn.Module") -> str:
    """Name of the module that turns token ids into vectors."""
    words = model.get_input_embeddings()  # pyright: ignore[reportCallIssue]
    return next(name for name, module in model.named_modules() if module is words)


def _load_rest(model: "torch.nn.Module", tensors: "dict[str, torch.Tensor]") -> None:
    """Puts the float32 tensors in place."""
    outcome = model.load_state_dict(tensors, strict=False, assign=True)
    left = [name for name, parameter in model.named_parameters() if parameter.is_meta]
    if left or outcome.unexpected_keys:
        raise IntegrityError(
            "the quantized weights do not fit the model's configuration",
            given=f"missing {left[:5]}, unexpected {outcome.unexpected_keys[:5]}",
            expected="every tensor of the model once",
            remedy="materialize exported_models again with this version of the code",
        )


def _dynamic_linear(weight: "torch.Tensor", scale: "torch.Tensor", bias: "torch.Tensor | None") -> "torch.nn.Module":
    """A linear layer y = x W' + b on int8 operands.

    Args:
        weight: Shape (out, in), int8.
        scale: Shape (out,), float32.
        bias: Shape (out,), float32, or None.
    """
    import torch

    multiply = torch.ops.aten._int_mm.default  # noqa: SLF001 - the kernel that torchao calls; it has no public name

    class DynamicInt8Linear(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight_int8 = weight.t().contiguous()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            rows = x.reshape(-1, x.shape[-1])
            step = (rows.abs().amax(1, keepdim=True) / 127).clamp_min(1e-12)
            product = multiply((rows / step).round().to(torch.int8), self.weight_int8)
            y = product.float().mul_(step).mul_(scale)
            return (y if bias is None else y.add_(bias)).view(*x.shape[:-1], -1)

    return DynamicInt8Linear()


def _int8_embedding(weight: "torch.Tensor", scale: "torch.Tensor") -> "torch.nn.Module":
    """An embedding whose rows are made float32 as they are looked up.

    Args:
        weight: Shape (tokens, width), int8.
        scale: Shape (tokens,), float32.
    """
    import torch

    class Int8Embedding(torch.nn.Module):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return weight[ids].float().mul_(scale[ids].unsqueeze(-1))

    return Int8Embedding()
