"""The sentences of a review, and which of them could stand in another review."""

import re
from typing import Final

# A sentence ends where a blank follows its end mark and any closing quote or bracket, or at a line break.
_BOUNDARY: Final = re.compile(r"(?<=[.!?\u2026])[\"'\u201d\u2019)\]]*\s+|\s*\n+\s*")
# "Approx. 5 oz. bag" is one sentence.
_ABBREVIATION: Final = re.compile(
    r"(?:^|[\s(])(?:approx|avg|dr|mr|mrs|ms|st|vs|no|oz|lb|lbs|ft|in|inc|max|min|e\.g|i\.e|u\.s|a\.m|p\.m|[a-z])\.$",
    re.I,
)
_WORDS: Final = re.compile(r"[^\W\d_]+(?:['\u2019`][^\W\d_]+)?")
_LETTER: Final = re.compile(r"[^\W\d_]")
_END: Final = re.compile(r"[.!?\u2026][\"'\u201d\u2019)\]]*$")

_REFERS_BACK: Final = re.compile(
    r"^\W*(?:also|and|another|as for|as a result|aside from|at first|because|besides|both|but|cons|either|else"
    r"|even so|even though|finally|first(?:ly)?|for example|having said|hence|her|his|he|however|if so|in addition"
    r"|instead|it'?s? also|last(?:ly)?|like i said|likewise|meanwhile|moreover|neither|nor|nevertheless|next|no|one"
    r"|only other|or|other(?:wise)?|plus|pros|same|second(?:ly)?|she|similarly|since then|so|still|such|that|their"
    r"|them|then|there(?:fore)?|these|they|this time|third|those|though|thus|too|well|what|when i did|which|while"
    r"|who|whereas|yes|yet|\d+[.)])\b",
    re.I,
)
_UNNAMED_PERSON: Final = re.compile(r"\b(?:he|she|him|her|his|hers|they|them|their)\b", re.I)
_PERSON: Final = re.compile(
    r"\b(?:husband|wife|son|daughter|mother|mom|mum|father|dad|sister|brother|friend|baby|kid|kids|girl|boy|boyfriend"
    r"|girlfriend|grand\w+|cat|dog|cats|dogs|people|company|seller|they'?re)s?\b",
    re.I,
)
_MEASURES: Final = re.compile(
    r"\d\s?['\u2019\"]|\b\d+\s?(?:lbs?|pounds|kg|cm|inches|oz)\b"
    r"|\b(?:size|usually wear|petite|xs|small|medium|large)\b",
    re.I,
)


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, in order; pieces without a letter join the one before them."""
    sentences: list[str] = []
    start = 0
    for end in (*(boundary.end() for boundary in _BOUNDARY.finditer(text)), len(text)):
        piece = text[start:end].strip()
        if end < len(text) and _ABBREVIATION.search(piece):
            continue
        start = end
        if sentences and piece and not _LETTER.search(piece):
            sentences[-1] = f"{sentences[-1]} {piece}"
        elif piece:
            sentences.append(piece)
    return sentences


def is_finished(sentence: str) -> bool:
    """Whether it ends in an end mark, with or without closing quotes."""
    return bool(_END.search(sentence))


def refers_back(sentence: str) -> bool:
    """Whether it opens with a word that needs the sentence before it: "However", "She", "But"."""
    return bool(_REFERS_BACK.match(sentence))


def asks(sentence: str) -> bool:
    """Whether it is a question, which the next sentence answers."""
    return bool(re.search(r"\?\W*$", sentence))


def stands_alone(sentence: str) -> bool:
    """Whether it could stand in the review of somebody else: complete, 4 to 40 words, no question, no open pronoun."""
    if not 4 <= len(sentence.split()) <= 40 or refers_back(sentence) or asks(sentence):
        return False
    if _UNNAMED_PERSON.search(sentence) and not _PERSON.search(sentence):
        return False
    return sentence.count("(") == sentence.count(")") and sentence.count('"') % 2 == 0


def tells_measures(sentence: str) -> bool:
    """Whether it tells sizes of the writer or the product. Two such sentences of two people contradict each other."""
    return bool(_MEASURES.search(sentence))


def words(text: str) -> frozenset[str]:
    """The words of a text, in lower case."""
    return frozenset(_WORDS.findall(text.lower()))
