"""All reviews of all batches in buckets on disk, in the order of their ids, one version of each."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.cleaning.duplicates import COPY_COLUMNS, ExactCopies, newest_first, settle_copies, trust_of
from workflows_dagster.lib.cleaning.labels import LabelSettings, label_columns
from workflows_dagster.lib.cleaning.shingles import text_key
from workflows_dagster.lib.cleaning.spill import Kinds, Spill, bucket_count
from workflows_dagster.lib.parquet import read_batches
from workflows_dagster.lib.progress import Progress

ROWS_PER_CHUNK: Final = 100_000
"""Reviews held at once: about 200 MB where they have 355 characters."""

ROWS_PER_READ: Final = 50_000
SAMPLED_IDS: Final = 100_000
REVIEWS_FILE: Final = "reviews.parquet"

CARRIED: Final[Kinds] = {
    "review_id": pl.String,
    "source": pl.String,
    "batch": pl.String,
    "text": pl.String,
    "stars": pl.Int8,
    "label": pl.String,
    "language": pl.String,
    "product_id": pl.String,
    "group_key": pl.String,
    "created_at": pl.Datetime("us", "UTC"),
}
"""The columns of cleaned reviews that the corpus needs."""

NUMBERED: Final[Kinds] = {
    **CARRIED,
    "label_source": pl.String,
    "row": pl.UInt32,
    "key": pl.String,
    "trust": pl.Int8,
    "length": pl.UInt32,
}
"""Reviews with their number, text key, and what the quality of a copy is told by."""

COPIES: Final[Kinds] = {
    **{name: kind for name, kind in NUMBERED.items() if name in COPY_COLUMNS},
    "text_hash_a": pl.UInt64,
    "text_hash_b": pl.UInt64,
}
OLD_VERSIONS: Final[Kinds] = {"review_id": pl.String}
CONFLICTS: Final[Kinds] = {
    "row": pl.UInt32,
    "review_ids": pl.List(pl.String),
    "labels": pl.List(pl.String),
    "label_sources": pl.List(pl.String),
    "label": pl.String,
    "rule": pl.String,
}

_ID_OF_TEXT: Final = r":~[0-9a-f]{24}$"
"""Ids of rows that came without one are digests of their text: such rows are copies, not versions of one review."""


@dataclass
class Gathered:
    """The reviews on disk.

    Attributes:
        reviews: Buckets of `NUMBERED`: each holds a range of ids, sorted; `row` counts on from bucket to bucket.
        copies: The same reviews without their text, in buckets by text.
        old_versions: Ids of older versions, in the buckets of `reviews`; once for each version.
        conflicts: `CONFLICTS` of the reviews that came without an id, with one text and different labels; one bucket.
        starts: First row number of each bucket of `reviews`.
        rows_in: Reviews of all batches.
        left_out: Reviews of sources that are not in the catalog, by source.
    """

    reviews: Spill
    copies: Spill
    old_versions: Spill
    conflicts: Spill
    starts: list[int] = field(default_factory=list[int])
    rows_in: int = 0
    left_out: dict[str, int] = field(default_factory=dict[str, int])

    def chunk_of(self, rows: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """The bucket of `reviews` that holds each of these rows."""
        return np.searchsorted(np.asarray(self.starts), rows, side="right") - 1


def gather(
    batches: Sequence[Artifact],
    sources: Collection[str],
    labels: LabelSettings,
    scratch: Path,
    batch_order: Sequence[str] = (),
) -> Gathered:
    """Reads all batches and puts the newest version of each review of the catalog's sources on disk."""
    rows_in = sum(pq.ParquetFile(batch.file(REVIEWS_FILE)).metadata.num_rows for batch in batches)
    chunks = bucket_count(rows_in, ROWS_PER_CHUNK)
    gathered = Gathered(
        Spill(scratch / "reviews", NUMBERED, chunks),
        Spill(scratch / "copies", COPIES, chunks),
        Spill(scratch / "old_versions", OLD_VERSIONS, chunks),
        Spill(scratch / "conflicts_without_id", CONFLICTS, 1),
        rows_in=rows_in,
    )
    arrived = Spill(scratch / "arrived", CARRIED, chunks)
    bounds = _bounds(batches, sources, rows_in, chunks)
    with arrived:
        for frame in _read(batches, rows_in):
            wanted = _of_sources(frame, sources, gathered.left_out)
            arrived.write(wanted, bounds.search_sorted(wanted["review_id"], side="right").to_numpy().astype(np.int64))
    with gathered.reviews, gathered.copies, gathered.old_versions, gathered.conflicts:
        for chunk in range(chunks):
            _number(newest_first(arrived.read(chunk), batch_order), chunk, gathered, labels)
            arrived.drop(chunk)
    return gathered


