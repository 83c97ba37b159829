"""The product and brand that a text is about, and how a sentence is rewritten for another product or brand."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import yaml

_KINDS: Final = Path(__file__).with_name("kinds.yaml")
_MIDDLE_CAPITAL: Final = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}\b")
_WORD: Final = re.compile(r"\b[a-z]{3,}\b")
_VOWEL: Final = re.compile(r"[aeiou]", re.I)
_LEAST_REVIEWS: Final = 3
_LEAST_RATIO: Final = 0.7
_LEAST_LIFT: Final = 2.0
"""The line's share of a word's reviews, over its share of all reviews. With one line only, no word reaches it."""


@dataclass(frozen=True)
class Kinds:
    """The product words of kinds.yaml.

    Attributes:
        line_of: Line by kind; a line is a group of kinds whose words may stand for each other.
        forms: Singular and plural by kind.
        pattern: Finds every form.
        kind_of: Kind and number (0 singular, 1 plural) by form.
    """

    line_of: Mapping[str, str]
    forms: Mapping[str, tuple[str, str]]
    pattern: re.Pattern[str]
    kind_of: Mapping[str, tuple[str, int]]


@cache
def load_kinds() -> Kinds:
    """The product words."""
    lines = yaml.safe_load(_KINDS.read_text("utf-8"))
    line_of = {kind: line for line, kinds in lines.items() for kind in kinds}
    forms = {kind: (words[0], words[1]) for kinds in lines.values() for kind, words in kinds.items()}
    kind_of = {form: (kind, number) for kind, pair in forms.items() for number, form in enumerate(pair)}
    longest_first = sorted(kind_of, key=lambda form: (-len(form), form))
    pattern = re.compile(rf"\b(?:(an?)( ))?({'|'.join(map(re.escape, longest_first))})\b", re.I)
    return Kinds(line_of, forms, pattern, kind_of)


def kind_of_text(text: str) -> str | None:
    """The kind that a text names most often; among equals the one it names first."""
    kinds = load_kinds()
    named = Counter(kinds.kind_of[match.group(3).lower()][0] for match in kinds.pattern.finditer(text))
    return named.most_common(1)[0][0] if named else None


def exchange_product(sentence: str, kind: str | None) -> str | None:
    """The sentence about a product of this kind; None where it names one of another line.

    Number, capital letter and the indefinite article follow the new word.
    """
    kinds = load_kinds()
    found = {kinds.kind_of[match.group(3).lower()][0] for match in kinds.pattern.finditer(sentence)}
    if not found:
        return sentence
    # Two products in one sentence are compared or worn together: their words are not exchangeable.
    if kind is None or len(found) > 1 or kinds.line_of[next(iter(found))] != kinds.line_of[kind]:
        return None

    def replace(match: re.Match[str]) -> str:
        article, blank, word = match.group(1), match.group(2) or "", match.group(3)
        new = kinds.forms[kind][kinds.kind_of[word.lower()][1]]
        if word.isupper():
            new = new.upper()
        elif word[0].isupper():
            new = new[0].upper() + new[1:]
        if article is None:
            return new
        fitting = "an" if _VOWEL.match(new) else "a"
        return f"{fitting.capitalize() if article[0].isupper() else fitting}{blank}{new}"

    return kinds.pattern.sub(replace, sentence)


def find_brands(texts: Iterable[str], least: int = 3) -> frozenset[str]:
    """Names that several texts write with a capital inside a sentence, and no text writes without one."""
    capital: Counter[str] = Counter()
    small: set[str] = set()
    for text in texts:
        capital.update(set(_MIDDLE_CAPITAL.findall(text)))
        small.update(_WORD.findall(text))
    return frozenset(word for word, n in capital.items() if n >= least and word.lower() not in small)


def brand_of(text: str, brands: frozenset[str]) -> str | None:
    """The first brand that a text names inside a sentence."""
    return next((word for word in _MIDDLE_CAPITAL.findall(text) if word in brands), None)


def exchange_brand(sentence: str, brand: str | None, brands: frozenset[str]) -> str | None:
    """The sentence about this brand; None where it names a brand and `brand` is None, or names several."""
    named = {word for word in re.findall(r"\b[A-Z][a-z]{2,}\b", sentence) if word in brands}
    if not named:
        return sentence
    if brand is None or len(named) > 1:
        return None
    return re.sub(rf"\b{named.pop()}\b", lambda _: brand, sentence)


def associate(reviews: Iterable[tuple[str, frozenset[str]]]) -> dict[str, str]:
    """The line of each word that occurs nearly only in reviews of one line: "hopper" belongs to kitchen machines.

    Args:
        reviews: The line of each review, and its words.
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
    """The line that most of the words belong to; None where no word belongs to one, or two lines tie."""
    votes = Counter(lines[word] for word in used if word in lines).most_common(2)
    if not votes or (len(votes) == 2 and votes[0][1] == votes[1][1]):
        return None
    return votes[0][0]
