"""How good predictions are: one table of them, one judge, and the paired comparison of two models."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from workflows_dagster.lib.errors import DataContractError
from workflows_dagster.lib.metrics import (
    Classes,
    Estimate,
    Metric,
    agreement,
    bootstrap,
    confusion,
    f1_per_class,
    macro_f1_of,
    paired_bootstrap,
)
from workflows_dagster.lib.schema import LABELS, column

PREDICTION: Final = pa.schema(
    [
        column("review_id", pa.string(), "The review", nullable=False),
        column("source", pa.string(), "Name of its source", nullable=False),
        column("language", pa.string(), "ISO 639 code"),
        column("label", pa.string(), "What it should be", nullable=False),
        column("label_source", pa.string(), "Where the label is from; human: a gold row", nullable=False),
        column("predicted", pa.string(), "What the model says", nullable=False),
        column("probabilities", pa.list_(pa.float32()), "Of negative, neutral and positive", nullable=False),
    ]
)
INTERVAL_SEED: Final = 0
"""Seed of every bootstrap interval: equal predictions have equal intervals, wherever they are judged."""

_CLASS_ID: Final = {label: number for number, label in enumerate(LABELS)}


@dataclass(frozen=True)
class Quality:
    """How good predictions are, each figure with interval and sample size.

    Attributes:
        macro_f1: Mean F1 of the classes.
        accuracy: Share of right predictions.
        per_class: F1 of each class that occurs in labels or predictions; n is the rows with that label.
        per_source: Macro-F1 over the classes that occur in a source.
        per_language: The same for each language.
        per_label_source: The same for each origin of the label; "human" is the gold set, the rest rests on weak labels.
        confusion: Rows by label (outer) and prediction (inner), in the order of LABELS.
    """

    macro_f1: Estimate
    accuracy: Estimate
    per_class: dict[str, Estimate]
    per_source: dict[str, Estimate]
    per_language: dict[str, Estimate]
    per_label_source: dict[str, Estimate]
    confusion: tuple[tuple[int, ...], ...]

    @property
    def gold(self) -> Estimate | None:
        """Macro-F1 on the rows that people labelled; None where they labelled no test row."""
        return self.per_label_source.get("human")


def class_ids(labels: pl.Series) -> Classes:
    """Class ids of labels, shape (n,)."""
    return labels.replace_strict(_CLASS_ID, return_dtype=pl.Int64).to_numpy()


def prediction_table(rows: pl.DataFrame, probabilities: npt.NDArray[np.floating]) -> pl.DataFrame:
    """The rows with the class of the highest probability, in the columns of PREDICTION."""
    return rows.select("review_id", "source", "language", "label", "label_source").with_columns(
        predicted=predicted_labels(probabilities),
        probabilities=pl.Series(probabilities.astype(np.float32).tolist(), dtype=pl.List(pl.Float32)),
    )


def predicted_labels(probabilities: npt.NDArray[np.floating]) -> pl.Series:
    """The label of the highest probability in each row."""
    return pl.Series(np.array(LABELS)[probabilities.argmax(axis=1)], dtype=pl.String)


def judge(predictions: pl.DataFrame) -> Quality:
    """The quality of a table of predictions, with the columns of PREDICTION but for the probabilities."""
    truth, predicted = class_ids(predictions["label"]), class_ids(predictions["predicted"])
    present = np.unique(np.concatenate([truth, predicted]))
    return Quality(
        macro_f1=_estimate(predictions, macro_f1_of),
        accuracy=agreement(truth, predicted),
        per_class={
            LABELS[number]: replace(_estimate(predictions, _f1_of_class(int(number))), n=int((truth == number).sum()))
            for number in present
        },
        per_source=macro_f1_by(predictions, "source"),
        per_language=macro_f1_by(predictions.with_columns(pl.col("language").fill_null("unknown")), "language"),
        per_label_source=macro_f1_by(predictions, "label_source"),
        confusion=tuple(map(tuple, confusion(truth, predicted, len(LABELS)).tolist())),
    )


def macro_f1_by(predictions: pl.DataFrame, column: str) -> dict[str, Estimate]:
    """Macro-F1 over the classes that occur, for each value of a column, sorted by value."""
    return {
        str(value): _estimate(group, macro_f1_of)
        for (value,), group in sorted(predictions.group_by(column), key=lambda item: str(item[0][0]))
    }


def macro_f1_gain(ours: pl.DataFrame, theirs: pl.DataFrame) -> Estimate:
    """How much higher the macro-F1 of one model is than that of another on the same rows, paired.

    Raises:
        DataContractError: The tables do not hold the same rows.
    """
    both = ours.join(theirs, on=["review_id", "label"], how="inner", suffix="_theirs")
    if not ours.height == theirs.height == both.height:
        raise DataContractError(
            "two models are compared on different rows",
            given=f"{ours.height} and {theirs.height} rows, {both.height} of them in both",
            expected="the same rows with the same labels",
            remedy="predict with both models on the same test rows",
        )
    truth, first, second = (class_ids(both[name]) for name in ("label", "predicted", "predicted_theirs"))
    return paired_bootstrap(truth, first, second, classes=len(LABELS), seed=INTERVAL_SEED)


def _estimate(predictions: pl.DataFrame, metric: Metric) -> Estimate:
    truth, predicted = class_ids(predictions["label"]), class_ids(predictions["predicted"])
    return bootstrap(truth, predicted, metric, classes=len(LABELS), seed=INTERVAL_SEED)


def _f1_of_class(number: int) -> Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]]:
    # A resample without the class at all says nothing against the model: it counts as 0 only where it was missed.
    return lambda matrix: np.nan_to_num(f1_per_class(matrix)[..., number])
