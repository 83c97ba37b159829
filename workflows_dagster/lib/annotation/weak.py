"""How right the weak labels are, judged by people."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from workflows_dagster.lib.annotation.measures import Resampling, weighted_share
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.schema import LABELS


@dataclass(frozen=True)
class WeakLabels:
    """The weak labels beside those that people agreed on.

    People saw the weak label as a suggestion, so these figures are upper bounds. Rows picked because they look
    wrong would say that most are: figures are of rows drawn at random, each counting for those that it stands for.

    Attributes:
        accuracy: Part of the weak labels that people confirm; None where there is nothing to compare.
        by_label: The same for the rows of each weak label.
        changes: Rows by `weak->human` where they differ, picked ones too.
    """

    accuracy: Estimate | None
    by_label: Mapping[str, Estimate | None]
    changes: Mapping[str, int]


def compare(labels: pl.DataFrame, weak: pl.DataFrame, resampling: Resampling) -> WeakLabels:
    """The weak labels of the reviews that people resolved.

    Args:
        labels: Columns review_id and label, null where unresolved.
        weak: Columns review_id, weak (the label before) and weight (the rows that a random one stands for, else null).
        resampling: How intervals are made.
    """
    both = labels.select("review_id", "label").join(weak, on="review_id").drop_nulls(["label", "weak"])
    changed = Counter(
        f"{before}->{after}" for before, after in both.select("weak", "label").iter_rows() if before != after
    )
    drawn = both.filter(pl.col("weight").is_not_null())
    return WeakLabels(
        accuracy=_confirmed(drawn, resampling),
        by_label={label: _confirmed(drawn.filter(pl.col("weak") == label), resampling) for label in LABELS},
        changes=dict(sorted(changed.items())),
    )


def _confirmed(rows: pl.DataFrame, resampling: Resampling) -> Estimate | None:
    return weighted_share((rows["label"] == rows["weak"]).to_numpy(), rows["weight"].to_numpy(), resampling)
