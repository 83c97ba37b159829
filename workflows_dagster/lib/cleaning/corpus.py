"""The corpus: the reviews of all batches, once each, with their label and split."""

import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict

from workflows_dagster.lib.artifact import Artifact, conform, write_report
from workflows_dagster.lib.cleaning.comparing import NearDuplicateSettings, find_near_duplicates
from workflows_dagster.lib.cleaning.corpus_report import CorpusReport, Tally
from workflows_dagster.lib.cleaning.gathering import NUMBERED, REVIEWS_FILE, gather
from workflows_dagster.lib.cleaning.labels import LabelSettings
from workflows_dagster.lib.cleaning.near_duplicates import NearDuplicates
from workflows_dagster.lib.cleaning.settling import Settled, settle
from workflows_dagster.lib.cleaning.spill import Kinds, Spill
from workflows_dagster.lib.cleaning.splits import SplitSettings, split_column, split_targets
from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.schema import CORPUS_REVIEW

DUPLICATES_FILE: Final = "duplicates.parquet"
CONFLICTS_FILE: Final = "conflicts.parquet"

DUPLICATE: Final = pa.schema(
    [
        pa.field("review_id", pa.string(), nullable=False),
        pa.field("kept_id", pa.string(), nullable=False),  # for same_id the id itself: its newest version
        pa.field("kind", pa.string(), nullable=False),  # same_id, exact or near
        pa.field("similarity", pa.float64()),  # Jaccard of the two texts' shingles; null for same_id
    ]
)
CONFLICT: Final = pa.schema(
    [
        pa.field("kept_id", pa.string(), nullable=False),  # the copy that was chosen for this text
        pa.field("text_digest", pa.string(), nullable=False),  # of the normalised text
        pa.field("review_ids", pa.list_(pa.string()), nullable=False),  # the labelled copies
        pa.field("labels", pa.list_(pa.string()), nullable=False),  # parallel to review_ids
        pa.field("label_sources", pa.list_(pa.string()), nullable=False),  # parallel to review_ids
        pa.field("label", pa.string()),  # the label that stands; null where none does
        pa.field("rule", pa.string(), nullable=False),  # trust, majority or tie
    ]
)
_DROP: Final[Kinds] = {"row": pl.UInt32, "kept_row": pl.UInt32, "kind": pl.String, "similarity": pl.Float64}
_NAMED: Final[Kinds] = {"row": pl.UInt32, "kept_id": pl.String, "kind": pl.String, "similarity": pl.Float64}


class CorpusSettings(LabelSettings, SplitSettings, NearDuplicateSettings):
    """How reviews are labelled, compared and split."""

    model_config = ConfigDict(frozen=True)


