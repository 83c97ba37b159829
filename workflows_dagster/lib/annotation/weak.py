"""How right the weak labels are, judged by people."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from workflows_dagster.lib.annotation.measures import Resampling, share
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.schema import LABELS


@dataclass(frozen=True)
class WeakLabels:
    """The weak labels beside those that people agreed on.

    People saw the weak label as a suggestion, so these figures are upper bounds.

    Attributes:
        accuracy: Part of the weak labels that people confirm; None where there is nothing to compare.
        by_label: The same for the rows of each weak label.
        changes: Rows by `weak->human` where they differ.
    """

    accuracy: Estimate | None
    by_label: Mapping[str, Estimate | None]
    changes: Mapping[str, int]


def compare(labels: pl.DataFrame, weak: pl.DataFrame, resampling: Resampling) -> WeakLabels:
    """The weak labels of the reviews that people resolved.

    Args:
        labels: Columns review_id and label, null where unresolved.
        weak: Columns review_id and weak, the label before.
        resampling: How intervals are made.
    """
    both = labels.select("review_id", "label").join(weak, on="review_id").drop_nulls()
    changed = Counter(
        f"{before}->{after}" for before, after in both.select("weak", "label").iter_rows() if before != after
    )
    return WeakLabels(
        accuracy=_confirmed(both, resampling),
        by_label={label: _confirmed(both.filter(pl.col("weak") == label), resampling) for label in LABELS},
        changes=dict(sorted(changed.items())),
    )


def _confirmed(rows: pl.DataFrame, resampling: Resampling) -> Estimate | None:
    return share((rows["label"] == rows["weak"]).to_numpy(), resampling)
