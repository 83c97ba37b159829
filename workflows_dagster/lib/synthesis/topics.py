"""Which words belong to one line of products: "hopper" to kitchen machines, "sleeve" to clothing."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

_LEAST_REVIEWS: Final = 3
_LEAST_RATIO: Final = 0.7
_LEAST_LIFT: Final = 2.0
"""How much more often than any word a word has to occur in its line: where all reviews are of one line, none does."""


def associate(reviews: Iterable[tuple[str, frozenset[str]]]) -> dict[str, str]:
    """The line of each word that occurs nearly only in reviews of one line.

    Args:
        reviews: The line that each review names, and its words.
    """
    reviews_of: Counter[str] = Counter()
    seen: dict[str, Counter[str]] = {}
    for line, used in reviews:
        reviews_of[line] += 1
        for word in used:
            seen.setdefault(word, Counter())[line] += 1
    total = reviews_of.total()
    lines: dict[str, str] = {}
    for word, counts in seen.items():
        line, most = counts.most_common(1)[0]
        ratio, prior = most / counts.total(), reviews_of[line] / total
        if most >= _LEAST_REVIEWS and ratio >= max(_LEAST_RATIO, _LEAST_LIFT * prior):
            lines[word] = line
    return lines


def line_of_words(used: frozenset[str], lines: Mapping[str, str]) -> str | None:
    """The line that most of the words belong to; None where none does, or two as often."""
    votes = Counter(lines[word] for word in used if word in lines).most_common(2)
    if not votes or (len(votes) == 2 and votes[0][1] == votes[1][1]):
        return None
    return votes[0][0]
