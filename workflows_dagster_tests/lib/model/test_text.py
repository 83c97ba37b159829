"""Texts as token batches, and the tokenizers that travel with a model."""

import json
from pathlib import Path

import numpy as np
import pytest

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.model.text import TextEncoder, copy_tokenizer


@pytest.fixture
def encoder(tiny_merged: Artifact) -> TextEncoder:
    return TextEncoder.open(tiny_merged.folder / "model", 12, pad_id=9)


def test_padding_is_masked(encoder: TextEncoder) -> None:
    inputs = encoder.collate([[5, 6, 7], [8]])
    np.testing.assert_array_equal(inputs["input_ids"], [[5, 6, 7], [8, 9, 9]])
    np.testing.assert_array_equal(inputs["attention_mask"], [[1, 1, 1], [1, 0, 0]])


def test_baked_padding_and_truncation_are_replaced(encoder: TextEncoder) -> None:
    short, long = encoder.encode(["good", "good " * 40])
    assert len(short) == 3  # [CLS] good [SEP], not padded to the 8 of the file
    assert len(long) == 12  # not cut at the 8 of the file
    assert (long[0], long[-1]) == (2, 3)


def test_what_the_limit_cuts_off_is_counted(encoder: TextEncoder) -> None:
    rows, truncation = encoder.encode_and_count(["good", "good " * 40, "bad " * 10])
    assert [len(row) for row in rows] == [3, 12, 12]
    # 3, 42 and 12 tokens with [CLS] and [SEP]: one text is longer than 12, by 30.
    assert (truncation.rows, truncation.rows_truncated, truncation.tokens, truncation.tokens_cut) == (3, 1, 57, 30)
    assert truncation.truncated_ratio == pytest.approx(1 / 3)


def test_the_tokenizer_that_travels_cuts_where_training_did(tiny_merged: Artifact, tmp_path: Path) -> None:
    copy_tokenizer(tiny_merged.folder / "model", tmp_path, 12)
    written = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    assert written["padding"] is None
    assert written["truncation"]["max_length"] == 12
    assert written["truncation"]["direction"] == "Right"
    assert json.loads((tmp_path / "tokenizer_config.json").read_text("utf-8"))["model_max_length"] == 12
