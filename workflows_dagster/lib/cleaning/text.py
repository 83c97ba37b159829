r"""Rules that repair the form of a text and leave what it says: encoding, HTML, invisible characters, whitespace.

Texts are brought to NFC, not NFKC. NFKC turns "m²" into "m2" and "size 5½" into "size 51" over 2: it changes what is
said. Only letters and digits that are styled (mathematical, ligatures) or of another width are folded to plain ones.
Case is kept: the model's tokenizer decides.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

import polars as pl

from workflows_dagster.lib.cleaning.rules import TEXT, Rule, RuleGroup, by_row, replace_distinct, substitute

if TYPE_CHECKING:
    from workflows_dagster.lib.cleaning.settings import CleaningSettings

NON_ASCII: Final = TEXT.str.len_bytes() != TEXT.str.len_chars()

_ENTITY: Final = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"

_BLOCK_TAGS: Final = (
    "address|article|aside|blockquote|body|br|center|dd|div|dl|dt|footer|form|h[1-6]|head|header|hr|html|li|main|nav|"
    "ol|option|p|pre|section|select|table|tbody|td|tfoot|th|thead|title|tr|ul"
)
_INLINE_TAGS: Final = (
    "a|abbr|acronym|b|bdi|bdo|big|button|cite|code|data|del|dfn|em|embed|font|i|iframe|img|input|ins|kbd|label|link|"
    "mark|meta|noscript|object|param|q|s|samp|small|source|span|strike|strong|sub|sup|time|tt|u|var|video|wbr"
)
# Attributes need a value: "<i love it>" is not a tag.
_ATTRIBUTES: Final = r"""(?:\s+[A-Za-z_:][-\w:.]*\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>]+))*\s*/?"""
_BLOCK: Final = rf"(?i)</?(?:{_BLOCK_TAGS}){_ATTRIBUTES}>"
_INLINE: Final = rf"(?i)</?(?:{_INLINE_TAGS}){_ATTRIBUTES}>"
_UNSEEN: Final = r"(?is)<!--.*?-->|<script\b[^>]*>.*?</script\s*>|<style\b[^>]*>.*?</style\s*>|<!doctype[^>]*>"

_LINE_BREAK: Final = r"\r\n?|[\x0B\x0C\x{85}\x{2028}\x{2029}]"
_SPACE: Final = r"[\x{A0}\x{1680}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}]"
_CONTROLS: Final = [chr(code) for code in (*range(0x20), 0x7F) if chr(code) not in "\t\n"]
_CONTROL: Final = r"\x1B\[[0-9;]*[A-Za-z]|[\x00-\x08\x0E-\x1F\x7F]"
# Soft hyphen, fillers, overriding and isolating marks, C1 controls, noncharacters: no text needs them to be read.
_INVISIBLE: Final = (
    r"[\x{80}-\x{84}\x{86}-\x{9F}\x{AD}\x{115F}\x{1160}\x{202A}-\x{202E}\x{2060}-\x{206F}\x{3164}\x{FDD0}-\x{FDEF}"
    r"\x{FEFF}\x{FFA0}\x{FFF0}-\x{FFFB}\x{FFFE}\x{FFFF}]"
)
_FLAG: Final = r"\x{1F3F4}[\x{E0020}-\x{E007E}]{1,32}\x{E007F}"
_TAG: Final = r"[\x{E0000}-\x{E0FFF}]"
# Joiners shape the letters of many scripts, at the end of a word too, and hold emoji together; a zero-width space
# ends a word in scripts without blanks. Between the letters of these scripts they are noise.
_JOINER: Final = r"[\x{200B}-\x{200D}]+"
_NEEDS_NO_JOINER: Final = r"[\x00-\x7F\p{Latin}\p{Greek}\p{Cyrillic}\x{A0}]"

_DIRECTION: Final = r"[\x{200E}\x{200F}\x{61C}]"
_RIGHT_TO_LEFT: Final = r"[\p{Hebrew}\p{Arabic}\p{Syriac}\p{Thaana}\p{Nko}]"

_QUOTES: Final = {"‘": "'", "’": "'", "‚": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "‟": '"'}  # noqa: RUF001

# Ligatures, letters and digits of full width, mathematical letters and digits.
_FOLDED_RANGES: Final = ((0xFB00, 0xFB06), (0xFF10, 0xFF19), (0xFF21, 0xFF3A), (0xFF41, 0xFF5A), (0x1D400, 0x1D7FF))
_FOLDED: Final = r"[\x{FB00}-\x{FB06}\x{FF10}-\x{FF19}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{1D400}-\x{1D7FF}]"
# There the full width is how digits and letters are written.
_EAST_ASIAN: Final = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]"

_UNTIDY: Final = (
    TEXT.str.contains_any(["\t", "  ", " \n", "\n ", "\n\n"])
    | TEXT.str.starts_with(" ")
    | TEXT.str.ends_with(" ")
    | TEXT.str.starts_with("\n")
    | TEXT.str.ends_with("\n")
)

# Automata of distinct matches must stay small; a longer run shrinks in several passes.
_LONGEST_RUN: Final = 64
_LONG_WORD: Final = TEXT.str.contains(r"[^ \n\t]{200}")

_EMOJI: Final = (
    rf"{_FLAG}|"
    r"\p{Regional_Indicator}{2}|[0-9#*]\x{FE0F}?\x{20E3}|"
    r"\p{Extended_Pictographic}[\x{FE0E}\x{FE0F}]?[\x{1F3FB}-\x{1F3FF}]?"
    r"(?:\x{200D}\p{Extended_Pictographic}[\x{FE0E}\x{FE0F}]?[\x{1F3FB}-\x{1F3FF}]?){0,8}"
)

_SIGNS: Final = frozenset("©®™")
"""Unicode lists these as emoji; in reviews they are part of a product's name."""


