"""How good predictions are, overall, per class and per source, with intervals."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from workflows_dagster.lib.metrics import (
    Classes,
    accuracy_of,
    bootstrap,
    confusion,
    f1_per_class,
    macro_f1_of,
)
from workflows_dagster.lib.schema import LABELS

CLASSES: Final = {label: number for number, label in enumerate(LABELS)}


def class_ids(labels: Sequence[str]) -> Classes:
    """Class ids of labels, shape (n,)."""
    return np.asarray([CLASSES[label] for label in labels], dtype=np.int64)


def quality(truth: Classes, predicted: Classes, sources: Sequence[str], seed: int) -> dict[str, Any]:
    """Accuracy, macro-F1, F1 of each class and the confusion matrix; accuracy and macro-F1 of each source."""
    options = {"classes": len(LABELS), "seed": seed}
    names = np.asarray(sources)
    per_source: dict[str, Any] = {}
    for name in sorted(set(sources)):
        chosen = names == name
        per_source[name] = {
            "macro_f1": asdict(bootstrap(truth[chosen], predicted[chosen], macro_f1_of, **options)),
            "accuracy": asdict(bootstrap(truth[chosen], predicted[chosen], accuracy_of, **options)),
        }
    return {
        "macro_f1": asdict(bootstrap(truth, predicted, macro_f1_of, **options)),
        "accuracy": asdict(bootstrap(truth, predicted, accuracy_of, **options)),
        "per_class": per_class(truth, predicted, seed),
        "per_source": per_source,
        "confusion": confusion(truth, predicted, len(LABELS)).tolist(),
    }


def per_class(truth: Classes, predicted: Classes, seed: int) -> dict[str, Any]:
    """F1 of each class that occurs, with interval and its true rows as n."""
    found: dict[str, Any] = {}
    for label, number in CLASSES.items():
        support = int((truth == number).sum())
        if support == 0 and not (predicted == number).any():
            continue
        estimate = bootstrap(
            truth,
            predicted,
            lambda matrix, c=number: np.nan_to_num(f1_per_class(matrix)[..., c]),
            classes=len(LABELS),
            seed=seed,
        )
        found[label] = {**asdict(estimate), "n": support}
    return found