def build_corpus(
    batches: Sequence[Artifact],
    sources: Collection[str],
    settings: CorpusSettings,
    folder: Path,
    batch_order: Sequence[str] = (),
) -> CorpusReport:
    """Writes the corpus of all batches and returns what went into it.

    The result depends on the set of reviews only, and where an id has several versions of one date, on the order of
    their batches; not on the order of rows, or on how they are spread over batches. Memory
    does not grow with their number: everything but the pairs of near duplicates goes through a scratch folder beside
    `folder`, which is gone at the end.

    A labelled review's split is a function of its `group_key` and the settings alone: it is in the same split of every
    corpus that holds it. No two reviews of one corpus are known near duplicates, so none straddle splits. What may
    change when batches arrive is which copy of a text is kept; then the text may move with its group, never the review.

    Args:
        batches: Versions of cleaned_reviews.
        sources: Names of the sources of the present catalog; reviews of others are left out and counted.
        settings: Labels, splits and near duplicates.
        folder: Where reviews.parquet, duplicates.parquet, conflicts.parquet and report.json go.
        batch_order: Keys of batches, oldest first: of versions of one review with one date, the latest batch's is kept.

    Raises:
        NotEnoughDataError: No batch holds a review of these sources.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-scratch-") as name:
        scratch = Path(name)
        gathered = gather(batches, sources, settings, scratch, batch_order)
        if not gathered.reviews.rows:
            raise NotEnoughDataError(
                "there are no reviews to make a corpus of",
                given=f"{len(batches)} batches with {gathered.rows_in} rows, of other sources: {gathered.left_out}",
                expected=f"at least one cleaned review of the sources {sorted(sources)}",
                remedy="materialize cleaned_reviews for a batch of a source in sources.yaml",
            )
        settled = settle(gathered, scratch)
        near, relabelled = find_near_duplicates(settled, settings, scratch)
        named = _name_kept(settled, _write_drops(settled, near, scratch), scratch)
        tally = _write_tables(settled, named, settings, folder)
    report = tally.report(
        gathered.rows_in, gathered.left_out, relabelled, settings.near_similarity, split_targets(settings)
    )
    write_report(folder, report.to_json())
    return report


def _write_drops(settled: Settled, near: NearDuplicates, scratch: Path) -> Spill:
    """All copies that go, in the buckets of those that stay.

    Where the kept copy of a text is itself a near duplicate, its copies are near duplicates of the same row.
    """
    gathered = settled.gathered
    drops = Spill(scratch / "drops", _DROP, gathered.reviews.buckets)
    with drops:
        for chunk in range(gathered.reviews.buckets):
            exact = settled.dropped.read(chunk)
            kept = exact["kept_row"].to_numpy().copy()
            moved, places = near.find(kept)
            kept[moved] = near.kept_row[places]
            similarity = np.ones(len(kept))
            similarity[moved] = near.similarity[places]
            kind = pl.select(pl.when(pl.Series(moved)).then(pl.lit("near")).otherwise(pl.lit("exact"))).to_series()
            frame = pl.DataFrame({"row": exact["row"], "kept_row": kept, "kind": kind, "similarity": similarity})
            drops.write(frame, gathered.chunk_of(kept))
        frame = pl.DataFrame({"row": near.row, "kept_row": near.kept_row, "similarity": near.similarity})
        drops.write(frame.with_columns(kind=pl.lit("near")), gathered.chunk_of(near.kept_row))
    return drops


def _name_kept(settled: Settled, drops: Spill, scratch: Path) -> Spill:
    """All copies that go with the id of the one that stays, in the buckets of those that go."""
    gathered = settled.gathered
    named = Spill(scratch / "named", _NAMED, drops.buckets)
    with named:
        for chunk in range(drops.buckets):
            ids = gathered.reviews.read(chunk, ["row", "review_id"]).rename({"review_id": "kept_id"})
            frame = drops.read(chunk).join(ids, left_on="kept_row", right_on="row")
            named.write(frame, gathered.chunk_of(frame["row"].to_numpy()))
    return named


def _write_tables(settled: Settled, named: Spill, settings: SplitSettings, folder: Path) -> Tally:
    """Writes the three tables chunk by chunk, so that they are sorted by id."""
    tally = Tally()
    with (
        pq.ParquetWriter(folder / REVIEWS_FILE, CORPUS_REVIEW, compression="zstd") as reviews,
        pq.ParquetWriter(folder / DUPLICATES_FILE, DUPLICATE, compression="zstd") as duplicates,
        pq.ParquetWriter(folder / CONFLICTS_FILE, CONFLICT, compression="zstd") as conflicts,
    ):
        for chunk in range(named.buckets):
            copies = _duplicates(settled, named, chunk)
            kept = settled.survivors(chunk, list(NUMBERED)).join(named.read(chunk, ["row"]), on="row", how="anti")
            kept = split_column(kept.sort("row"), settings)
            disputed = _conflicts(settled, chunk)
            _write(reviews, kept, CORPUS_REVIEW)
            _write(duplicates, copies, DUPLICATE)
            _write(conflicts, disputed, CONFLICT)
            tally.add(kept, copies, disputed)
    return tally


def _duplicates(settled: Settled, named: Spill, chunk: int) -> pl.DataFrame:
    ids = settled.gathered.reviews.read(chunk, ["row", "review_id"])
    columns = DUPLICATE.names
    others = named.read(chunk).join(ids, on="row").select(columns)
    old = settled.gathered.old_versions.read(chunk).select(
        "review_id", kept_id="review_id", kind=pl.lit("same_id"), similarity=pl.lit(None, pl.Float64)
    )
    return pl.concat([old, others]).sort(columns)


def _conflicts(settled: Settled, chunk: int) -> pl.DataFrame:
    disputed = settled.conflicts.read(chunk)
    texts = settled.gathered.reviews.read(chunk, ["row", "review_id", "key"])
    joined = disputed.join(texts, on="row").sort("row")
    digests = pl.Series([digest_text(key) for key in joined["key"]], dtype=pl.String)
    return joined.with_columns(text_digest=digests).rename({"review_id": "kept_id"})


def _write(writer: pq.ParquetWriter, frame: pl.DataFrame, schema: pa.Schema) -> None:
    if frame.height:
        writer.write_table(conform(frame.select(schema.names).to_arrow(), schema), row_group_size=frame.height)