def form_rules() -> Sequence[Rule | RuleGroup]:
    """Rules that undo what exports do to texts; personal data is looked for after them."""
    return (
        Rule(
            "html_entities",
            TEXT.str.contains("&", literal=True),
            lambda texts: replace_distinct(texts, _ENTITY, _decode_entity),
        ),
        RuleGroup(
            TEXT.str.contains("<", literal=True),
            (
                Rule("html_tags", TEXT.str.contains_any(["<!", "<s", "<S"]), substitute((_UNSEEN, " "))),
                Rule("html_tags", TEXT.str.contains(">", literal=True), substitute((_BLOCK, "\n"), (_INLINE, ""))),
            ),
        ),
        Rule("control_characters", TEXT.str.contains_any(_CONTROLS), substitute((_LINE_BREAK, "\n"), (_CONTROL, ""))),
        RuleGroup(
            NON_ASCII,
            (
                # Each distinct garbled word once; a word is repaired even where an emoji beside it is sound.
                Rule(
                    "mojibake",
                    TEXT.str.contains(mojibake_pattern()) & ~_LONG_WORD,
                    lambda texts: replace_distinct(texts, r"\S*[^\x00-\x7F]\S*", repair_encoding),
                ),
                # What only shows across words, such as an "à" that lost its second byte to a blank.
                Rule("mojibake", TEXT.str.contains(mojibake_pattern()), by_row(repair_encoding)),
                Rule("styled_letters", TEXT.str.contains(_FOLDED) & ~TEXT.str.contains(_EAST_ASIAN), _fold_styled),
                Rule(
                    "invisible_characters",
                    TEXT.str.contains(rf"{_INVISIBLE}|{_JOINER}|{_TAG}"),
                    substitute(
                        (_INVISIBLE, ""),
                        (rf"({_FLAG})|{_TAG}", "${1}"),
                        (rf"({_NEEDS_NO_JOINER}){_JOINER}({_NEEDS_NO_JOINER}|$)", "${1}${2}"),
                        (rf"^{_JOINER}({_NEEDS_NO_JOINER}|$)", "${1}"),
                    ),
                ),
                Rule(
                    "invisible_characters",
                    TEXT.str.contains(_DIRECTION) & ~TEXT.str.contains(_RIGHT_TO_LEFT),
                    substitute((_DIRECTION, "")),
                ),
                Rule(
                    "unicode_spaces",
                    TEXT.str.contains(rf"{_SPACE}|{_LINE_BREAK}"),
                    substitute((_LINE_BREAK, "\n"), (_SPACE, " ")),
                ),
                Rule(
                    "quotes",
                    TEXT.str.contains_any(list(_QUOTES)),
                    lambda texts: texts.str.replace_many(list(_QUOTES), list(_QUOTES.values())),
                ),
                Rule(
                    "lost_apostrophes",
                    TEXT.str.contains("\N{REPLACEMENT CHARACTER}", literal=True),
                    substitute((r"([A-Za-z])\x{FFFD}(m|s|t|d|re|ve|ll)\b", "${1}'${2}")),
                ),
                Rule("composition", pl.lit(value=True), lambda texts: texts.str.normalize("NFC")),
            ),
        ),
        Rule(
            "backtick_apostrophes",
            TEXT.str.contains("`", literal=True),
            substitute((r"([A-Za-z])[`]([A-Za-z])", "${1}'${2}")),
        ),
    )


def emoji_rules(settings: "CleaningSettings") -> Sequence[Rule | RuleGroup]:
    """Emoji as the settings want them; none where they stay."""
    if settings.emoji == "keep":
        return ()
    change = Rule(f"emoji_{settings.emoji}d", TEXT.str.contains(_EMOJI), _emoji_change(settings))
    return (RuleGroup(NON_ASCII, (change,)),)


