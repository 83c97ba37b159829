"""The tokens that stand for personal data, and how a recognizer puts them into a text."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final


class Mask(StrEnum):
    """The tokens that stand for personal data."""

    URL = "[URL]"
    EMAIL = "[EMAIL]"
    HANDLE = "[HANDLE]"
    PHONE = "[PHONE]"
    CARD = "[CARD]"
    ACCOUNT = "[ACCOUNT]"
    ID = "[ID]"
    ORDER = "[ORDER]"
    IP = "[IP]"
    DEVICE = "[DEVICE]"
    COORDINATES = "[COORDINATES]"
    BIRTHDATE = "[BIRTHDATE]"
    ADDRESS = "[ADDRESS]"
    PASSWORD = "[PASSWORD]"
    NAME = "[NAME]"

    @property
    def kind(self) -> str:
        """Its name in reports: `url`, `email` ..."""
        return self.name.lower()

    @property
    def counted(self) -> dict[str, str]:
        """Its token by its kind, as a rule counts it."""
        return {self.kind: self.value}


ANY_MASK: Final = rf"\[(?:{'|'.join(mask.name for mask in Mask)})\]"


def always(_found: str) -> bool:
    """True: the shape alone is enough."""
    return True


@dataclass(frozen=True)
class Recognizer:
    """One shape of personal data.

    Attributes:
        mask: What is put in its place.
        spans: Where it stands in a text: first and last place, from left to right.
    """

    mask: Mask
    spans: Callable[[str], Iterable[tuple[int, int]]]


def recognizer(mask: Mask, pattern: str, holds: Callable[[str], bool] = always) -> Recognizer:
    """A recognizer of what a regular expression matches.

    Args:
        mask: What is put in its place.
        pattern: What a group `keep` at its beginning matches is left in place.
        holds: Whether what was found, without `keep`, is what it looks like: check digits, ranges, number of digits.
    """
    compiled = re.compile(pattern)
    has_keep = "keep" in compiled.groupindex

    def spans(text: str) -> Iterator[tuple[int, int]]:
        for found in compiled.finditer(text):
            start = found.end("keep") if has_keep else found.start()
            if holds(text[start : found.end()]):
                yield start, found.end()

    return Recognizer(mask, spans)


def put_masks(text: str, recognizers: Iterable[Recognizer]) -> str:
    """The text with a mask wherever one of the recognizers, one after the other, finds something.

    They see digits of every script, and characters of full width, as ASCII.
    """
    plain = _in_ascii_digits(text)
    for each in recognizers:
        kept, last = list[str](), 0
        for start, end in each.spans(plain):
            kept += [text[last:start], each.mask.value]
            last = end
        if kept:
            text = "".join([*kept, text[last:]])
            plain = _in_ascii_digits(text)
    return text


def put_masks_near(text: str, near: re.Pattern[str], recognizers: Sequence[Recognizer]) -> str:
    """As `put_masks`, but only what is near a match of a pattern is looked at: most of a long text is far from it."""
    windows: list[tuple[int, int]] = []
    for found in near.finditer(_in_ascii_digits(text)):
        start, end = max(0, found.start() - _BEFORE), found.end() + _AFTER
        # Between words, so that nothing is cut.
        start = max(text.rfind(" ", 0, start), text.rfind("\n", 0, start)) + 1
        end = len(text) if (blank := text.find(" ", end)) < 0 else blank
        if windows and start <= windows[-1][1]:
            windows[-1] = windows[-1][0], max(end, windows[-1][1])
        else:
            windows.append((start, end))
    for start, end in reversed(windows):
        text = text[:start] + put_masks(text[start:end], recognizers) + text[end:]
    return text


def _in_ascii_digits(text: str) -> str:
    return text if text.isascii() or not _OTHER_DIGIT.search(text) else text.translate(_plain())


_OTHER_DIGIT: Final = re.compile(r"[^\W\x00-\x7f](?<=\d)|[\uff01-\uff5e]")
_BEFORE: Final = 80
_AFTER: Final = 48
"""Characters before and after a number that can say what it is."""


@cache
def _plain() -> dict[int, str]:
    digits = {code: str(unicodedata.decimal(chr(code))) for code in range(0x80, 0x1FBFA) if chr(code).isdecimal()}
    return {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | digits


def digits_of(written: str) -> str:
    """The decimal digits of a text, of whatever script, as ASCII."""
    return "".join(str(int(character)) for character in written if character.isdecimal())


def either_case(words: str) -> str:
    """A pattern in Rust syntax of alternatives in any case.

    Those in ASCII are kept apart: the engine compiles them ten times faster, and runs them on its fast path.
    """
    return f"(?i-u:{in_ascii(words)})" + (f"|(?i:{others})" if (others := not_in_ascii(words)) else "")


def in_ascii(words: str) -> str:
    """Those of the alternatives that are ASCII."""
    return "|".join(word for word in _alternatives(words) if word.isascii())


def not_in_ascii(words: str) -> str:
    """The other alternatives."""
    return "|".join(word for word in _alternatives(words) if not word.isascii())


def _alternatives(words: str) -> list[str]:
    return re.split(r"\|(?![^(]*\))", words)
