"""All reviews of all batches on disk: one version of each, and which of them are exact copies of one text.

Three kinds of repetition are told apart. Versions are rows with one id: the newest stays. Rows that came without an id
and share a text have one id, a digest of the text, but they are copies, not versions: their labels are settled like
those of exact copies. Exact copies are reviews with different ids and one text key: the best one stays.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.cleaning.labels import TRUST, LabelSettings, label_columns
from workflows_dagster.lib.cleaning.spill import Kinds, Spill, bucket_count
from workflows_dagster.lib.parquet import read_batches
from workflows_dagster.lib.progress import Progress

ROWS_PER_CHUNK: Final = 100_000
"""Reviews held at once: about 200 MB where they have 355 characters."""

ROWS_PER_READ: Final = 50_000
SAMPLED_IDS: Final = 100_000
REVIEWS_FILE: Final = "reviews.parquet"

ARRIVED: Final[Kinds] = {
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

REVIEW: Final[Kinds] = {
    **ARRIVED,
    "label_source": pl.String,
    "row": pl.UInt32,
    "key": pl.String,
    "trust": pl.Int8,
    "length": pl.UInt32,
}
"""Reviews with their number, their text key, and what tells the quality of a copy.

The number, `row`, is the rank of the review's id. Every choice is made by it, and so is the same in whatever order the
reviews arrive.
"""

TEXT_HASH: Final = ("text_hash_a", "text_hash_b")
"""Two 64-bit hashes of a text key: texts that agree in both are taken for equal."""

_COPY: Final[Kinds] = {
    **{name: REVIEW[name] for name in ("row", "review_id", "label", "label_source", "trust", "length", "created_at")},
    **{name: pl.UInt64 for name in TEXT_HASH},
}
_DROPPED: Final[Kinds] = {"row": pl.UInt32, "kept_row": pl.UInt32}
_CONFLICT: Final[Kinds] = {
    "row": pl.UInt32,
    "review_ids": pl.List(pl.String),
    "labels": pl.List(pl.String),
    "label_sources": pl.List(pl.String),
    "label": pl.String,
    "rule": pl.String,
}

_BEST_FIRST: Final = {"agrees": True, "trust": True, "length": True, "created_at": False, "row": False}
"""Which of several copies is kept, and whether the greatest value comes first: one whose label stands, with the more
trusted label, longer, earlier, with the smaller id."""

_ID_OF_TEXT: Final = r":~[0-9a-f]{24}$"
"""How the id of a row ends that came without one: a digest of its text."""

# What differs between copies of one text without making it another: punctuation, blanks, control characters, accents
# that stand alone, the tints and presentation marks of emoji. Letters, digits, symbols and emoji stay.
_INSIGNIFICANT: Final = r"[\p{P}\p{Z}\p{C}\p{Sk}\x{FE0E}\x{FE0F}]+"


def text_key(text: pl.Expr) -> pl.Expr:
    """The text in lower case with punctuation and blanks as single blanks; texts with one key are exact copies.

    A text of nothing but punctuation (":)", "!!!") is its own key: without it, all such texts would be one.
    """
    plain = text.str.to_lowercase()
    key = plain.str.replace_all(_INSIGNIFICANT, " ").str.strip_chars()
    return pl.when(key == "").then(plain).otherwise(key)


@dataclass(frozen=True)
class Reviews:
    """The reviews on disk, in chunks: each holds a range of ids, sorted; `row` counts on from chunk to chunk.

    Attributes:
        table: `REVIEW`, one version of each review; a bucket for each chunk.
        old_versions: `review_id` of the versions that go, in the chunk of the one that stays; once for each.
        dropped: `row` and `kept_row` of the exact copies that go, in their chunks.
        conflicts: Texts whose copies carry different labels, in the chunk of the copy that stays: its `row`, the
            `review_ids`, `labels` and `label_sources` of all labelled copies, the `label` that stands (null where none
            does) and the `rule` that decided ("trust", "majority" or "tie").
        starts: First row number of each chunk.
        rows_in: Reviews of all batches.
        left_out: Reviews of sources that are not in the catalog, by source.
    """

    table: Spill
    old_versions: Spill
    dropped: Spill
    conflicts: Spill
    starts: npt.NDArray[np.int64]
    rows_in: int
    left_out: dict[str, int]

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return self.table.buckets

    def chunk_of(self, rows: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """The chunk that holds each of these rows."""
        return np.searchsorted(self.starts, rows, side="right") - 1

    def distinct(self, chunk: int, columns: Sequence[str]) -> pl.DataFrame:
        """Reviews of one chunk that are no exact copies; one whose label was tied has none any more."""
        dropped = self.dropped.read(chunk, ["row"])["row"]
        rules = self.conflicts.read(chunk, ["row", "rule"])
        tied = pl.col("row").is_in(rules.filter(pl.col("rule") == "tie")["row"].implode())
        unlabelled = {"label": None, "label_source": None, "trust": 0}
        return (
            self.table.read(chunk, columns)
            .filter(~pl.col("row").is_in(dropped.implode()))
            .with_columns(
                pl.when(tied).then(pl.lit(value, dtype=REVIEW[name])).otherwise(name).alias(name)
                for name, value in unlabelled.items()
                if name in columns
            )
        )


def gather_reviews(
    batches: Sequence[Artifact],
    sources: Collection[str],
    labels: LabelSettings,
    scratch: Path,
    batch_order: Sequence[str] = (),
) -> Reviews:
    """Reads all batches, keeps the newest version of each review of these sources, and settles the exact copies.

    Reviews go to disk by ranges of their ids, and once more without their text by the hash of it, so that all versions
    of a review and all copies of a text meet in one bucket, and memory holds one bucket at a time.
    """
    rows_in = sum(pq.ParquetFile(batch.file(REVIEWS_FILE)).metadata.num_rows for batch in batches)
    chunks = bucket_count(rows_in, ROWS_PER_CHUNK)
    left_out: Counter[str] = Counter()
    arrived = Spill(scratch / "arrived", ARRIVED, chunks)
    bounds = _bounds(batches, sources, rows_in, chunks)
    with arrived:
        for frame in _read(batches, rows_in):
            known = frame["source"].is_in(list(sources))
            left_out.update(dict(frame.filter(~known)["source"].value_counts().iter_rows()))
            wanted = frame.filter(known)
            arrived.append(wanted, bounds.search_sorted(wanted["review_id"], side="right").to_numpy().astype(np.int64))

    table = Spill(scratch / "reviews", REVIEW, chunks)
    old_versions = Spill(scratch / "old_versions", {"review_id": pl.String}, chunks)
    without_id = Spill(scratch / "conflicts_without_id", _CONFLICT, chunks)
    copies = Spill(scratch / "copies", _COPY, chunks)
    starts: list[int] = []
    with copies:
        for chunk in range(chunks):
            starts.append(table.rows)
            versions = newest_first(arrived.read(chunk), batch_order)
            _keep_newest(versions.with_columns(label_columns(labels)), chunk, table, old_versions, without_id, copies)
            del versions  # before the next chunk is read
            arrived.drop(chunk)

    dropped = Spill(scratch / "exact", _DROPPED, chunks)
    conflicts = Spill(scratch / "conflicts", _CONFLICT, chunks)
    reviews = Reviews(table, old_versions, dropped, conflicts, np.array(starts), rows_in, dict(left_out))
    with dropped, conflicts:
        for chunk in range(chunks):
            disputed = without_id.read(chunk)
            conflicts.append(disputed, np.full(disputed.height, chunk))
        for bucket in range(chunks):
            settled = settle_copies(copies.read(bucket))
            dropped.append(settled.dropped, reviews.chunk_of(settled.dropped["row"].to_numpy()))
            conflicts.append(settled.conflicts, reviews.chunk_of(settled.conflicts["row"].to_numpy()))
            copies.drop(bucket)
    return reviews


def _bounds(batches: Sequence[Artifact], sources: Collection[str], rows: int, chunks: int) -> pl.Series:
    """Ids that cut the reviews into chunks of about the same size; the first id of every chunk but the first."""
    if chunks == 1:
        return pl.Series(dtype=pl.String)
    one_in = max(1, rows // SAMPLED_IDS)
    ids = (
        pl.scan_parquet([batch.file(REVIEWS_FILE) for batch in batches], glob=False)
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
        for piece in read_batches(file, list(ARRIVED), ROWS_PER_READ):
            yield pl.DataFrame(pl.from_arrow(piece))
            progress.advance(piece.num_rows)


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


def _keep_newest(
    versions: pl.DataFrame, chunk: int, table: Spill, old_versions: Spill, without_id: Spill, copies: Spill
) -> None:
    """Writes the newest versions of one chunk, numbered, and beside them the older ones and what copies tell.

    Args:
        versions: All versions of the ids of the chunk, sorted by `newest_first`.
        chunk: Its number.
        table: Gets the newest versions.
        old_versions: Gets the others.
        without_id: Gets the conflicts of rows that came without an id.
        copies: Gets the newest versions without their text, by the hash of it.
    """
    versions = versions.with_row_index("place")
    has_no_id = pl.col("review_id").str.contains(_ID_OF_TEXT)
    of_one_text = versions.filter(has_no_id).with_columns(
        row="place",
        length=pl.col("text").str.len_chars(),
        trust=trust_of(pl.col("label_source")),
        text_hash_a=pl.col("review_id").hash(1),
        text_hash_b=pl.col("review_id").hash(2),
    )
    settled = settle_copies(of_one_text)
    tied = pl.col("place").is_in(settled.conflicts.filter(pl.col("rule") == "tie")["row"].implode())
    is_newest = (
        pl.when(has_no_id)
        .then(~pl.col("place").is_in(settled.dropped["row"].implode()))
        .otherwise(pl.col("review_id").is_first_distinct())
    )
    versions = versions.with_columns(
        *(pl.when(~tied).then(name).alias(name) for name in ("label", "label_source")), is_newest=is_newest
    )
    newest = (
        versions.filter("is_newest")
        .with_row_index("row", offset=table.rows)
        .with_columns(key=text_key(pl.col("text")), length=pl.col("text").str.len_chars())
        .with_columns(trust=trust_of(pl.col("label_source")))
    )
    table.put(newest, chunk)
    old_versions.put(versions.filter(~pl.col("is_newest")), chunk)
    numbers = newest.select("place", "row")
    without_id.put(settled.conflicts.rename({"row": "place"}).join(numbers, on="place").sort("row"), chunk)
    hashed = newest.with_columns(pl.col("key").hash(seed).alias(name) for seed, name in enumerate(TEXT_HASH, 1))
    copies.append(hashed, (hashed[TEXT_HASH[0]] % copies.buckets).cast(pl.Int64).to_numpy())


def trust_of(label_source: pl.Expr) -> pl.Expr:
    """How far a label is trusted, 0 where there is none."""
    return label_source.replace_strict(TRUST, default=0, return_dtype=pl.Int8)


@dataclass(frozen=True)
class ExactCopies:
    """What is decided about the reviews whose text occurs more than once; columns as in `Reviews`."""

    dropped: pl.DataFrame
    conflicts: pl.DataFrame


def settle_copies(reviews: pl.DataFrame) -> ExactCopies:
    """Chooses the best copy of each text, and the label that stands where copies disagree.

    The most trusted kind of label among the copies decides (human, then given, then rating), by majority; where the
    most frequent labels are tied, the text loses its label. The kept copy is one that came with the label that stands,
    so that no review gets a label it did not come with.

    Args:
        reviews: The columns of `_COPY`; all copies of a text are there.
    """
    text = list(TEXT_HASH)
    copies = reviews.filter(pl.len().over(text) > 1)
    verdicts = _verdicts(copies.filter(pl.col("label").is_not_null()))
    agrees = pl.col("label").eq(pl.col("verdict")).fill_null(value=False).alias("agrees")
    ranked = (
        copies.join(verdicts, on=text, how="left")
        .with_columns(agrees)
        .sort([*text, *_BEST_FIRST], descending=[False, False, *_BEST_FIRST.values()], nulls_last=True)
        .with_columns(kept_row=pl.col("row").first().over(text))
    )
    dropped = ranked.filter(pl.col("row") != pl.col("kept_row")).select("row", "kept_row")
    return ExactCopies(dropped, _conflicts(ranked))


def _verdicts(labelled: pl.DataFrame) -> pl.DataFrame:
    """The label that stands for each text with labels, and the rule that decided."""
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
