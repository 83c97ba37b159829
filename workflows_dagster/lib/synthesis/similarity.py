"""How near synthetic texts are to real ones and to each other: Jaccard similarity of word trigrams.

Source: Broder, "On the resemblance and containment of documents" (1997). MinHash finds the candidates, then the sets
themselves are compared: every similarity that is reported is exact.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

if TYPE_CHECKING:
    from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]  # compiled, without types

_WORDS: Final = re.compile(r"\w+")
_PERMUTATIONS: Final = 128
_BANDS: Final = 32
"""4 rows a band: of pairs with a similarity of 0.5 one in 8 is missed, with 0.6 one in 100."""

_SEED: Final = 20


@dataclass(frozen=True)
class Nearest:
    """The nearest other text, and its similarity (0-1)."""

    review_id: str
    similarity: float


def shingles(text: str) -> frozenset[str]:
    """The word trigrams of a text, in lower case; of a shorter text, the text."""
    words = _WORDS.findall(text.lower())
    if len(words) < 3:
        return frozenset([" ".join(words)])
    return frozenset(" ".join(three) for three in zip(words, words[1:], words[2:], strict=False))


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Size of the intersection over that of the union (0-1)."""
    return len(first & second) / len(first | second)


class NearIndex:
    """An index of synthetic texts that finds their near copies. Real texts stream past it and are not kept.

    Args:
        ids: Ids of the texts.
        texts: The texts.
    """

    def __init__(self, ids: Sequence[str], texts: Sequence[str]) -> None:
        from rensa import RMinHashLSH  # pyright: ignore[reportAttributeAccessIssue]  # compiled, without types

        self.ids = list(ids)
        self._shingles = [shingles(text) for text in texts]
        self._lsh = RMinHashLSH(threshold=0.5, num_perm=_PERMUTATIONS, num_bands=_BANDS)
        for number, grams in enumerate(self._shingles):
            self._lsh.insert(number, _sketch(grams))

    def nearest(self, reviews: Iterable[pl.DataFrame]) -> dict[str, Nearest]:
        """For each synthetic id that has a near real review: the nearest of them.

        Args:
            reviews: Batches with columns review_id and text.
        """
        found: dict[str, Nearest] = {}
        for batch in reviews:
            for review_id, text in batch.select("review_id", "text").iter_rows():
                grams = shingles(text)
                for number in self._lsh.query(_sketch(grams)):
                    near = Nearest(review_id, jaccard(grams, self._shingles[number]))
                    best = found.get(self.ids[number])
                    if best is None or (near.similarity, best.review_id) > (best.similarity, near.review_id):
                        found[self.ids[number]] = near
        return found

    def nearest_before(self) -> dict[str, Nearest]:
        """For each synthetic id that has one: the nearest text before it in the index."""
        found: dict[str, Nearest] = {}
        for number, grams in enumerate(self._shingles):
            before = [other for other in self._lsh.query(_sketch(grams)) if other < number]
            if before:
                near = [(jaccard(grams, self._shingles[other]), -other) for other in before]
                similarity, other = max(near)
                found[self.ids[number]] = Nearest(self.ids[-other], similarity)
        return found


def _sketch(grams: frozenset[str]) -> "RMinHash":
    from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]  # compiled, without types

    sketch = RMinHash(num_perm=_PERMUTATIONS, seed=_SEED)
    sketch.update(sorted(grams))
    return sketch


def highest_similarity(texts: Sequence[str], others: Iterable[str]) -> float:
    """The highest similarity between any of the texts and any of the others, by an exact inverted index (0-1)."""
    sets = [shingles(text) for text in texts]
    postings: dict[str, list[int]] = {}
    for number, grams in enumerate(sets):
        for gram in grams:
            postings.setdefault(gram, []).append(number)
    highest = 0.0
    for other in others:
        grams = shingles(other)
        shared = Counter(number for gram in grams for number in postings.get(gram, ()))
        for number, common in shared.items():
            highest = max(highest, common / (len(grams) + len(sets[number]) - common))
    return highest


def diversity(texts: Sequence[str]) -> Mapping[str, float]:
    """Distinct-1, -2 and -3 (Li et al. 2016), and the part of 4-grams shared with another of the texts (0-1)."""
    tokens = [_WORDS.findall(text.lower()) for text in texts]
    figures: dict[str, float] = {}
    for n in (1, 2, 3):
        grams = [gram for words in tokens for gram in _ngrams(words, n)]
        figures[f"distinct_{n}"] = round(len(set(grams)) / max(len(grams), 1), 4)
    sets = [set(_ngrams(words, 4)) for words in tokens]
    held = Counter(gram for grams in sets for gram in grams)
    shared = sum(1 for grams in sets for gram in grams if held[gram] > 1)
    figures["self_overlap"] = round(shared / max(sum(map(len, sets)), 1), 4)
    return figures


def _ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
