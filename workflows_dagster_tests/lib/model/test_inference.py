"""Batches within a budget, and the one inference loop."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.model.inference import Classifier, Inputs, Values, infer, plan_batches


def test_batches_hold_rows_of_similar_size_within_the_budget() -> None:
    # Sorted sizes 2, 3, 4, 9 (rows 1, 3, 0, 2): 2 rows x 3 fit into 8 tokens, 3 x 4 do not; 9 alone exceeds it.
    assert [batch.tolist() for batch in plan_batches([4, 2, 9, 3], 8)] == [[1, 3], [0], [2]]


def test_no_rows_give_no_batches() -> None:
    assert plan_batches([], 8) == []


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 200))
def test_every_row_is_in_one_batch_and_only_single_rows_exceed_the_budget(sizes: list[int], budget: int) -> None:
    batches = plan_batches(sizes, budget)
    assert sorted(int(row) for batch in batches for row in batch) == list(range(len(sizes)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(sizes[int(row)] for row in batch) <= budget


class Squares:
    """An encoder and a network for pictures, say: every row is an array of the same size."""

    def encode(self, items: Sequence[int]) -> list[list[int]]:
        return [[item] for item in items]

    def collate(self, rows: Sequence[Sequence[int]]) -> Inputs:
        return {"pixels": np.asarray(rows, dtype=np.float32)}

    def __call__(self, inputs: Inputs) -> Values:
        return np.hstack([inputs["pixels"], inputs["pixels"] ** 2])


def test_outputs_come_in_the_order_of_the_rows_and_progress_is_told() -> None:
    squares, advanced = Squares(), list[int]()
    rows = squares.encode([3, 1, 2])
    found = infer(squares, rows, [3, 1, 2], squares.collate, outputs=2, budget=4, advance=advanced.append)
    assert found.tolist() == [[3, 9], [1, 1], [2, 4]]
    assert advanced == [2, 1]


def test_classifier_gives_a_probability_of_each_label() -> None:
    found = Classifier(Squares(), Squares(), ("even", "odd")).predict([0, 2])
    # Logits (0, 0) and (2, 4): softmax 1/2, and 1 / (1 + e^2) = 0.1192.
    assert found == pytest.approx(np.array([[0.5, 0.5], [0.1192, 0.8808]]), abs=1e-4)
    assert Classifier(Squares(), Squares(), ("even", "odd")).predict([]).shape == (0, 2)
