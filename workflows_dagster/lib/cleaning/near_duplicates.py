"""Near duplicates: texts that share most of their character sequences; of each pair, the better review stays.

Source: Broder, "On the resemblance and containment of documents" (1997); signatures by rensa (R-MinHash).

The steps, in the order of this module:

1. A text is the set of its shingles: all sequences of 5 characters of its key.
2. MinHash signatures stand for the sets. They are cut into bands; texts that share a band are candidates.
3. Candidates are verified by the true similarity of their sets.
4. Of the pairs that remain, rows are dropped until no two of a pair are left, the better ones kept.

Steps 2 and 3 hold a bounded number of reviews: bands go to disk by their hash, and pairs by the chunk of their rows.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.cleaning.copies import REVIEW, Reviews
from workflows_dagster.lib.cleaning.spill import Kinds, Spill, bucket_count
from workflows_dagster.lib.progress import Progress

Rows = npt.NDArray[np.uint32]
"""Row numbers of `Reviews`."""

Hashes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]

CHARACTERS: Final = 5
"""Length of a shingle: one changed letter touches 5 shingles of a review, one changed word about 10."""

RECALL: Final = 0.99
"""Chance that a pair of exactly the wanted similarity becomes a candidate; more similar pairs have a higher one."""

NEIGHBOURS: Final = 8
"""Each member of a band's group is compared with the best member and with this many that follow it in quality."""

BANDS_PER_BUCKET: Final = 2_000_000
ROWS_SIGNED_AT_ONCE: Final = 5_000
PAIRS_LOADED_AT_ONCE: Final = 50_000
PAIRS_VERIFIED_AT_ONCE: Final = 2_048

_MARGIN: Final = " " * (CHARACTERS - 1)
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = np.uint64(0xBF58476D1CE4E5B9)

_BAND: Final[Kinds] = {"hash": pl.UInt64, "row": pl.UInt32, "quality": pl.UInt32}
_PAIR: Final[Kinds] = {"left": pl.UInt32, "right": pl.UInt32}
_QUALITY: Final[Kinds] = {name: REVIEW[name] for name in ("trust", "length", "created_at", "label")}
_VERIFIED: Final[Kinds] = {
    **_PAIR,
    **_QUALITY,
    **{f"{name}_right": kind for name, kind in _QUALITY.items()},
    "similarity": pl.Float64,
}


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


@dataclass(frozen=True)
class NearDuplicates:
    """Which rows are dropped as near duplicates; the three arrays are parallel and sorted by `row`.

    Attributes:
        row: The dropped row.
        kept_row: The kept row it is most similar to, of those that are better.
        similarity: Of the two (0-1).
        relabelled: How many dropped rows carry another label than the kept one.
    """

    row: Rows
    kept_row: Rows
    similarity: npt.NDArray[np.float64]
    relabelled: int

    def find(self, rows: Rows) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """Which of these rows are dropped, and where each of those stands in the arrays."""
        places = np.searchsorted(self.row, rows)
        inside = places < len(self.row)
        found = inside.copy()
        found[inside] = self.row[places[inside]] == rows[inside]
        return found, places[found]


def find_near_duplicates(reviews: Reviews, settings: NearDuplicateSettings, scratch: Path) -> NearDuplicates:
    """Which reviews are near duplicates of better ones; exact copies are left aside.

    Memory holds one bucket at a time, beside about 100 bytes for each verified pair.
    """
    bands = _write_bands(reviews, settings, scratch)
    pairs = _write_candidates(reviews, bands, scratch)
    verified = _verify(reviews, pairs, settings.near_similarity, scratch)

    left = verified.select(row="left", **{name: name for name in _QUALITY})
    right = verified.select(row="right", **{name: f"{name}_right" for name in _QUALITY})
    rows = pl.concat([left, right]).unique("row")
    ranks = rows.sort("trust", "length", "created_at", "row", descending=[True, True, False, False], nulls_last=True)
    return keep_best(verified, ranks)


# 1. Shingles


def shingle_hashes(keys: pl.Series) -> tuple[Hashes, Counts]:
    """A 64-bit hash of every sequence of `CHARACTERS` characters of each key, and how many each key has.

    Blanks are put around each key, so that its first and last characters weigh as much as the others: without them,
    "1 of 5 stars" and "2 of 5 stars" would be near duplicates.

    Returns:
        All hashes in the order of the keys, repetitions included; and their number for each key.
    """
    if keys.is_empty():
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    lengths = keys.str.len_chars().to_numpy().astype(np.int64) + 2 * len(_MARGIN)
    padded = f"{_MARGIN}{(2 * _MARGIN).join(keys.to_list())}{_MARGIN}"
    codes = np.frombuffer(padded.encode("utf-32-le"), dtype="<u4")
    hashes = codes[: len(codes) - CHARACTERS + 1].astype(np.uint64)
    for offset in range(1, CHARACTERS):
        hashes *= _MULTIPLIER
        hashes += codes[offset : len(codes) - CHARACTERS + 1 + offset]
    hashes ^= hashes >> np.uint64(31)
    hashes *= _MIX
    hashes ^= hashes >> np.uint64(29)
    inside = np.ones(len(codes), bool)
    ends = np.cumsum(lengths)
    for back in range(1, CHARACTERS):
        inside[ends - back] = False
    counts = lengths - CHARACTERS + 1
    return hashes[inside[: len(hashes)]], counts


