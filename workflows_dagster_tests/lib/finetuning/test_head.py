"""The head that begins as a linear probe."""

from typing import Any

import numpy as np
import torch

from workflows_dagster.lib.finetuning.head import Row, start_head


class _Mean(torch.nn.Module):
    """A frozen layer that changes nothing, then a head on the mean of the vectors."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Linear(2, 2)
        self.head = torch.nn.Linear(2, 3)
        for value in self.body.parameters():
            value.requires_grad = False

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(inputs.mean(1))


def _batch(rows: Any) -> dict[str, Any]:
    return {"inputs": torch.tensor(np.stack([row for row, _, _ in rows])), "labels": torch.zeros(len(rows))}


def test_head_separates_what_its_inputs_separate() -> None:
    centres = np.array([[0.0, 0.0], [0.0, 0.01], [0.01, 0.0]], dtype=np.float32)
    noise = np.random.default_rng(0).normal(scale=0.001, size=(60, 1, 2)).astype(np.float32)
    rows: list[Row] = [(centres[[row % 3]] + noise[row], row % 3, 1.0) for row in range(60)]
    model = _Mean()
    start_head(model, rows, _batch)
    with torch.inference_mode():
        found = model(_batch(rows)["inputs"]).argmax(1).tolist()
    assert found == [label for _, label, _ in rows]