def surface_rules(settings: "CleaningSettings") -> Sequence[Rule | RuleGroup]:
    """Rules on repeated characters and whitespace; they come last."""
    cap = settings.max_repeats
    return (
        Rule(
            "repeated_characters",
            TEXT.str.contains(_ascii_runs(cap)),
            lambda texts: replace_distinct(texts, _ascii_runs(cap), lambda run: run[:cap]),
        ),
        RuleGroup(
            NON_ASCII,
            (
                Rule(
                    "repeated_characters",
                    TEXT.str.contains(rf"[^\x00-\x7F]{{{cap + 1},}}"),
                    by_row(lambda text: _other_runs(cap).sub(lambda run: run[1] * cap, text)),
                ),
            ),
        ),
        Rule("whitespace", _UNTIDY, _collapse_whitespace),
    )


def _decode_entity(entity: str) -> str:
    """One entity as its character; a name that HTML does not know is text and stays."""
    from html import unescape
    from html.entities import html5

    name = entity[1:]
    if name.startswith("#") or name in html5:
        return unescape(entity)
    return html5.get(name.lower(), entity)


def repair_encoding(text: str) -> str:
    """The text as it was before it was decoded by a wrong encoding, where that is proven.

    Words in capitals that end in an accented one look garbled to ftfy where a quote, a dash or a sign follows: "MAÇÃ”"
    would be read as "MAÇÔ". So the text must look garbled without such pairs too.
    """
    from ftfy import fix_encoding
    from ftfy.badness import is_bad

    return fix_encoding(text) if is_bad(_sound_pairs().sub(_without_accent, text)) else text


@cache
def _sound_pairs() -> re.Pattern[str]:
    """Accented letters, what stands before them, and the signs after them; a dash may join them to a next word."""
    closing, joining = "”’»“‘„«›‹®™©°²³¹ºª·•\xa0", "—–…"  # noqa: RUF001
    return re.compile(rf"(?<=(.))([À-ÖØ-öø-ÿ]+)([{joining}]+|[{joining}{closing}]+(?![^\W\d_]))")


def _without_accent(pair: re.Match[str]) -> str:
    before, letters, signs = pair.groups()
    # "Ã©" in a word of small letters is garbled, "«Nescafé®»" and "LÃ®" are not.
    is_sound = before.isupper() or before in "“„«‘\"'(" or (before.isalpha() and letters.islower())  # noqa: RUF001
    return "a" * len(letters) + " " * len(signs) if is_sound else pair[0]


@cache
def mojibake_pattern() -> str:
    """The heuristic by which ftfy tells mojibake, as a columnar guard: without it ftfy changes nothing.

    Source: ftfy.badness.BADNESS_RE. It is verbose syntax; Rust would also drop the blanks inside classes, and its
    classes hold characters that look like syntax to it.
    """
    from ftfy.badness import BADNESS_RE

    parts = re.split(r"(\[[^\]]*\])", re.sub(r"(?m)#.*$", "", BADNESS_RE.pattern))
    return "".join(part if part.startswith("[") else re.sub(r"\s+", "", part) for part in parts)


@cache
def _folds() -> dict[str, str]:
    characters = (chr(code) for first, last in _FOLDED_RANGES for code in range(first, last + 1))
    folds = {character: unicodedata.normalize("NFKC", character) for character in characters}
    return {character: plain for character, plain in folds.items() if character != plain}


def _fold_styled(texts: pl.Series) -> pl.Series:
    return texts.str.replace_many(list(_folds()), list(_folds().values()))


def _ascii_runs(cap: int) -> str:
    characters = [chr(code) for code in range(0x21, 0x7F) if not chr(code).isdigit()]
    return "|".join(rf"\x{{{ord(character):X}}}{{{cap + 1},{_LONGEST_RUN}}}" for character in characters)


@cache
def _other_runs(cap: int) -> re.Pattern[str]:
    return re.compile(rf"((?!\d)[^\x00-\x7F]\uFE0F?)\1{{{cap},}}")


def _emoji_change(settings: "CleaningSettings") -> Callable[[pl.Series], pl.Series]:
    import emoji

    def name(found: str) -> str:
        return f" {emoji.demojize(found)} " if is_emoji(found) else found

    def remove(found: str) -> str:
        return " " if is_emoji(found) else found

    def is_emoji(found: str) -> bool:
        return found not in _SIGNS and emoji.is_emoji(found)

    change = name if settings.emoji == "name" else remove
    return lambda texts: replace_distinct(texts, _EMOJI, change)


def _collapse_whitespace(texts: pl.Series) -> pl.Series:
    return (
        texts.str.replace_all(r"[ \t]*\n[ \t\n]*", "\n").str.replace_all(r"[ \t]{2,}|\t", " ").str.strip_chars(" \n\t")
    )