# 2. Candidates: reviews that share a band of their signatures


def signatures(keys: pl.Series, permutations: int, seed: int) -> npt.NDArray[np.uint32]:
    """MinHash signature of each key, shape (keys, permutations); the share of equal places estimates the similarity."""
    from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue] - compiled, without stubs

    hashes, counts = shingle_hashes(keys)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, permutations, seed)
    return np.array(matrix.to_rows(), dtype=np.uint32).reshape(len(keys), permutations)


def band_layout(similarity: float, permutations: int, recall: float) -> tuple[int, int]:
    """Bands and rows per band: the longest bands that still find a pair of this similarity with this probability."""
    for rows in range(permutations, 1, -1):
        bands = permutations // rows
        if 1 - (1 - similarity**rows) ** bands >= recall:
            return bands, rows
    return permutations, 1


def band_hashes(signature: npt.NDArray[np.uint32], bands: int, rows: int) -> Hashes:
    """Hash of each band of each signature, shape (signatures, bands); the same in two bands only by chance."""
    cut = signature[:, : bands * rows].reshape(len(signature), bands, rows)
    hashes = np.broadcast_to(np.arange(1, bands + 1, dtype=np.uint64) * _MIX, cut.shape[:2]).copy()
    for row in range(rows):
        hashes *= _MULTIPLIER
        hashes += cut[:, :, row]
        hashes ^= hashes >> np.uint64(32)
    return hashes


def _write_bands(reviews: Reviews, settings: NearDuplicateSettings, scratch: Path) -> Spill:
    """The bands of all reviews, in buckets by their hash."""
    layout = band_layout(settings.near_similarity, settings.permutations, RECALL)
    entries = reviews.table.rows * layout[0]
    bands = Spill(scratch / "bands", _BAND, bucket_count(entries, BANDS_PER_BUCKET))
    progress = Progress("comparing reviews", reviews.table.rows, "rows")
    sign = partial(_bands_of, settings=settings, layout=layout, buckets=bands.buckets)
    # rensa and numpy let go of the interpreter for most of the work.
    with bands, ThreadPoolExecutor(settings.threads) as threads:
        for chunk in range(reviews.chunks):
            distinct = reviews.distinct(chunk, ["row", "key", "trust", "length"])
            for frame, buckets in threads.map(sign, distinct.iter_slices(ROWS_SIGNED_AT_ONCE)):
                bands.append(frame, buckets)
            progress.at(int(reviews.starts[chunk]) + distinct.height)
    progress.at(reviews.table.rows)
    return bands


def _bands_of(
    piece: pl.DataFrame, settings: NearDuplicateSettings, layout: tuple[int, int], buckets: int
) -> tuple[pl.DataFrame, npt.NDArray[np.int64]]:
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


def _write_candidates(reviews: Reviews, bands: Spill, scratch: Path) -> Spill:
    """The candidate pairs, in the chunk of their left row."""
    pairs = Spill(scratch / "pairs", _PAIR, reviews.chunks)
    with pairs:
        for bucket in range(bands.buckets):
            entries = bands.read(bucket)
            left, right = candidate_pairs(*(entries[name].to_numpy() for name in _BAND))
            pairs.append(pl.DataFrame({"left": left, "right": right}), reviews.chunk_of(left))
            bands.drop(bucket)
    return pairs


def candidate_pairs(hashes: Hashes, rows: Rows, quality: npt.NDArray[np.uint32]) -> tuple[Rows, Rows]:
    """Pairs of rows that share a band: the smaller row number, the greater one; repetitions are possible.

    A group of g rows with one band hash gives at most g * (NEIGHBOURS + 1) pairs, not g * g / 2. The best row of the
    group is compared with all others: among copies of one text it is the one that will be kept.
    """
    order = np.argsort(hashes)
    ordered = hashes[order]
    same = ordered[1:] == ordered[:-1]
    shared = order[np.concatenate([same, [False]]) | np.concatenate([[False], same])] if len(order) else order
    shared = shared[np.lexsort((rows[shared], np.iinfo(np.uint32).max - quality[shared], hashes[shared]))]
    hashes, rows = hashes[shared], rows[shared]
    if not len(rows):
        return rows, rows
    starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
    sizes = np.diff(np.append(starts, len(rows)))
    pieces = [(np.repeat(rows[starts], sizes), rows)]
    for distance in range(1, NEIGHBOURS + 1):
        near = hashes[distance:] == hashes[:-distance]
        pieces.append((rows[:-distance][near], rows[distance:][near]))
    left, right = (np.concatenate(side) for side in zip(*pieces, strict=True))
    apart = left != right
    left, right = left[apart], right[apart]
    return np.minimum(left, right), np.maximum(left, right)