def _bounds(batches: Sequence[Artifact], sources: Collection[str], rows: int, chunks: int) -> pl.Series:
    """Ids that cut the reviews into chunks of about the same size; the first id of every chunk but the first."""
    if chunks == 1:
        return pl.Series(dtype=pl.String)
    one_in = max(1, rows // SAMPLED_IDS)
    ids = (
        pl.scan_parquet([batch.file(REVIEWS_FILE) for batch in batches])
        .filter(pl.col("source").is_in(list(sources)), pl.col("review_id").hash() % one_in == 0)
        .select("review_id")
        .collect(engine="streaming")
        .to_series()
        .sort()
    )
    return ids.gather([len(ids) * chunk // chunks for chunk in range(1, chunks)] if len(ids) else [])


def _read(batches: Sequence[Artifact], rows: int) -> Iterator[pl.DataFrame]:
    progress = Progress("gathering reviews of all batches", rows, "rows")
    for batch in batches:
        file = pq.ParquetFile(batch.file(REVIEWS_FILE))
        for piece in read_batches(file, list(CARRIED), ROWS_PER_READ):
            yield pl.DataFrame(pl.from_arrow(piece))
            progress.advance(piece.num_rows)


def _of_sources(frame: pl.DataFrame, sources: Collection[str], left_out: dict[str, int]) -> pl.DataFrame:
    known = pl.col("source").is_in(list(sources))
    for source, rows in frame.filter(~known)["source"].value_counts().iter_rows():
        left_out[source] = left_out.get(source, 0) + rows
    return frame.filter(known)


def _number(versions: pl.DataFrame, chunk: int, gathered: Gathered, labels: LabelSettings) -> None:
    first = gathered.reviews.rows
    gathered.starts.append(first)
    versions = versions.with_columns(label_columns(labels)).with_row_index("place")
    found = _settle_without_id(versions)
    tied = found.conflicts.filter(pl.col("rule") == "tie")["row"]
    versions = versions.with_columns(
        pl.when(~pl.col("place").is_in(tied.implode())).then(name).alias(name) for name in ("label", "label_source")
    )
    newest = pl.when(_without_id()).then(~pl.col("place").is_in(found.dropped["row"].implode()))
    versions = versions.with_columns(newest=newest.otherwise(pl.col("review_id").is_first_distinct()))
    here = np.full(versions.height, chunk)
    older = versions.filter(~pl.col("newest"))
    gathered.old_versions.write(older.select("review_id"), here[: older.height])
    reviews = (
        versions.filter("newest")
        .with_row_index("row", offset=first)
        .with_columns(key=text_key(pl.col("text")), length=pl.col("text").str.len_chars())
        .with_columns(trust=trust_of(pl.col("label_source")))
    )
    gathered.reviews.write(reviews, here[: reviews.height])
    disputed = found.conflicts.rename({"row": "place"}).join(reviews.select("place", "row"), on="place").sort("row")
    gathered.conflicts.write(disputed, np.zeros(disputed.height, np.int64))
    copies = reviews.with_columns(text_hash_a=pl.col("key").hash(1), text_hash_b=pl.col("key").hash(2))
    buckets = (copies["text_hash_a"] % gathered.copies.buckets).cast(pl.Int64).to_numpy()
    gathered.copies.write(copies, buckets)


def _without_id() -> pl.Expr:
    return pl.col("review_id").str.contains(_ID_OF_TEXT)


def _settle_without_id(versions: pl.DataFrame) -> ExactCopies:
    """What is decided about the rows that came without an id and share their text; `row` is their `place`."""
    copies = versions.filter(_without_id()).with_columns(
        row="place",
        length=pl.col("text").str.len_chars(),
        trust=trust_of(pl.col("label_source")),
        text_hash_a=pl.col("review_id").hash(1),
        text_hash_b=pl.col("review_id").hash(2),
    )
    return settle_copies(copies)
