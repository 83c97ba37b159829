"""Which cleaned texts are no reviews: empty, too short, too long, or gibberish.

Gibberish is measured, in any script, by two shares:

- letters and emoji among the visible characters. "!!!! ### 12 %%" has hardly any. Ratings ("10/10", "100%") and
  emoticons mean something without letters and pass.
- unreadable letters among all letters. A Latin word is unreadable when it has six consonants in a row, when it is one
  long blob, or when it runs along the keyboard ("asdfgh", "qweqwe"). Letters of other scripts are all readable.
"""

import re
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Final

import polars as pl

from workflows_dagster.lib.cleaning.personal_data.masks import ANY_MASK
from workflows_dagster.lib.cleaning.rules import TEXT, change_where, spread
from workflows_dagster.lib.cleaning.settings import RejectReason

if TYPE_CHECKING:
    from workflows_dagster.lib.cleaning.settings import CleaningSettings

_WIDE: Final = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Extended_Pictographic}]"

_LETTER: Final = r"[\p{L}\p{M}\p{Extended_Pictographic}\p{Regional_Indicator}]"
_MEANT: Final = (
    r"[0-9]\s*/\s*(?:5|10|100)\b|\b[0-9]{1,3}\s*%|^[^0-9]*[0-9]{1,2}[^0-9]*$|"
    r"(?:^|\s)[:;=8]['-]?[()\[\]/|*]|(?:^|\s)\^[_.]*\^|<3"
)
# More than four other characters for each letter leave three of them side by side somewhere.
_FEW_LETTERS_GUARD: Final = pl.col("content").str.contains(r"[!-@\[-`{-~]{3}") | ~pl.col("content").str.contains(
    r"[A-Za-z\x{80}-\x{10FFFF}]"
)

_SOME_WORD: Final = "[A-Za-z]{3}"
_SOME_WORD_LETTERS: Final = 15
"""Three letters in a fifth of the largest `min_letter_ratio` allowed: so many such words are letters enough."""

_CONSONANT_RUN: Final = "[bcdfghjklmnpqrstvwxzBCDFGHJKLMNPQRSTVWXZ]{6}"
_DIGRAPH: Final = re.compile("sch|ch|ck|gh|ng|ph|sh|st|th|ts")
"""Letters that are one sound, or nearly: "Angstschweiss" and "catchphrase" can be read."""

_BLOB_LETTERS: Final = 40
_KEYBOARD_ROWS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_KEYBOARD_LETTERS: Final = 6
_KEYBOARD_HINTS: Final = ("asd", "sdf", "dfg", "fgh", "ghj", "hjk", "jkl", "lkj", "qwe", "ewq", "zxc", "xcv", "cvb")
_NEIGHBOURS: Final = frozenset(
    first + second for row in _KEYBOARD_ROWS for keys in (row, row[::-1]) for first, second in pairwise(keys)
)
_WORD: Final = re.compile(r"[^\W\d_]+")
_LATIN: Final = re.compile(r"[A-Za-z\u00C0-\u024F]+")


def judge(texts: pl.Series, settings: "CleaningSettings") -> pl.DataFrame:
    """The reason why each cleaned text is rejected, and what was measured.

    Returns:
        Columns `reason` (a RejectReason) and `detail`, one row per text; both null where the text is kept.
    """
    content = _content(texts)
    measured = pl.DataFrame(
        {
            "content": content,
            "length": texts.str.len_chars(),
            "width": _width(content, settings.min_characters),
            "letters": _letter_share(content),
            "unreadable": _unreadable_share(content),
        }
    )
    findings = _findings(settings)
    return measured.select(
        reason=pl.coalesce(*(pl.when(broken).then(pl.lit(reason.value)) for reason, broken, _ in findings)),
        detail=pl.coalesce(*(pl.when(broken).then(detail) for _, broken, detail in findings)),
    )


