"""Batches and tokenizers of exported models."""

import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.export.tokens import copy_tokenizer, encode, open_tokenizer, pad, plan_batches


def test_batches_hold_rows_of_like_length_within_the_budget() -> None:
    # Sorted lengths 2, 3, 4, 9 (rows 1, 3, 0, 2): 2 rows x 3 fit into 8 tokens, 3 x 4 do not; 9 alone exceeds it.
    assert [batch.tolist() for batch in plan_batches([4, 2, 9, 3], 8)] == [[1, 3], [0], [2]]


def test_no_rows_give_no_batches() -> None:
    assert plan_batches([], 8) == []


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 200))
def test_every_row_is_in_one_batch_and_only_single_rows_exceed_the_budget(lengths: list[int], budget: int) -> None:
    batches = plan_batches(lengths, budget)
    assert sorted(int(row) for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[int(row)] for row in batch) <= budget


def test_padding_is_masked() -> None:
    ids, mask = pad([[5, 6, 7], [8]], pad_id=9)
    np.testing.assert_array_equal(ids, [[5, 6, 7], [8, 9, 9]])
    np.testing.assert_array_equal(mask, [[1, 1, 1], [1, 0, 0]])


def test_baked_padding_and_truncation_are_replaced(tiny_merged: Artifact) -> None:
    tokenizer = open_tokenizer(tiny_merged.folder / "model", 12)
    short, long = encode(tokenizer, ["good", "good " * 40])
    assert len(short) == 3  # [CLS] good [SEP], not padded to the 8 of the file
    assert len(long) == 12  # not cut at the 8 of the file
    assert (long[0], long[-1]) == (2, 3)


def test_the_tokenizer_that_travels_cuts_where_training_did(tiny_merged: Artifact, tmp_path: Path) -> None:
    copy_tokenizer(tiny_merged.folder / "model", tmp_path, 12)
    written = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    assert written["padding"] is None
    assert written["truncation"]["max_length"] == 12
    assert written["truncation"]["direction"] == "Right"
    assert json.loads((tmp_path / "tokenizer_config.json").read_text("utf-8"))["model_max_length"] == 12
