"""Exact copies among all reviews, settled bucket by bucket of equal texts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from workflows_dagster.lib.cleaning.duplicates import settle_copies
from workflows_dagster.lib.cleaning.gathering import CONFLICTS, Gathered
from workflows_dagster.lib.cleaning.spill import Kinds, Spill

DROPPED: Final[Kinds] = {"row": pl.UInt32, "kept_row": pl.UInt32}
_LABEL_COLUMNS: Final[Kinds] = {"label": pl.String, "label_source": pl.String, "trust": pl.Int8}


@dataclass(frozen=True)
class Settled:
    """Gathered reviews and which of them are exact copies of others.

    Attributes:
        gathered: The reviews.
        dropped: `DROPPED` in the buckets of the reviews that go.
        conflicts: `CONFLICTS` in the buckets of the reviews that stay.
    """

    gathered: Gathered
    dropped: Spill
    conflicts: Spill

    def survivors(self, chunk: int, columns: list[str]) -> pl.DataFrame:
        """Reviews of one chunk that are no exact copies; one whose label was tied has none any more."""
        reviews = self.gathered.reviews.read(chunk, columns)
        tied = self.conflicts.read(chunk, ["row", "rule"]).filter(pl.col("rule") == "tie")["row"]
        dropped = self.dropped.read(chunk, ["row"])["row"]
        unlabelled = pl.col("row").is_in(tied.implode())
        blanks = {"label": None, "label_source": None, "trust": 0}
        return reviews.filter(~pl.col("row").is_in(dropped.implode())).with_columns(
            pl.when(unlabelled).then(pl.lit(blank, dtype=_LABEL_COLUMNS[name])).otherwise(name).alias(name)
            for name, blank in blanks.items()
            if name in columns
        )


def settle(gathered: Gathered, scratch: Path) -> Settled:
    """Settles all exact copies."""
    chunks = gathered.reviews.buckets
    dropped = Spill(scratch / "exact", DROPPED, chunks)
    conflicts = Spill(scratch / "conflicts", CONFLICTS, chunks)
    with dropped, conflicts:
        for found in gathered.conflicts.slices(0):
            conflicts.write(found, gathered.chunk_of(found["row"].to_numpy()))
        for bucket in range(gathered.copies.buckets):
            copies = settle_copies(gathered.copies.read(bucket))
            dropped.write(copies.dropped, gathered.chunk_of(copies.dropped["row"].to_numpy()))
            conflicts.write(copies.conflicts, gathered.chunk_of(copies.conflicts["row"].to_numpy()))
            gathered.copies.drop(bucket)
    return Settled(gathered, dropped, conflicts)
