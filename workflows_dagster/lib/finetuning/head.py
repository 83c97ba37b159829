"""Where the classification head begins: as a logistic regression on what the model gives before it is trained.

From a random head, the first steps pull the layers below it about. Source: Kumar et al. (2022), Fine-Tuning can Distort
Pretrained Features and Underperform Out-of-Distribution (linear probing, then fine-tuning).
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workflows_dagster.lib.model.inference import BATCH_TOKENS, plan_batches

REGULARIZATION: Final = 0.0007
"""Inverse strength, on standardized features; from 0.0003 to 0.003, five folds of the bundled sample differ little."""

Row = tuple[Any, int, float]
"""Input, class and weight of a training row."""


def start_head(
    model: Any,
    rows: Sequence[Row],
    batch_of: Callable[[Sequence[Row]], dict[str, Any]],
) -> None:
    """Fits the last linear layer of the head to the training rows, with the layers below it as they are.

    Args:
        model: The adapted model; changed in place.
        rows: The training rows.
        batch_of: Makes a batch of rows.
    """
    import torch
    from sklearn.linear_model import LogisticRegression

    last = [
        module
        for module in model.modules()
        if isinstance(module, torch.nn.Linear) and all(value.requires_grad for value in module.parameters())
    ][-1]
    features: npt.NDArray[np.float64] = np.empty((len(rows), last.in_features))
    seen: list[Any] = []
    hook = last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        model.eval()
        for places in plan_batches([len(row) for row, _, _ in rows], BATCH_TOKENS):
            batch = batch_of([rows[int(place)] for place in places])
            del batch["labels"]
            with torch.inference_mode():
                model(**{name: value.to(model.device) for name, value in batch.items()})
            features[places] = seen.pop().float().cpu().numpy()
    finally:
        hook.remove()
    classes = np.array([label for _, label, _ in rows])
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    probe = LogisticRegression(C=REGULARIZATION, max_iter=1000)
    probe.fit((features - mean) / scale, classes, sample_weight=np.array([weight for _, _, weight in rows]))
    slopes = probe.coef_ / scale
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(slopes))
        last.bias.copy_(torch.from_numpy(probe.intercept_ - slopes @ mean))
