"""Scores of predictions: overall, per class, source, language and origin of the label, and against another model."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from workflows_dagster.lib.errors import DataContractError
from workflows_dagster.lib.finetuning.sampling import class_ids
from workflows_dagster.lib.metrics import (
    Classes,
    Estimate,
    accuracy_of,
    bootstrap,
    f1_per_class,
    macro_f1_of,
    paired_bootstrap,
)
from workflows_dagster.lib.schema import LABELS

PREDICTION: Final = pa.schema(
    [
        pa.field("review_id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("language", pa.string()),
        pa.field("label", pa.string(), nullable=False),
        pa.field("label_source", pa.string(), nullable=False),  # "human": a gold row
        pa.field("predicted", pa.string(), nullable=False),
        pa.field("probabilities", pa.list_(pa.float32()), nullable=False),  # in the order of LABELS
    ]
)


@dataclass(frozen=True)
class Scores:
    """How good predictions are, each figure with interval and sample size.

    Attributes:
        macro_f1: Mean F1 of the classes.
        accuracy: Share of right predictions.
        per_class: F1 of each class that occurs.
        per_source: Macro-F1 over the classes that occur in a source.
        per_language: The same for each language.
        per_label_source: The same for each origin of the label; "human" is the gold set, the rest rests on weak labels.
    """

    macro_f1: Estimate
    accuracy: Estimate
    per_class: dict[str, Estimate]
    per_source: dict[str, Estimate]
    per_language: dict[str, Estimate]
    per_label_source: dict[str, Estimate]

    @property
    def gold(self) -> Estimate | None:
        """Macro-F1 on the rows that people labelled; None where they labelled no test row."""
        return self.per_label_source.get("human")

    def to_record(self) -> dict[str, object]:
        """As a JSON object."""
        return _rounded(asdict(self))


def prediction_table(rows: pl.DataFrame, probabilities: npt.NDArray[np.floating]) -> pl.DataFrame:
    """The rows with the class of the highest probability, in the columns of PREDICTION."""
    return rows.select("review_id", "source", "language", "label", "label_source").with_columns(
        predicted=pl.Series(np.array(LABELS)[probabilities.argmax(axis=1)], dtype=pl.String),
        probabilities=pl.Series(probabilities.astype(np.float32).tolist(), dtype=pl.List(pl.Float32)),
    )


def score(predictions: pl.DataFrame, seed: int) -> Scores:
    """The scores of a table of predictions."""
    truth, predicted = _truth_and_predicted(predictions)
    estimate = _bootstrapped(truth, predicted, seed)
    present = np.unique(np.concatenate([truth, predicted]))
    return Scores(
        macro_f1=estimate(macro_f1_of),
        accuracy=estimate(accuracy_of),
        per_class={LABELS[index]: estimate(_f1_of_class(int(index))) for index in present},
        per_source=_by_column(predictions, "source", seed),
        per_language=_by_column(predictions.with_columns(pl.col("language").fill_null("unknown")), "language", seed),
        per_label_source=_by_column(predictions, "label_source", seed),
    )


def macro_f1_gain(ours: pl.DataFrame, theirs: pl.DataFrame, seed: int) -> Estimate:
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
    truth, first = _truth_and_predicted(both)
    second = class_ids(both.select(label=pl.col("predicted_theirs")))
    return paired_bootstrap(truth, first, second, classes=len(LABELS), seed=seed)


def _truth_and_predicted(predictions: pl.DataFrame) -> tuple[Classes, Classes]:
    return class_ids(predictions), class_ids(predictions.select(label=pl.col("predicted")))


def _bootstrapped(truth: Classes, predicted: Classes, seed: int) -> Callable[..., Estimate]:
    def estimate(metric: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]]) -> Estimate:
        return bootstrap(truth, predicted, metric, classes=len(LABELS), seed=seed)

    return estimate


def _f1_of_class(index: int) -> Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float64]]:
    def f1(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        # A resample without the class at all says nothing against the model: it counts as 0 only where it was missed.
        return np.nan_to_num(f1_per_class(matrix)[..., index])

    return f1


def _by_column(predictions: pl.DataFrame, column: str, seed: int) -> dict[str, Estimate]:
    return {
        str(value): _bootstrapped(*_truth_and_predicted(group), seed)(macro_f1_of)
        for (value,), group in sorted(predictions.group_by(column), key=lambda item: str(item[0][0]))
    }


def _rounded(value: object) -> dict[str, object]:
    """Floats to six digits: more would only make equal results look different."""

    def walk(item: object) -> object:
        match item:
            case float():
                return round(item, 6)
            case dict():
                return {str(key): walk(inner) for key, inner in item.items()}
            case _:
                return item

    return {str(key): walk(inner) for key, inner in value.items()} if isinstance(value, dict) else {}
