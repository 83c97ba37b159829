"""What a text is compared by: its normalised key, the character sequences in it, and MinHash signatures of those.

Source: Broder, "On the resemblance and containment of documents" (1997); signatures by rensa (R-MinHash).
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

Hashes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]

CHARACTERS: Final = 5
"""Length of a shingle: one changed letter touches 5 shingles of a review, one changed word about 10."""

_MARGIN: Final = " " * (CHARACTERS - 1)
PAIRS_AT_ONCE: Final = 2048
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = np.uint64(0xBF58476D1CE4E5B9)
# What differs between copies of one text without making it another: punctuation, blanks, control characters, accents
# that stand alone, the tints and presentation marks of emoji. Letters, digits, symbols and emoji stay.
_INSIGNIFICANT: Final = r"[\p{P}\p{Z}\p{C}\p{Sk}\x{FE0E}\x{FE0F}]+"


def text_key(text: pl.Expr) -> pl.Expr:
    """The text in lower case with punctuation and blanks as single blanks; texts with one key are exact duplicates.

    A text of nothing but punctuation (":)", "!!!") is its own key: without it, all such texts would be one.
    """
    plain = text.str.to_lowercase()
    key = plain.str.replace_all(_INSIGNIFICANT, " ").str.strip_chars()
    return pl.when(key == "").then(plain).otherwise(key)


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


def signatures(keys: pl.Series, permutations: int, seed: int) -> npt.NDArray[np.uint32]:
    """MinHash signature of each key, shape (keys, permutations); the share of equal places estimates the similarity."""
    from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue] - compiled, without stubs

    hashes, counts = shingle_hashes(keys)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, permutations, seed)
    return np.array(matrix.to_rows(), dtype=np.uint32).reshape(len(keys), permutations)


def band_hashes(signature: npt.NDArray[np.uint32], bands: int, rows: int) -> Hashes:
    """Hash of each band of each signature, shape (signatures, bands); the same in two bands only by chance."""
    cut = signature[:, : bands * rows].reshape(len(signature), bands, rows)
    hashes = np.broadcast_to(np.arange(1, bands + 1, dtype=np.uint64) * _MIX, cut.shape[:2]).copy()
    for row in range(rows):
        hashes *= _MULTIPLIER
        hashes += cut[:, :, row]
        hashes ^= hashes >> np.uint64(32)
    return hashes


def band_layout(similarity: float, permutations: int, recall: float) -> tuple[int, int]:
    """Bands and rows per band: the longest bands that still find a pair of this similarity with this probability."""
    for rows in range(permutations, 1, -1):
        bands = permutations // rows
        if 1 - (1 - similarity**rows) ** bands >= recall:
            return bands, rows
    return permutations, 1


def similarities(left: pl.Series, right: pl.Series) -> npt.NDArray[np.float64]:
    """True Jaccard similarity of the shingle sets of each pair of keys (0-1)."""
    pieces = [
        _similarities(left[start : start + PAIRS_AT_ONCE], right[start : start + PAIRS_AT_ONCE])
        for start in range(0, len(left), PAIRS_AT_ONCE)
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
