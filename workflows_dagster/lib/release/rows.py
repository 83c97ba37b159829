"""Which rows two versions of a table hold differently, by review id and in bounded memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import polars as pl

ROWS_AT_ONCE: Final = 2_000_000
"""Rows of both tables that are compared at once, as an id and a fingerprint each: about 200 MB."""

COMPARED: Final = (
    "source",
    "text",
    "stars",
    "label",
    "label_source",
    "language",
    "product_id",
    "group_key",
    "created_at",
    "split",
)
"""What makes a row another one. Which batch of files brought it does not."""

_SLICE_SEED: Final = 1


@dataclass(frozen=True)
class RowChange:
    """Rows that changed in one way.

    Attributes:
        change: What happened to them.
        source: Where they come from.
        label: Their label; where they were changed, the one afterwards.
        label_before: Their label before; None also where they are new.
        rows: How many.
    """

    change: Literal["added", "removed", "changed"]
    source: str
    label: str | None
    label_before: str | None
    rows: int


def changed_rows(before: Path, after: Path, rows_at_once: int = ROWS_AT_ONCE) -> list[RowChange]:
    """What became of the rows of a table, counted by change, source and label, sorted.

    Ids are spread over as many slices as keep each below `rows_at_once`; the tables are read once for each slice.

    Args:
        before: Parquet file with the columns of CORPUS_REVIEW, each id once.
        after: Another version of it.
        rows_at_once: Rows of both tables that are held at once.
    """
    tables = (pl.scan_parquet(before, glob=False), pl.scan_parquet(after, glob=False))
    rows = sum(int(table.select(pl.len()).collect().item()) for table in tables)
    slices = max(1, -(-rows // rows_at_once))
    counts = pl.concat(_count(*(_slice(table, number, slices) for table in tables)) for number in range(slices))
    keys = ("change", "source", "label", "label_before")
    total = counts.group_by(keys).agg(pl.col("rows").sum()).sort(keys)
    return [RowChange(**row) for row in total.iter_rows(named=True)]


def rows_of(changes: Iterable[RowChange], change: str) -> int:
    """How many rows changed in one way."""
    return sum(found.rows for found in changes if found.change == change)


def relabelled(changes: Iterable[RowChange]) -> Iterator[RowChange]:
    """The changed rows whose label is another one."""
    return (found for found in changes if found.change == "changed" and found.label != found.label_before)


def _slice(table: pl.LazyFrame, number: int, slices: int) -> pl.DataFrame:
    chosen = table if slices == 1 else table.filter(pl.col("review_id").hash(_SLICE_SEED) % slices == number)
    return chosen.select(
        "review_id",
        pl.col("source").cast(pl.Categorical),
        pl.col("label").cast(pl.Categorical),
        fingerprint=pl.struct(COMPARED).hash(),
    ).collect(engine="streaming")


def _count(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    joined = before.join(after, on="review_id", how="full", suffix="_after")
    was, stays = pl.col("review_id").is_not_null(), pl.col("review_id_after").is_not_null()
    change = pl.when(~was).then(pl.lit("added")).when(~stays).then(pl.lit("removed")).otherwise(pl.lit("changed"))
    same = was & stays & (pl.col("fingerprint") == pl.col("fingerprint_after"))
    return (
        joined.filter(~same.fill_null(value=False))
        .select(
            change.alias("change"),
            pl.coalesce("source_after", "source").cast(pl.String).alias("source"),
            pl.when(stays).then("label_after").otherwise("label").cast(pl.String).alias("label"),
            pl.col("label").cast(pl.String).alias("label_before"),
        )
        .group_by(pl.all())
        .agg(rows=pl.len())
    )
