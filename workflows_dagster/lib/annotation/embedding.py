"""Texts as vectors, for a varied sample and for the search for similar reviews."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from workflows_dagster.lib.annotation.libraries import load
from workflows_dagster.lib.annotation.word_model import embed_words, unit_length
from workflows_dagster.lib.model.inference import Values, infer
from workflows_dagster.lib.model.pretrained import ModelSource, resolve_model
from workflows_dagster.lib.model.text import TextEncoder, load_tokenizer
from workflows_dagster.lib.model.torch_network import MeanPooledNetwork

WORDS: Final = "words"
"""Name of the embedding by counted words, which needs no model."""

_MAX_TOKENS: Final = 256  # what all-MiniLM-L6-v2 was trained on

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


def _mean_pooled(texts: Sequence[str], source: ModelSource) -> Values:
    for library in ("torch", "transformers"):
        load(library, "an embedding by an encoder")
    network = MeanPooledNetwork(source.folder)
    encoder = TextEncoder.of(load_tokenizer(source.folder), _MAX_TOKENS)
    rows = encoder.encode(texts)
    return infer(network, rows, [len(row) for row in rows], encoder.collate, outputs=network.outputs)
