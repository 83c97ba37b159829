"""Tokenizing for training, with what truncation took counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

CHUNK: Final = 1_000


@dataclass(frozen=True)
class Truncation:
    """What a limit on the input length took from the texts of one split.

    Attributes:
        rows: Texts in the split.
        rows_truncated: Texts that were cut.
        tokens: Tokens of all texts, special tokens included.
        tokens_cut: Tokens that the model does not see.
    """

    rows: int
    rows_truncated: int
    tokens: int
    tokens_cut: int

    @property
    def truncated_ratio(self) -> float:
        """Share of the texts that were cut (0-1)."""
        return self.rows_truncated / self.rows

    def to_record(self) -> dict[str, int | float]:
        """As a JSON object."""
        return {
            "rows": self.rows,
            "rows_truncated": self.rows_truncated,
            "truncated_ratio": round(self.truncated_ratio, 6),
            "tokens": self.tokens,
            "tokens_cut": self.tokens_cut,
        }


def load_tokenizer(folder: "Path") -> Any:
    """The tokenizer of a model, without the padding and truncation that its file may have baked in."""
    from transformers import AutoTokenizer

    return _plain(AutoTokenizer.from_pretrained(folder))


def save_tokenizer(tokenizer: Any, folder: "Path") -> None:
    """Writes a tokenizer whose file pads and truncates nothing: whoever reads it decides."""
    _plain(tokenizer).save_pretrained(folder)


def _plain(tokenizer: Any) -> Any:
    # all-MiniLM-L6-v2 comes with padding to 128 and truncation at 128, and each truncating call leaves its limit.
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_padding()
        tokenizer.backend_tokenizer.no_truncation()
    return tokenizer


def encode(tokenizer: Any, texts: Sequence[str], max_length: int) -> tuple[list[list[int]], Truncation]:
    """Token ids of each text, special tokens included, cut at `max_length`, and what that took."""
    encoded: list[list[int]] = []
    truncated = tokens = cut = 0
    for chunk in _chunks(texts):
        for text, whole in zip(chunk, tokenizer(chunk, verbose=False)["input_ids"], strict=True):
            ids = whole
            if len(whole) > max_length:
                # Cut by the tokenizer, which keeps the closing special token.
                ids = tokenizer(text, truncation=True, max_length=max_length)["input_ids"]
                truncated += 1
            tokens += len(whole)
            cut += len(whole) - len(ids)
            encoded.append(ids)
    return encoded, Truncation(len(encoded), truncated, tokens, cut)


def _chunks(texts: Sequence[str]) -> list[list[str]]:
    return [list(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK)]