# 3. Verification


def similarities(left: pl.Series, right: pl.Series) -> npt.NDArray[np.float64]:
    """True Jaccard similarity of the shingle sets of each pair of keys (0-1)."""
    pieces = [
        _similarities(left[start : start + PAIRS_VERIFIED_AT_ONCE], right[start : start + PAIRS_VERIFIED_AT_ONCE])
        for start in range(0, len(left), PAIRS_VERIFIED_AT_ONCE)
    ]
    return np.concatenate([np.empty(0), *pieces])


def _similarities(left: pl.Series, right: pl.Series) -> npt.NDArray[np.float64]:
    ours, theirs = _shingle_sets(left), _shingle_sets(right)
    merged = np.sort(np.concatenate([ours, theirs]))
    both = merged[1:][merged[1:] == merged[:-1]]
    common, of_left, of_right = (
        np.bincount((found >> np.uint64(48)).astype(np.int64), minlength=len(left)) for found in (both, ours, theirs)
    )
    return common / (of_left + of_right - common)


def _shingle_sets(keys: pl.Series) -> Hashes:
    """The distinct shingles of each key: number of the key in the upper 16 bits, 48 bits of the hash below."""
    hashes, counts = shingle_hashes(keys)
    owners = np.repeat(np.arange(len(keys), dtype=np.uint64), counts)
    # numpy's unique goes through a hash table, ten times slower than this.
    ordered = np.sort((owners << np.uint64(48)) | (hashes >> np.uint64(16)))
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]


def _verify(reviews: Reviews, pairs: Spill, similarity: float, scratch: Path) -> pl.DataFrame:
    """The pairs that are as similar as asked for, with the quality of both rows.

    The two rows of a pair are in two chunks: the left one's text is written beside the pair first, in the chunk of the
    right row.
    """
    loaded = Spill(scratch / "loaded", {**_PAIR, "key": pl.String, **_QUALITY}, pairs.buckets)
    with loaded:
        for chunk in range(pairs.buckets):
            wanted = pairs.read(chunk).unique(maintain_order=False).sort("left", "right")
            distinct = reviews.distinct(chunk, ["row", "key", *_QUALITY])
            for piece in wanted.iter_slices(PAIRS_LOADED_AT_ONCE):
                with_left = piece.join(distinct, left_on="left", right_on="row", how="left", maintain_order="left")
                loaded.append(with_left, reviews.chunk_of(piece["right"].to_numpy()))
            pairs.drop(chunk)
    found = [pl.DataFrame(schema=_VERIFIED)]
    for chunk in range(loaded.buckets):
        distinct = reviews.distinct(chunk, ["row", "key", *_QUALITY])
        for piece in loaded.pieces(chunk):
            both = piece.join(distinct, left_on="right", right_on="row", how="left")
            both = both.with_columns(similarity=similarities(both["key"], both["key_right"]))
            found.append(both.filter(pl.col("similarity") >= similarity).drop("key", "key_right"))
        loaded.drop(chunk)
    return pl.concat(found)


# 4. Choice of the rows that stay


def keep_best(pairs: pl.DataFrame, ranks: pl.DataFrame) -> NearDuplicates:
    """Drops rows until no two of a pair are left, keeping the better ones.

    The same as going through the rows from best to worst and keeping each that has no kept partner, in rounds over all
    rows at once.

    Args:
        pairs: `left`, `right` (row numbers) and `similarity` of near duplicates.
        ranks: `row` and `label` of each row in a pair, best first.
    """
    rows = ranks["row"].to_numpy()
    rank = np.argsort(rows)
    left, right = (rank[np.searchsorted(rows[rank], pairs[side].to_numpy())] for side in ("left", "right"))
    better, worse = np.minimum(left, right), np.maximum(left, right)
    dropped = _dropped(better, worse, len(rows))
    by_kept = dropped[worse] & ~dropped[better]
    better, worse, similarity = better[by_kept], worse[by_kept], pairs["similarity"].to_numpy()[by_kept]
    order = np.lexsort((better, -similarity, rows[worse]))
    better, worse, similarity = better[order], worse[order], similarity[order]
    first = np.concatenate([[True], worse[1:] != worse[:-1]])[: len(worse)]
    better, worse, similarity = better[first], worse[first], similarity[first]
    relabelled = int((ranks["label"].gather(worse) != ranks["label"].gather(better)).sum())
    return NearDuplicates(rows[worse], rows[better], similarity, relabelled)


def _dropped(better: npt.NDArray[np.int64], worse: npt.NDArray[np.int64], rows: int) -> npt.NDArray[np.bool_]:
    dropped = np.zeros(rows, bool)
    while len(better):
        waiting = np.zeros(rows, bool)
        waiting[worse] = True
        dropped[worse[~waiting[better]]] = True
        # A pair is settled when either is dropped; its better row, if it waits no more, is kept.
        open_ = ~(dropped[better] | dropped[worse])
        better, worse = better[open_], worse[open_]
    return dropped