def _findings(settings: "CleaningSettings") -> list[tuple[RejectReason, pl.Expr, pl.Expr]]:
    """Reason, condition and detail of each rule; the first that holds is the reason."""
    unreadable = pl.col("unreadable").round(2)
    return [
        (
            RejectReason.EMPTY_AFTER_CLEANING,
            pl.col("content") == "",
            pl.lit("nothing left but masks or blanks; expected a text"),
        ),
        (
            RejectReason.TOO_SHORT,
            pl.col("width") < settings.min_characters,
            pl.format("length {}; expected at least {}", "width", pl.lit(settings.min_characters)),
        ),
        (
            RejectReason.TOO_LONG,
            pl.col("length") > settings.max_characters,
            pl.format("length {}; expected at most {}", "length", pl.lit(settings.max_characters)),
        ),
        (
            RejectReason.GIBBERISH,
            pl.col("letters") < settings.min_letter_ratio,
            pl.format(
                "share of letters {}; expected at least {}",
                pl.col("letters").round(2),
                pl.lit(settings.min_letter_ratio),
            ),
        ),
        (
            RejectReason.GIBBERISH,
            pl.col("unreadable") > settings.max_unreadable_ratio,
            pl.format(
                "share of unreadable letters {}; expected at most {}", unreadable, pl.lit(settings.max_unreadable_ratio)
            ),
        ),
    ]


def _content(texts: pl.Series) -> pl.Series:
    """The texts without masks."""
    return change_where(
        texts,
        TEXT.str.contains("[", literal=True),
        lambda masked: masked.str.replace_all(ANY_MASK, "").str.strip_chars(),
    )


def _width(texts: pl.Series, enough: int) -> pl.Series:
    """Characters of each text; in a text that is too short an ideograph, a syllable or an emoji counts as two."""
    lengths = texts.str.len_chars()
    short = lengths < enough
    some = texts.filter(short)
    return spread(some.str.len_chars() + some.str.count_matches(_WIDE), short, lengths)


def _letter_share(texts: pl.Series) -> pl.Series:
    """Letters and emoji among the visible characters; 1 where there are plainly enough, or where none are needed."""
    suspects = texts.to_frame("content").select(_FEW_LETTERS_GUARD).to_series()
    for excused in (_has_many_words, _means_something):
        suspects = spread(~excused(texts.filter(suspects)), suspects, suspects)
    some = texts.filter(suspects)
    share = some.str.count_matches(_LETTER) / some.str.count_matches(r"\S")
    return spread(share, suspects, pl.ones(len(texts), pl.Float64, eager=True))


def _has_many_words(texts: pl.Series) -> pl.Series:
    return texts.str.count_matches(_SOME_WORD) * _SOME_WORD_LETTERS >= texts.str.len_chars()


def _means_something(texts: pl.Series) -> pl.Series:
    return texts.str.contains(_MEANT)


def _unreadable_share(texts: pl.Series) -> pl.Series:
    """Letters in unreadable Latin words among all letters."""
    suspects = texts.str.contains(f"{_CONSONANT_RUN}|[A-Za-z]{{{_BLOB_LETTERS}}}")
    suspects |= texts.str.contains_any(
        [hint for word in _KEYBOARD_HINTS for hint in (word, word.title(), word.upper())]
    )
    shares = pl.Series([_unreadable(text) for text in texts.filter(suspects)], dtype=pl.Float64)
    return spread(shares, suspects, pl.zeros(len(texts), pl.Float64, eager=True))


def _unreadable(text: str) -> float:
    words = _WORD.findall(text)
    letters = sum(map(len, words))
    return sum(len(word) for word in words if _is_unreadable(word)) / letters if letters else 0.0


def _is_unreadable(word: str) -> bool:
    if not _LATIN.fullmatch(word):
        return False
    lower = word.lower()
    once = "".join(letter for letter, _ in groupby(lower))  # "yesssss" is drawn out, not unreadable
    sounds = _DIGRAPH.sub("c", once)
    return len(word) >= _BLOB_LETTERS or re.search(_CONSONANT_RUN, sounds) is not None or _is_keyboard_run(lower)


def _is_keyboard_run(word: str) -> bool:
    """Whether four fifths of a word of six letters or more lie in runs of three or more neighbouring keys."""
    if len(word) < _KEYBOARD_LETTERS:
        return False
    runs = [1]
    for first, second in pairwise(word):
        if first + second in _NEIGHBOURS:
            runs[-1] += 1
        else:
            runs.append(1)
    return sum(run for run in runs if run >= 3) >= 0.8 * len(word)
