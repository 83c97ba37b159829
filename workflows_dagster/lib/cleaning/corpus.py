"""review_corpus: the reviews of all batches, once each, with their label and split."""

import tempfile
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict

from workflows_dagster.lib.artifact import Artifact, Markdown
from workflows_dagster.lib.cleaning.copies import REVIEW, REVIEWS_FILE, Reviews, gather_reviews
from workflows_dagster.lib.cleaning.labels import LabelSettings
from workflows_dagster.lib.cleaning.near_duplicates import NearDuplicates, NearDuplicateSettings, find_near_duplicates
from workflows_dagster.lib.cleaning.spill import Kinds, Spill
from workflows_dagster.lib.cleaning.splits import SplitSettings, split_column, split_targets
from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.parquet import to_table
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.schema import CORPUS_REVIEW, LABELS, SPLITS, column

DUPLICATES_FILE: Final = "duplicates.parquet"
CONFLICTS_FILE: Final = "conflicts.parquet"

DUPLICATE: Final = pa.schema(
    [
        column("review_id", pa.string(), "The copy that was dropped", nullable=False),
        column("kept_id", pa.string(), "The review that is kept instead; for same_id the id itself", nullable=False),
        column("kind", pa.string(), "same_id, exact or near", nullable=False),
        column("similarity", pa.float64(), "Jaccard similarity of the two texts' shingles; null for same_id"),
    ]
)
CONFLICT: Final = pa.schema(
    [
        column("kept_id", pa.string(), "The copy that was chosen for this text", nullable=False),
        column("text_digest", pa.string(), "Digest of the normalised text", nullable=False),
        column("review_ids", pa.list_(pa.string()), "The labelled copies", nullable=False),
        column("labels", pa.list_(pa.string()), "Their labels", nullable=False),
        column("label_sources", pa.list_(pa.string()), "Where these are from", nullable=False),
        column("label", pa.string(), "The label that stands; null where none does"),
        column("rule", pa.string(), "What decided: trust, majority or tie", nullable=False),
    ]
)
_DROPPED: Final[Kinds] = {"row": pl.UInt32, "kept_row": pl.UInt32, "kind": pl.String, "similarity": pl.Float64}
_NAMED: Final[Kinds] = {"row": pl.UInt32, "kept_id": pl.String, "kind": pl.String, "similarity": pl.Float64}

UNLABELLED: Final = "none"
KINDS: Final = ("same_id", "exact", "near")

_COUNTED: Final = ["source", "split", "label", "label_source", "language"]
Table = dict[str, dict[str, dict[str, int]]]


class CorpusSettings(LabelSettings, SplitSettings, NearDuplicateSettings):
    """How reviews are labelled, compared and split."""

    model_config = ConfigDict(frozen=True)


class CorpusReport(Record):
    """Counts of a corpus; every row that came in is in exactly one of kept, duplicate and left out.

    Attributes:
        rows_in: Cleaned reviews of all batches.
        rows_kept: Reviews of the corpus.
        rows_duplicate: Dropped copies by kind.
        rows_left_out: Reviews of sources that are not in the catalog.
        left_out_sources: The same by source.
        sources, labels, label_sources, splits, languages: Kept reviews by each of these; "none" where it is null.
        split_table: Kept reviews by source, split and label.
        label_table: Kept reviews by source, label_source and label.
        conflicts: Texts whose copies carried different labels, by the rule that decided.
        relabelled_near_duplicates: Near duplicates that carried another label than the copy that was kept.
        near_similarity: Similarity from which on two texts are near duplicates.
        split_targets: The share of labelled rows that each split was meant to have.
    """

    rows_in: int
    rows_kept: int
    rows_duplicate: dict[str, int]
    rows_left_out: int
    left_out_sources: dict[str, int]
    sources: dict[str, int]
    labels: dict[str, int]
    label_sources: dict[str, int]
    splits: dict[str, int]
    languages: dict[str, int]
    split_table: Table
    label_table: Table
    conflicts: dict[str, int]
    relabelled_near_duplicates: int
    near_similarity: float
    split_targets: dict[str, float]

    def to_metadata(self) -> dict[str, object]:
        """The counts, and the rows by source, split and label as a table."""
        return {
            "cleaning/in_rows": self.rows_in,
            "cleaning/kept_rows": self.rows_kept,
            **{f"cleaning/{kind}_duplicate_rows": rows for kind, rows in self.rows_duplicate.items()},
            "cleaning/left_out_sources": self.left_out_sources,
            "cleaning/conflicts_by_rule": self.conflicts,
            "cleaning/rows_by_label": self.labels,
            "cleaning/rows_by_label_source": self.label_sources,
            "cleaning/rows_by_split": self.splits,
            "cleaning/rows_by_language": self.languages,
            "cleaning/rows_by_source": Markdown(self._markdown()),
        }

    def _markdown(self) -> str:
        lines = [f"| source | split | {' | '.join(LABELS)} |", f"|---|---|{'---:|' * len(LABELS)}"]
        for source, splits in self.split_table.items():
            for split in (split for split in SPLITS[:-1] if split in splits):
                cells = " | ".join(f"{splits[split].get(label, 0):,}" for label in LABELS)
                lines.append(f"| {source} | {split} | {cells} |")
        return "\n".join(lines)


