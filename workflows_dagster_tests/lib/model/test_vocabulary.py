"""A tokenizer with fewer pieces, and the embedding that belongs to it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel

from workflows_dagster.lib.model.multilingual_e5 import write_multilingual_e5
from workflows_dagster.lib.model.text import load_tokenizer
from workflows_dagster.lib.model.vocabulary import select_embedding, write_smaller_tokenizer
from workflows_dagster_tests.lib.model.packed import PIECES, write_packed

# Kept in any case: four special tokens, the three of "query:", and ▁ g o d.
NEEDED = 11


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    write_packed(tmp_path / "packed.bin")
    write_multilingual_e5(tmp_path / "packed.bin", folder)
    return folder


def test_word_whose_piece_is_gone_is_spelled(base: Path, tmp_path: Path) -> None:
    assert write_smaller_tokenizer(base, ["dog"], NEEDED, tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == NEEDED
    assert tokenizer.encode("good").tokens == ["<s>", "▁que", "ry", ":", "▁", "g", "o", "o", "d", "</s>"]


def test_pieces_of_the_texts_are_kept(base: Path, tmp_path: Path) -> None:
    assert not write_smaller_tokenizer(base, ["good"], NEEDED + 1, tmp_path)  # that is all of them
    tokenizer = json.loads((base / "tokenizer.json").read_text("utf-8"))
    tokenizer["model"]["vocab"].append(["▁dog", -20.0])
    (base / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    assert write_smaller_tokenizer(base, ["a dog"], NEEDED, tmp_path)
    vocabulary = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).get_vocab()
    assert "▁dog" in vocabulary
    assert "▁good" not in vocabulary


def test_most_probable_pieces_fill_the_rest(base: Path, tmp_path: Path) -> None:
    tokenizer = json.loads((base / "tokenizer.json").read_text("utf-8"))
    tokenizer["model"]["vocab"] += [["▁rare", -20.0], ["▁common", -2.0]]
    (base / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    assert write_smaller_tokenizer(base, [], NEEDED + 1, tmp_path)
    vocabulary = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).get_vocab()
    assert {"▁rare", "▁common", "▁good"} & vocabulary.keys() == {"▁common"}


def test_scripts_of_the_texts_come_first(base: Path, tmp_path: Path) -> None:
    tokenizer = json.loads((base / "tokenizer.json").read_text("utf-8"))
    tokenizer["model"]["vocab"] += [["▁да", -2.0], ["▁dogs", -5.0]]
    (base / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    assert write_smaller_tokenizer(base, ["dog"], NEEDED + 2, tmp_path)
    vocabulary = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).get_vocab()
    assert {"▁да", "▁dogs", "▁good"} & vocabulary.keys() == {"▁dogs", "▁good"}


def test_model_with_the_smaller_embedding_gives_the_same_states(base: Path, tmp_path: Path) -> None:
    write_smaller_tokenizer(base, ["dog"], NEEDED, tmp_path)
    whole, smaller = load_tokenizer(base), load_tokenizer(tmp_path)
    model = AutoModel.from_pretrained(base, dtype=torch.float32).eval()
    text = "o g d"  # spelled alike by both
    with torch.inference_mode():
        before = model(**whole(text, return_tensors="pt")).last_hidden_state.numpy()
        select_embedding(model, whole, smaller)
        after = model(**smaller(text, return_tensors="pt")).last_hidden_state.numpy()
    assert model.config.vocab_size == NEEDED == len(PIECES) - 1
    np.testing.assert_allclose(after, before, atol=1e-6)
