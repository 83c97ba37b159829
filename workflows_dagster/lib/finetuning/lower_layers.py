"""The layers below the adapted ones: training does not change them, so what they give is computed once."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from workflows_dagster.lib.model.inference import BATCH_TOKENS, plan_batches
from workflows_dagster.lib.progress import Progress

if TYPE_CHECKING:
    from workflows_dagster.lib.model.text import TextEncoder

SKIPPABLE: Final = frozenset({"bert", "roberta", "xlm-roberta", "camembert"})
"""Model types whose base model is embeddings, then encoder.layer, one after the other."""


class LayerStates:
    """The state of each token of each row after the lower layers, in float16, in a file.

    Args:
        values: Shape (tokens of all rows, width).
        sizes: Tokens of each row.
    """

    def __init__(self, values: npt.NDArray[np.float16], sizes: Sequence[int]) -> None:
        self._values = values
        self._starts = np.concatenate([[0], np.cumsum(sizes)])

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, row: int) -> npt.NDArray[np.float16]:
        return self._values[self._starts[row] : self._starts[row + 1]]


def lower_layers(model: Any, adapted: int | None) -> int:
    """How many layers can be computed once: those below the adapted ones, in an architecture that is known."""
    if adapted is None or model.config.model_type not in SKIPPABLE:
        return 0
    return max(0, len(model.base_model.encoder.layer) - adapted)


def compute_states(
    model: Any, rows: Sequence[Sequence[int]], encoder: "TextEncoder", layers: int, path: Path
) -> LayerStates:
    """What the lower layers give for tokenized rows; read from the file where an earlier attempt has written it.

    Args:
        model: The transformers model, without an adapter on these layers.
        rows: Token ids.
        encoder: Makes batches of them.
        layers: Number of the lower layers.
        path: The file, which appears when it is complete.
    """
    import torch

    sizes = [len(row) for row in rows]
    shape = (sum(sizes), int(model.config.hidden_size))
    if path.is_file() and path.stat().st_size == 2 * shape[0] * shape[1]:
        return LayerStates(np.memmap(path, np.float16, "r", shape=shape), sizes)
    partial = path.with_suffix(".partial")
    values = np.memmap(partial, np.float16, "w+", shape=shape)
    states = LayerStates(values, sizes)
    base, device = model.base_model, model.device
    progress = Progress(f"computing the lower {layers} layers", len(rows), "rows")
    whole = base.encoder.layer
    base.encoder.layer = whole[:layers]
    try:
        for batch in plan_batches(sizes, BATCH_TOKENS):
            inputs = encoder.collate([rows[int(place)] for place in batch])
            tensors = {name: torch.from_numpy(array).to(device) for name, array in inputs.items()}
            with torch.inference_mode():
                output = base(**tensors).last_hidden_state.half().cpu().numpy()
            for place, row in zip(batch, output, strict=True):
                states[int(place)][:] = row[: sizes[int(place)]]
            progress.advance(len(batch))
    finally:
        base.encoder.layer = whole
    values.flush()
    partial.replace(path)
    return states


@contextmanager
def upper_layers_alone(model: Any, layers: int) -> Generator[None]:
    """The model takes the states of the lower layers as `inputs_embeds`, and runs the layers above them.

    The numbers of the layers stay, and with them the names of the adapter's weights.
    """
    from torch import nn

    class States(nn.Module):
        def forward(self, inputs_embeds: Any = None, **_: Any) -> Any:
            return inputs_embeds

    class Skipped(nn.Module):
        def forward(self, hidden_states: Any, *_: Any, **__: Any) -> Any:
            return hidden_states

    base = model.base_model
    embeddings, whole = base.embeddings, list(base.encoder.layer)
    base.embeddings = States()
    base.encoder.layer = nn.ModuleList([*(Skipped() for _ in range(layers)), *whole[layers:]])
    try:
        yield
    finally:
        base.embeddings = embeddings
        base.encoder.layer = nn.ModuleList(whole)
