"""Texts to token batches: right truncation, padding per batch, rows of like length together."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ids = npt.NDArray[np.int64]


def open_tokenizer(folder: Path, max_length: int) -> "Tokenizer":
    """The raw tokenizer of a model folder, cut at `max_length` tokens and without padding.

    Files of published models carry padding and truncation of their authors (all-MiniLM-L6-v2: both fixed at 128),
    which a raw tokenizer would obey without a word; both are replaced here.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, direction="right")
    return tokenizer


def copy_tokenizer(source: Path, target: Path, max_length: int) -> None:
    """Puts a tokenizer beside an artefact, with the truncation that it was trained with and no fixed padding."""
    target.mkdir(parents=True, exist_ok=True)
    open_tokenizer(source, max_length).save(str(target / "tokenizer.json"))
    config = json.loads((source / "tokenizer_config.json").read_text("utf-8"))
    config["model_max_length"] = max_length
    (target / "tokenizer_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
    for name in ("special_tokens_map.json", "vocab.txt"):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def encode(tokenizer: "Tokenizer", texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, special tokens included."""
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]


def plan_batches(lengths: Sequence[int], budget: int) -> list[Ids]:
    """Row numbers of each batch, rows of like length together.

    Small batches that stay in cache beat large ones on a CPU, and sorting saves the padding: in arrival order more
    than half of the computed tokens are padding.

    Args:
        lengths: Tokens of each row.
        budget: Padded tokens a batch may hold; a single longer row is a batch of its own.

    Returns:
        Every row once, shortest first.
    """
    order = np.argsort(np.asarray(lengths, dtype=np.int64), kind="stable")
    batches: list[Ids] = []
    start = 0
    for end in range(1, len(order) + 1):
        full = end == len(order) or (end - start + 1) * lengths[int(order[end])] > budget
        if full:
            batches.append(order[start:end])
            start = end
    return batches


def pad(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[Ids, Ids]:
    """Token ids and attention mask of one batch, both of shape (rows, longest row)."""
    shape = (len(rows), max(len(row) for row in rows))
    ids = np.full(shape, pad_id, dtype=np.int64)
    mask = np.zeros(shape, dtype=np.int64)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
        mask[number, : len(row)] = 1
    return ids, mask
