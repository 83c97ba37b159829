"""Copies of one review: several versions under one id, and several reviews with one text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from workflows_dagster.lib.cleaning.labels import TRUST

TEXT_HASH: Final = ("text_hash_a", "text_hash_b")
"""Two 64-bit hashes of a text key: texts that agree in both are taken for equal."""

BEST_FIRST: Final = ("agrees", "trust", "length", "created_at", "row")
"""Which of several copies is kept: one whose label stands, with the more trusted label, longer, earlier, smaller id."""
_DESCENDING: Final = (True, True, True, False, False)

COPY_COLUMNS: Final = ("row", "review_id", "label", "label_source", "trust", "length", "created_at", *TEXT_HASH)


def trust_of(label_source: pl.Expr) -> pl.Expr:
    """How far a label is trusted, 0 where there is none."""
    return label_source.replace_strict(TRUST, default=0, return_dtype=pl.Int8)


def newest_first(frame: pl.DataFrame, batch_order: Sequence[str] = ()) -> pl.DataFrame:
    """The rows by id, the newest version of each id first: latest `created_at`, then latest batch.

    Versions that agree in both are ordered by their content, so that the order in which rows arrive does not matter.

    Args:
        frame: Reviews with `review_id`, `created_at` and `batch`.
        batch_order: Keys of batches, oldest first. Those that are not named come before all others, in their order.
    """
    ages = {key: age for age, key in enumerate(batch_order)}
    age = pl.col("batch").replace_strict(ages, default=-1, return_dtype=pl.Int64)
    tie_breakers = [name for name in sorted(frame.columns) if name not in ("review_id", "created_at", "batch")]
    by = ["review_id", "created_at", age, "batch", *tie_breakers]
    return frame.sort(by, descending=[False, True, True, True, *[False] * len(tie_breakers)], nulls_last=True)


@dataclass(frozen=True)
class ExactCopies:
    """What is decided about the reviews whose text occurs more than once.

    Attributes:
        dropped: `row` of each copy that goes and `kept_row` of the one that stays.
        conflicts: One row for each text whose copies carry different labels: `row` of the copy that stays, the
            `review_ids`, `labels` and `label_sources` of all labelled ones, the `label` that stands (null where none
            does) and the `rule` that decided ("trust", "majority" or "tie").
    """

    dropped: pl.DataFrame
    conflicts: pl.DataFrame


def settle_copies(reviews: pl.DataFrame) -> ExactCopies:
    """Chooses the best copy of each text, and the label that stands where copies disagree.

    The most trusted kind of label among the copies decides (human, then given, then rating), by majority; where the
    most frequent labels are tied, the text loses its label. The kept copy is one that came with the label that stands,
    so that no review gets a label it did not come with.

    Args:
        reviews: The columns `COPY_COLUMNS`; ids are unique, and all copies of a text are there.
    """
    text = list(TEXT_HASH)
    copies = reviews.filter(pl.len().over(text) > 1)
    verdicts = _verdicts(copies.filter(pl.col("label").is_not_null()))
    agrees = pl.col("label").eq(pl.col("verdict")).fill_null(value=False).alias("agrees")
    ranked = (
        copies.join(verdicts, on=text, how="left")
        .with_columns(agrees)
        .sort([*text, *BEST_FIRST], descending=[False, False, *_DESCENDING], nulls_last=True)
        .with_columns(kept_row=pl.col("row").first().over(text))
    )
    dropped = ranked.filter(pl.col("row") != pl.col("kept_row")).select("row", "kept_row")
    return ExactCopies(dropped, _conflicts(ranked))


def _verdicts(labelled: pl.DataFrame) -> pl.DataFrame:
    """The label that stands for each text with labels, and how it was found."""
    text = list(TEXT_HASH)
    decisive = labelled.filter(pl.col("trust") == pl.col("trust").max().over(text))
    votes = decisive.group_by(*text, "label").agg(votes=pl.len())
    most = votes.filter(pl.col("votes") == pl.col("votes").max().over(text))
    winners = most.group_by(text).agg(verdict=pl.when(pl.len() == 1).then(pl.col("label").first()), tied=pl.len() > 1)
    rivals = votes.group_by(text).agg(rivals=pl.len())
    return winners.join(rivals, on=text).select(
        *text,
        "verdict",
        rule=pl.when(pl.col("tied"))
        .then(pl.lit("tie"))
        .when(pl.col("rivals") > 1)
        .then(pl.lit("majority"))
        .otherwise(pl.lit("trust")),
    )


def _conflicts(ranked: pl.DataFrame) -> pl.DataFrame:
    labelled = ranked.filter(pl.col("label").is_not_null()).sort("row")
    return (
        labelled.group_by("kept_row", maintain_order=True)
        .agg(
            "review_id",
            "label",
            "label_source",
            pl.col("verdict").first(),
            pl.col("rule").first(),
            distinct=pl.col("label").n_unique(),
        )
        .filter(pl.col("distinct") > 1)
        .select(
            row="kept_row",
            review_ids="review_id",
            labels="label",
            label_sources="label_source",
            label="verdict",
            rule="rule",
        )
    )
