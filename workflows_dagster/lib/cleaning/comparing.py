"""Near duplicates among all reviews, found with a bounded number of reviews in memory."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.cleaning.near_duplicates import NearDuplicates, candidate_pairs, keep_best
from workflows_dagster.lib.cleaning.settling import Settled
from workflows_dagster.lib.cleaning.shingles import band_hashes, band_layout, signatures, similarities
from workflows_dagster.lib.cleaning.spill import Kinds, Spill, bucket_count
from workflows_dagster.lib.progress import Progress

RECALL: Final = 0.99
"""Chance that a pair of exactly the wanted similarity becomes a candidate; more similar pairs have a higher one."""

BANDS_PER_BUCKET: Final = 2_000_000
ROWS_AT_ONCE: Final = 5_000
PAIRS_AT_ONCE: Final = 50_000

_BANDS: Final[Kinds] = {"hash": pl.UInt64, "row": pl.UInt32, "quality": pl.UInt32}
_PAIRS: Final[Kinds] = {"left": pl.UInt32, "right": pl.UInt32}
_QUALITY: Final[Kinds] = {
    "trust": pl.Int8,
    "length": pl.UInt32,
    "created_at": pl.Datetime("us", "UTC"),
    "label": pl.String,
}
_LOADED: Final[Kinds] = {**_PAIRS, "key": pl.String, **_QUALITY}


class NearDuplicateSettings(BaseModel):
    """What counts as a near duplicate, and how hard it is looked for."""

    model_config = ConfigDict(frozen=True)

    near_similarity: float = Field(
        default=0.8,
        ge=0.5,
        le=1,
        description="Least Jaccard similarity of the sequences of 5 characters of two near duplicates.",
    )
    permutations: int = Field(
        default=128, ge=16, le=512, description="Length of the MinHash signatures that find them."
    )
    threads: int = Field(default=2, ge=1, le=64, description="Threads that sign texts at once; the result is the same.")
    minhash_seed: int = Field(default=1, ge=0, description="Seed of the signatures.")


def find_near_duplicates(
    settled: Settled, settings: NearDuplicateSettings, scratch: Path
) -> tuple[NearDuplicates, int]:
    """Which rows are near duplicates of better ones, and how many of them carry another label than the kept one.

    Candidates go to disk by the hash of a band, and pairs by the chunk of their rows, so that memory holds one bucket
    at a time, beside about 100 bytes for each verified pair.
    """
    bands = _write_bands(settled, settings, scratch)
    pairs = _write_pairs(settled, bands, scratch)
    loaded = _load_left(settled, pairs, scratch)
    return _select(_verify(settled, loaded, settings.near_similarity))


def _write_bands(settled: Settled, settings: NearDuplicateSettings, scratch: Path) -> Spill:
    gathered = settled.gathered
    count, rows = band_layout(settings.near_similarity, settings.permutations, RECALL)
    entries = gathered.reviews.rows * count
    bands = Spill(scratch / "bands", _BANDS, bucket_count(entries, BANDS_PER_BUCKET))
    progress = Progress("comparing reviews", gathered.reviews.rows, "rows")
    # rensa and numpy let go of the interpreter for most of the work.
    with bands, ThreadPoolExecutor(settings.threads) as threads:
        for chunk in range(gathered.reviews.buckets):
            reviews = settled.survivors(chunk, ["row", "key", "trust", "length"])
            make = partial(_bands_of, settings=settings, layout=(count, rows), buckets=bands.buckets)
            for made in threads.map(make, reviews.iter_slices(ROWS_AT_ONCE)):
                bands.write(*made)
            progress.at(gathered.starts[chunk] + reviews.height)
    progress.at(gathered.reviews.rows)
    return bands


def _bands_of(
    piece: pl.DataFrame, settings: NearDuplicateSettings, layout: tuple[int, int], buckets: int
) -> tuple[pl.DataFrame, np.ndarray]:
    signature = signatures(piece["key"], settings.permutations, settings.minhash_seed)
    hashes = band_hashes(signature, *layout).ravel()
    quality = piece.select(quality=pl.col("trust").cast(pl.UInt32) * 2**29 + pl.min_horizontal("length", 2**29 - 1))
    frame = pl.DataFrame(
        {
            "hash": hashes,
            "row": np.repeat(piece["row"].to_numpy(), layout[0]),
            "quality": np.repeat(quality["quality"].to_numpy(), layout[0]),
        }
    )
    return frame, (hashes % np.uint64(buckets)).astype(np.int64)


def _write_pairs(settled: Settled, bands: Spill, scratch: Path) -> Spill:
    pairs = Spill(scratch / "pairs", _PAIRS, settled.gathered.reviews.buckets)
    with pairs:
        for bucket in range(bands.buckets):
            entries = bands.read(bucket)
            left, right = candidate_pairs(*(entries[name].to_numpy() for name in _BANDS))
            pairs.write(pl.DataFrame({"left": left, "right": right}), settled.gathered.chunk_of(left))
            bands.drop(bucket)
    return pairs


def _load_left(settled: Settled, pairs: Spill, scratch: Path) -> Spill:
    """The pairs with the text and quality of their left row, in the buckets of their right row."""
    loaded = Spill(scratch / "loaded", _LOADED, pairs.buckets)
    with loaded:
        for chunk in range(pairs.buckets):
            wanted = pairs.read(chunk).unique(maintain_order=False).sort("left", "right")
            reviews = settled.survivors(chunk, ["row", "key", *_QUALITY])
            for piece in wanted.iter_slices(PAIRS_AT_ONCE):
                with_text = piece.join(reviews, left_on="left", right_on="row", how="left", maintain_order="left")
                loaded.write(with_text, settled.gathered.chunk_of(piece["right"].to_numpy()))
            pairs.drop(chunk)
    return loaded


def _verify(settled: Settled, loaded: Spill, similarity: float) -> pl.DataFrame:
    """The pairs that are as similar as asked for, with the quality of both rows."""
    found = [
        pl.DataFrame(
            schema={
                **_PAIRS,
                **_QUALITY,
                **{f"{name}_right": kind for name, kind in _QUALITY.items()},
                "similarity": pl.Float64,
            }
        )
    ]
    for chunk in range(loaded.buckets):
        reviews = settled.survivors(chunk, ["row", "key", *_QUALITY])
        for piece in loaded.slices(chunk):
            both = piece.join(reviews, left_on="right", right_on="row", how="left")
            both = both.with_columns(similarity=similarities(both["key"], both["key_right"]))
            found.append(both.filter(pl.col("similarity") >= similarity).drop("key", "key_right"))
        loaded.drop(chunk)
    return pl.concat(found)


def _select(pairs: pl.DataFrame) -> tuple[NearDuplicates, int]:
    ours = pairs.select(row="left", **{name: name for name in _QUALITY})
    theirs = pairs.select(row="right", **{name: f"{name}_right" for name in _QUALITY})
    nodes = pl.concat([ours, theirs]).unique("row")
    ranks = nodes.sort("trust", "length", "created_at", "row", descending=[True, True, False, False], nulls_last=True)
    near = keep_best(pairs, ranks)
    dropped = pl.DataFrame({"row": near.row, "kept_row": near.kept_row})
    labels = nodes.select("row", "label")
    both = dropped.join(labels, on="row").join(labels, left_on="kept_row", right_on="row")
    return near, both.filter(pl.col("label") != pl.col("label_right")).height