def build_corpus(
    batches: Sequence[Artifact],
    sources: Collection[str],
    settings: CorpusSettings,
    folder: Path,
    batch_order: Sequence[str] = (),
) -> CorpusReport:
    """Writes the corpus of all batches and returns what went into it.

    The result depends on the set of reviews alone, not on the order of rows or on how they are spread over batches.
    Only where an id has several versions of one date, the order of their batches decides. Memory does not grow with
    the number of reviews: everything but the pairs of near duplicates goes through a scratch folder beside `folder`,
    which is gone at the end.

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
        reviews = gather_reviews(batches, sources, settings, scratch, batch_order)
        if not reviews.table.rows:
            raise NotEnoughDataError(
                "there are no reviews to make a corpus of",
                given=f"{len(batches)} batches with {reviews.rows_in} rows, of other sources: {reviews.left_out}",
                expected=f"at least one cleaned review of the sources {sorted(sources)}",
                remedy="materialize cleaned_reviews for a batch of a source in sources.yaml",
            )
        near = find_near_duplicates(reviews, settings, scratch)
        dropped = _name_kept(reviews, _list_dropped(reviews, near, scratch), scratch)
        counts = _write_tables(reviews, dropped, settings, folder)
    report = CorpusReport(
        rows_in=reviews.rows_in,
        rows_kept=counts.kept.total(),
        rows_duplicate={kind: counts.kinds[kind] for kind in KINDS},
        rows_left_out=sum(reviews.left_out.values()),
        left_out_sources=dict(sorted(reviews.left_out.items())),
        sources=counts.by("source"),
        labels=counts.by("label"),
        label_sources=counts.by("label_source"),
        splits=dict.fromkeys(SPLITS, 0) | counts.by("split"),
        languages=counts.by("language"),
        split_table=counts.table("source", "split", "label"),
        label_table=counts.table("source", "label_source", "label"),
        conflicts=dict(sorted(counts.rules.items())),
        relabelled_near_duplicates=near.relabelled,
        near_similarity=settings.near_similarity,
        split_targets=split_targets(settings),
    )
    report.write(folder)
    return report


def _list_dropped(reviews: Reviews, near: NearDuplicates, scratch: Path) -> Spill:
    """All copies that go, exact and near, in the chunks of those that stay.

    Where the kept copy of a text is itself a near duplicate, its copies are near duplicates of the same row.
    """
    dropped = Spill(scratch / "dropped", _DROPPED, reviews.chunks)
    with dropped:
        for chunk in range(reviews.chunks):
            exact = reviews.dropped.read(chunk)
            kept = exact["kept_row"].to_numpy().copy()
            moved, places = near.find(kept)
            kept[moved] = near.kept_row[places]
            similarity = np.ones(len(kept))
            similarity[moved] = near.similarity[places]
            kind = pl.select(pl.when(pl.Series(moved)).then(pl.lit("near")).otherwise(pl.lit("exact"))).to_series()
            frame = pl.DataFrame({"row": exact["row"], "kept_row": kept, "kind": kind, "similarity": similarity})
            dropped.append(frame, reviews.chunk_of(kept))
        frame = pl.DataFrame({"row": near.row, "kept_row": near.kept_row, "similarity": near.similarity})
        dropped.append(frame.with_columns(kind=pl.lit("near")), reviews.chunk_of(near.kept_row))
    return dropped


def _name_kept(reviews: Reviews, dropped: Spill, scratch: Path) -> Spill:
    """All copies that go with the id of the one that stays, in the chunks of those that go."""
    named = Spill(scratch / "named", _NAMED, reviews.chunks)
    with named:
        for chunk in range(reviews.chunks):
            ids = reviews.table.read(chunk, ["row", "review_id"]).rename({"review_id": "kept_id"})
            frame = dropped.read(chunk).join(ids, left_on="kept_row", right_on="row")
            named.append(frame, reviews.chunk_of(frame["row"].to_numpy()))
    return named


class _Counts:
    """Counts the rows of the three tables as they are written."""

    def __init__(self) -> None:
        self.kept: Counter[tuple[str, ...]] = Counter()
        self.kinds: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()

    def add(self, kept: pl.DataFrame, duplicates: pl.DataFrame, conflicts: pl.DataFrame) -> None:
        """Counts one chunk."""
        for *key, rows in kept.group_by(pl.col(_COUNTED).fill_null(UNLABELLED)).len().iter_rows():
            self.kept[tuple(key)] += rows
        self.kinds.update(dict(duplicates["kind"].value_counts().iter_rows()))
        self.rules.update(dict(conflicts["rule"].value_counts().iter_rows()))

    def by(self, column: str) -> dict[str, int]:
        """Kept rows by one column."""
        return {key: rows for (key,), rows in self._sums(column)}

    def table(self, *columns: str) -> Table:
        """Kept rows by three columns, nested."""
        nested: Table = {}
        for (outer, middle, inner), rows in self._sums(*columns):
            nested.setdefault(outer, {}).setdefault(middle, {})[inner] = rows
        return nested

    def _sums(self, *columns: str) -> list[tuple[tuple[str, ...], int]]:
        places = [_COUNTED.index(column) for column in columns]
        sums: Counter[tuple[str, ...]] = Counter()
        for key, rows in self.kept.items():
            sums[tuple(key[place] for place in places)] += rows
        return sorted(sums.items())


def _write_tables(reviews: Reviews, named: Spill, settings: SplitSettings, folder: Path) -> _Counts:
    """Writes the three tables chunk by chunk, so that they are sorted by id."""
    counts = _Counts()
    with (
        pq.ParquetWriter(folder / REVIEWS_FILE, CORPUS_REVIEW, compression="zstd") as corpus,
        pq.ParquetWriter(folder / DUPLICATES_FILE, DUPLICATE, compression="zstd") as duplicates,
        pq.ParquetWriter(folder / CONFLICTS_FILE, CONFLICT, compression="zstd") as conflicts,
    ):
        for chunk in range(reviews.chunks):
            copies = _duplicates(reviews, named, chunk)
            kept = reviews.distinct(chunk, list(REVIEW)).join(named.read(chunk, ["row"]), on="row", how="anti")
            kept = split_column(kept.sort("row"), settings)
            disputed = _conflicts(reviews, chunk)
            for writer, frame, schema in (
                (corpus, kept, CORPUS_REVIEW),
                (duplicates, copies, DUPLICATE),
                (conflicts, disputed, CONFLICT),
            ):
                if frame.height:
                    writer.write_table(to_table(frame, schema), row_group_size=frame.height)
            counts.add(kept, copies, disputed)
    return counts


def _duplicates(reviews: Reviews, named: Spill, chunk: int) -> pl.DataFrame:
    ids = reviews.table.read(chunk, ["row", "review_id"])
    columns = DUPLICATE.names
    copies = named.read(chunk).join(ids, on="row").select(columns)
    old_versions = reviews.old_versions.read(chunk).select(
        "review_id", kept_id="review_id", kind=pl.lit("same_id"), similarity=pl.lit(None, pl.Float64)
    )
    return pl.concat([old_versions, copies]).sort(columns)


def _conflicts(reviews: Reviews, chunk: int) -> pl.DataFrame:
    texts = reviews.table.read(chunk, ["row", "review_id", "key"])
    joined = reviews.conflicts.read(chunk).join(texts, on="row").sort("row")
    digests = pl.Series([digest_text(key) for key in joined["key"]], dtype=pl.String)
    return joined.with_columns(text_digest=digests).rename({"review_id": "kept_id"})
