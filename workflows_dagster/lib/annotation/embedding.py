"""Texts as vectors, for a varied sample and for the search for similar reviews."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workflows_dagster.lib.annotation.libraries import load
from workflows_dagster.lib.annotation.word_model import embed_words, unit_length
from workflows_dagster.lib.finetuning.models import ModelSource, resolve_model

WORDS: Final = "words"
"""Name of the embedding by counted words, which needs no model."""

_MAX_TOKENS: Final = 256  # what all-MiniLM-L6-v2 was trained on
_BATCH_ROWS: Final = 32

Vectors = npt.NDArray[np.float32]


def embed(texts: Sequence[str], reference: str) -> Vectors:
    """A vector of length 1 for each text; all zero for a text that says nothing to counted words.

    Args:
        texts: Texts; those of counted words are relative to each other.
        reference: "words", or an encoder by the reference of a model.

    Raises:
        ModelReferenceError: The reference names nothing that can be loaded.
        MissingExtraError: A library is not installed.
    """
    if reference == WORDS:
        return embed_words(texts)
    return unit_length(_mean_pooled(texts, resolve_model(reference)))


def _mean_pooled(texts: Sequence[str], source: ModelSource) -> npt.NDArray[np.float64]:
    """The mean of an encoder's last states over the tokens of each text, as sentence-transformers pools them."""
    torch: Any = load("torch", "an embedding by an encoder")
    transformers: Any = load("transformers", "an embedding by an encoder")
    tokenizer = transformers.AutoTokenizer.from_pretrained(source.folder)
    model = transformers.AutoModel.from_pretrained(source.folder, use_safetensors=True, dtype=torch.float32).eval()
    vectors = np.empty((len(texts), model.config.hidden_size))
    shortest_first = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    with torch.inference_mode():
        for start in range(0, len(texts), _BATCH_ROWS):
            places = shortest_first[start : start + _BATCH_ROWS]
            batch = tokenizer(
                [texts[place] for place in places],
                padding="longest",
                truncation=True,
                max_length=_MAX_TOKENS,
                return_tensors="pt",
            )
            mask = batch["attention_mask"].unsqueeze(-1)
            states = model(**batch).last_hidden_state
            vectors[places] = ((states * mask).sum(dim=1) / mask.sum(dim=1)).numpy()
    return vectors
