"""A smaller vocabulary: fewer pieces in the tokenizer, and their rows alone in the model's embedding.

The embedding of a multilingual model holds most of its weights, in pieces of languages that a corpus does not have. A
text with a piece that was left out is spelled in shorter ones: nothing becomes unknown that was known.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from workflows_dagster.lib.model.text import TextEncoder

_BOUNDARY: Final = "▁"


def write_smaller_tokenizer(source: Path, texts: Sequence[str], size: int, folder: Path) -> bool:
    """Writes the tokenizer of a model's folder with fewer pieces; False where it is left as it is.

    Kept are special tokens, single characters, the pieces that the texts use, and up to `size` the most probable ones
    in the scripts of the texts, then of the others. So a corpus in Latin letters leaves the other languages in Latin
    letters nearly as they were; of Cyrillic words, single letters may be left.

    Args:
        source: Folder with tokenizer.json and tokenizer_config.json.
        texts: Whose pieces are kept, however rare.
        size: Pieces to keep; more where single characters and the texts alone need more.
        folder: Where to write.
    """
    tokenizer = json.loads((source / "tokenizer.json").read_text("utf-8"))
    model = tokenizer["model"]
    # Only the unigram model finds another way to spell a word whose piece is gone.
    if model["type"] != "Unigram" or len(model["vocab"]) <= size:
        return False
    pieces: list[tuple[str, float]] = [(piece, score) for piece, score in model["vocab"]]
    kept = _needed(tokenizer, pieces)
    kept |= {number for row in TextEncoder.open(source, 2**30, 0).encode(texts) for number in row}
    scripts = _scripts(texts)
    foreign = [(script := _script(piece)) is not None and script not in scripts for piece, _ in pieces]
    for number in np.lexsort(([-score for _, score in pieces], foreign)).tolist():
        if len(kept) >= size:
            break
        kept.add(number)
    new_ids = {old: new for new, old in enumerate(sorted(kept))}
    model["vocab"] = [pieces[old] for old in new_ids]
    model["unk_id"] = new_ids[model["unk_id"]]
    for token in tokenizer["added_tokens"]:
        token["id"] = new_ids[token["id"]]
    for special in _specials(tokenizer):
        special["ids"] = [new_ids[number] for number in special["ids"]]
    text = json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":"))
    (folder / "tokenizer.json").write_text(text + "\n", "utf-8")
    config = (source / "tokenizer_config.json").read_text("utf-8")
    (folder / "tokenizer_config.json").write_text(config, "utf-8")
    return True


def select_embedding(model: Any, base: Any, tokenizer: Any) -> None:
    """Leaves the rows of a model's embedding that belong to the tokens of a smaller tokenizer, in its order.

    Args:
        model: A transformers model with the vocabulary of `base`; changed in place.
        base: Its transformers tokenizer.
        tokenizer: A tokenizer with some of its tokens.
    """
    import torch

    old_ids: dict[str, int] = base.get_vocab()
    tokens = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    rows = torch.tensor([old_ids[token] for token, _ in tokens])
    embedding = model.get_input_embeddings()
    smaller = torch.nn.Embedding(
        len(tokens),
        embedding.embedding_dim,
        padding_idx=tokenizer.pad_token_id,
        _weight=embedding.weight.detach()[rows],
    )
    smaller.weight.requires_grad = embedding.weight.requires_grad
    model.set_input_embeddings(smaller)
    model.config.vocab_size = len(tokens)
    for name in ("pad", "bos", "eos"):
        setattr(model.config, f"{name}_token_id", getattr(tokenizer, f"{name}_token_id"))


def _needed(tokenizer: dict[str, Any], pieces: Sequence[tuple[str, float]]) -> set[int]:
    """Ids of special tokens, of what the post-processor adds, and of single characters."""
    needed = {number for number, (piece, _) in enumerate(pieces) if len(piece.removeprefix(_BOUNDARY)) <= 1}
    needed |= {token["id"] for token in tokenizer["added_tokens"]}
    return needed | {number for special in _specials(tokenizer) for number in special["ids"]}


def _scripts(texts: Sequence[str]) -> set[str]:
    """The scripts that have at least a hundredth of the letters of the texts."""
    letters = Counter(character for text in texts for character in text if character.isalpha())
    scripts: Counter[str] = Counter()
    for letter, count in letters.items():
        scripts[_script(letter) or ""] += count
    return {script for script, count in scripts.items() if 100 * count >= letters.total()}


def _script(piece: str) -> str | None:
    """The script of the first letter, as its Unicode name begins: LATIN, CYRILLIC, CJK. None without a letter."""
    letter = next((character for character in piece if character.isalpha()), None)
    return None if letter is None else unicodedata.name(letter, "").partition(" ")[0]


def _specials(tokenizer: dict[str, Any]) -> Sequence[dict[str, Any]]:
    processor: dict[str, Any] = tokenizer.get("post_processor") or {}
    return list(processor.get("special_tokens", {}).values())
