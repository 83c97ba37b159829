"""Running a model: batches within a budget, one inference loop, and a classifier from items to probabilities.

A process that serves a model imports this module: numpy is all that it may load.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from workflows_dagster.lib.metrics import softmax

BATCH_TOKENS: Final = 1024
"""Padded tokens that are computed at once unless asked otherwise.

Small batches that stay in cache beat large ones on a CPU.
"""

Values = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
Inputs = Mapping[str, npt.NDArray[Any]]
"""One batch: arrays by the names that the network gives its inputs."""
_Row = TypeVar("_Row")


class Network(Protocol):
    """A loaded model without what prepares its inputs."""

    def __call__(self, inputs: Inputs) -> Values:
        """Its output for one batch, shape (rows, outputs): scores before softmax, or vectors."""
        ...


class Encoder(Protocol[_Row]):
    """Prepares items (texts, say) for a network."""

    def encode(self, items: Sequence[Any]) -> list[_Row]:
        """One row for each item."""
        ...

    def collate(self, rows: Sequence[_Row]) -> Inputs:
        """The rows as one batch."""
        ...


def plan_batches(sizes: Sequence[int], budget: int) -> list[Places]:
    """Places of the rows of each batch, rows of similar size together.

    Sorting saves padding: in order of arrival, more than half of the computed tokens are padding.

    Args:
        sizes: Size of each row, such as its tokens.
        budget: What a batch may hold, each row counted at the size of its largest; a larger row is a batch of its own.

    Returns:
        Every place once, smallest rows first.
    """
    order = np.argsort(np.asarray(sizes, dtype=np.int64), kind="stable")
    batches: list[Places] = []
    start = 0
    for end in range(1, len(order) + 1):
        full = end == len(order) or (end - start + 1) * sizes[int(order[end])] > budget
        if full:
            batches.append(order[start:end])
            start = end
    return batches


def infer(
    network: Network,
    rows: Sequence[_Row],
    sizes: Sequence[int],
    collate: Callable[[Sequence[_Row]], Inputs],
    *,
    outputs: int,
    budget: int = BATCH_TOKENS,
    advance: Callable[[int], object] | None = None,
) -> Values:
    """What a network gives for rows, in their order, shape (rows, outputs).

    Args:
        network: The model.
        rows: Encoded items.
        sizes: Size of each row.
        collate: Makes a batch of rows.
        outputs: Values that the network gives for each row.
        budget: Size of a batch at most.
        advance: Called after each batch with its rows.
    """
    values = np.empty((len(rows), outputs), dtype=np.float32)
    for batch in plan_batches(sizes, budget):
        values[batch] = network(collate([rows[int(place)] for place in batch]))
        if advance is not None:
            advance(len(batch))
    return values


class Classifier:
    """A network with what prepares its inputs.

    Args:
        network: The model.
        encoder: Prepares its inputs; the length of a row is its size.
        labels: Names of the outputs, in their order.
        budget: Size of a batch at most.
    """

    def __init__(
        self, network: Network, encoder: Encoder[Any], labels: Sequence[str], budget: int = BATCH_TOKENS
    ) -> None:
        self.labels = tuple(labels)
        self._network = network
        self._encoder = encoder
        self._budget = budget

    def logits(self, items: Sequence[Any]) -> Values:
        """Scores before softmax, shape (items, labels)."""
        rows = self._encoder.encode(items)
        sizes = [len(row) for row in rows]
        return infer(self._network, rows, sizes, self._encoder.collate, outputs=len(self.labels), budget=self._budget)

    def predict(self, items: Sequence[Any]) -> Values:
        """Probability of each label, shape (items, labels)."""
        return softmax(self.logits(items))
