"""Texts as inputs of a model: tokenizers, what truncation cuts off, and padded batches."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from workflows_dagster.lib.errors import ModelReferenceError
from workflows_dagster.lib.model.inference import BATCH_TOKENS, Classifier, Network

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from workflows_dagster.lib.model.inference import Inputs

_TEXTS_AT_ONCE: Final = 1_000


@dataclass(frozen=True)
class Truncation:
    """What a limit on the input length cut off the texts of one split.

    Attributes:
        rows: Texts in the split.
        rows_truncated: Texts that were cut.
        truncated_ratio: Share of the texts that were cut (0-1).
        tokens: Tokens of all texts, special tokens included.
        tokens_cut: Tokens that the model does not see.
    """

    rows: int
    rows_truncated: int
    truncated_ratio: float
    tokens: int
    tokens_cut: int


class TextEncoder:
    """Token ids of texts, special tokens included, cut at the longest input of the model.

    Args:
        tokenizer: Its own padding and truncation are replaced. Files of published models carry those of their authors
            (all-MiniLM-L6-v2: both fixed at 128), which would be obeyed without a word.
        max_length: Longest input in tokens.
        pad_id: Token id that fills short rows of a batch; it is masked out.
    """

    def __init__(self, tokenizer: "Tokenizer", max_length: int, pad_id: int) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._pad_id = pad_id

    @classmethod
    def open(cls, folder: Path, max_length: int, pad_id: int) -> "TextEncoder":
        """The encoder of a model's folder, from its tokenizer.json alone."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(folder / "tokenizer.json")), max_length, pad_id)

    @classmethod
    def of(cls, tokenizer: Any, max_length: int) -> "TextEncoder":
        """The encoder that runs a transformers tokenizer."""
        return cls(tokenizer.backend_tokenizer, max_length, tokenizer.pad_token_id or 0)

    def encode(self, items: Sequence[str]) -> list[list[int]]:
        """Token ids of each text."""
        cut_at(self._tokenizer, self._max_length)
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(items))]

    def encode_and_count(self, texts: Sequence[str]) -> tuple[list[list[int]], Truncation]:
        """Token ids of each text, and what the limit cut off."""
        rows = self.encode(texts)
        self._tokenizer.no_truncation()
        tokens = truncated = 0
        # In parts: the whole encodings of a large split take far more memory than its token ids.
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            whole = self._tokenizer.encode_batch_fast(list(texts[start : start + _TEXTS_AT_ONCE]))
            tokens += sum(len(encoding) for encoding in whole)
            truncated += sum(len(encoding) > self._max_length for encoding in whole)
        cut = tokens - sum(map(len, rows))
        return rows, Truncation(len(texts), truncated, truncated / len(texts), tokens, cut)

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        """Whether the limit cuts each text."""
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        return [len(encoding) > self._max_length for encoding in self._tokenizer.encode_batch_fast(list(texts))]

    def collate(self, rows: Sequence[Any], multiple_of: int = 1) -> "Inputs":
        """One batch: token ids, shape (rows, longest row), or their vectors, and the attention mask.

        Args:
            rows: Token ids of each row; or a vector for each of its tokens, which a model takes in their place.
            multiple_of: The batch is padded to a multiple of so many tokens.
        """
        longest = max(len(row) for row in rows)
        shape = (len(rows), -(-longest // multiple_of) * multiple_of)
        mask: npt.NDArray[np.int64] = np.zeros(shape, dtype=np.int64)
        vectors = isinstance(rows[0], np.ndarray)
        if vectors:
            values: npt.NDArray[Any] = np.zeros((*shape, rows[0].shape[1]), dtype=np.float32)
        else:
            values = np.full(shape, self._pad_id, dtype=np.int64)
        for place, row in enumerate(rows):
            values[place, : len(row)] = row
            mask[place, : len(row)] = 1
        return {"inputs_embeds" if vectors else "input_ids": values, "attention_mask": mask}


class TextClassifier(Classifier):
    """A classifier of texts, which also tells which of them it saw the beginning of only.

    Args:
        network: The model.
        encoder: Prepares its inputs.
        labels: Names of the outputs, in their order.
        budget: Padded tokens that are computed at once.
    """

    def __init__(
        self, network: Network, encoder: TextEncoder, labels: Sequence[str], budget: int = BATCH_TOKENS
    ) -> None:
        super().__init__(network, encoder, labels, budget)
        self._texts = encoder

    def truncated(self, texts: Sequence[str]) -> list[bool]:
        """Whether the longest input of the model cuts each text."""
        return self._texts.truncated(texts)


def cut_at(tokenizer: "Tokenizer", max_length: int) -> "Tokenizer":
    """The tokenizer, cutting at this length and padding nothing."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, direction="right")
    return tokenizer


def load_tokenizer(folder: Path) -> Any:
    """The transformers tokenizer of a model's folder, as training and saving need it.

    Raises:
        ModelReferenceError: It has no form that the library tokenizers can run, which is what serves the model later.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    if not tokenizer.is_fast:
        raise ModelReferenceError(
            "the tokenizer of the model is pure Python; an exported model could not be served with it",
            given=type(tokenizer).__name__,
            expected="a tokenizer with a tokenizer.json",
            remedy="choose another model",
        )
    return tokenizer


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Writes a transformers tokenizer whose file pads and truncates nothing: whoever reads it decides."""
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.save_pretrained(folder)


def copy_tokenizer(source: Path, target: Path, max_length: int) -> None:
    """Copies the tokenizer of a model's folder, with the truncation that it was trained with and no padding."""
    from tokenizers import Tokenizer

    target.mkdir(parents=True, exist_ok=True)
    for name in ("special_tokens_map.json", "vocab.txt"):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    cut_at(Tokenizer.from_file(str(source / "tokenizer.json")), max_length).save(str(target / "tokenizer.json"))
    config = json.loads((source / "tokenizer_config.json").read_text("utf-8"))
    config["model_max_length"] = max_length
    (target / "tokenizer_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
