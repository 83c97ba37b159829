"""Near duplicates: candidates by locality-sensitive hashing, verified by their true similarity, the best copy kept.

Everything here works on arrays of row numbers. A row number is the rank of a review's id, so that numbers, and with
them every choice, are the same in whatever order the reviews arrive.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

Rows = npt.NDArray[np.uint32]

NEIGHBOURS: Final = 8
"""Each member of a band's group is compared with the best member and with this many that follow it in quality."""


def candidate_pairs(hashes: npt.NDArray[np.uint64], rows: Rows, quality: npt.NDArray[np.uint32]) -> tuple[Rows, Rows]:
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


@dataclass(frozen=True)
class NearDuplicates:
    """Which rows are dropped as near duplicates; the three arrays are parallel and sorted by `row`.

    Attributes:
        row: The dropped row.
        kept_row: The kept row it is most similar to, of those that are better.
        similarity: Of the two (0-1).
    """

    row: Rows
    kept_row: Rows
    similarity: npt.NDArray[np.float64]

    def find(self, rows: Rows) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
        """Which of these rows are dropped, and where each of those stands in the arrays."""
        places = np.searchsorted(self.row, rows)
        inside = places < len(self.row)
        found = inside.copy()
        found[inside] = self.row[places[inside]] == rows[inside]
        return found, places[found]


def keep_best(pairs: pl.DataFrame, ranks: pl.DataFrame) -> NearDuplicates:
    """Drops rows until no two of a pair are left, keeping the better ones.

    The same as going through the rows from best to worst and keeping each that has no kept partner, in rounds over all
    rows at once.

    Args:
        pairs: `left`, `right` (row numbers) and `similarity` of near duplicates.
        ranks: `row` of each row in a pair, best first.
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
    return NearDuplicates(rows[worse[first]], rows[better[first]], similarity[first])


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
