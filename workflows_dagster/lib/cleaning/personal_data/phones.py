"""Rules for phone numbers: what a country's numbering plan can dial, and what people write to be called.

Of the configured regions every national number is masked that can be dialled (phonenumbers). Of all others, only what
is grouped as a phone number of that country is, or what follows a word such as "call".
"""
# ruff: noqa: RUF001, E501 - letters and signs of many scripts; a pattern stays on its line

import re
from collections.abc import Sequence
from functools import cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.cleaning.personal_data.check_digits import is_isbn10
from workflows_dagster.lib.cleaning.personal_data.masks import (
    Mask,
    Recognizer,
    digits_of,
    in_ascii,
    put_masks,
    recognizer,
)
from workflows_dagster.lib.cleaning.rules import TEXT, Rule, by_row

if TYPE_CHECKING:
    from workflows_dagster.lib.cleaning.settings import CleaningSettings

_GUARD: Final = r"\d(?:[ ().+/~–−‐‑（）．＋／－-]{0,3}\d){6}"
_HAS_PHONE: Final = re.compile(r"\d(?:[ ().+/~–−‐‑-]{0,3}\d){7}")
_DATE: Final = re.compile(r"\b(?:19|20)\d{2}[-/.]\d{1,2}[-/.]\d{1,2}\b")
_BEGINS_AS_DATE: Final = re.compile(r"\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d{2}(?!\d)")
_DIGITS: Final = re.compile(r"[+(]{0,2}\d(?:[ ().+/~-]{0,3}\d){7,}")
_BESIDE: Final = 2
_MOST_TRIES: Final = 100
_PRODUCT_WORD: Final = re.compile(
    r"(?i)\b(?:isbn|upc|ean|gtin|asin|sku|model|item|part|serial|style|article|art|product|lot|batch|version|barcode)\b"
    r"(?:-1[03])?[^0-9]{0,15}$"
)

_CALL: Final = (
    "call(?: me)?|ring(?: me)?|phone(?: number)?|mobile(?: number)?|cell(?: ?phone)?|telephone|tel|text(?: me)?|txt|sms|"
    "whats? ?app|wa|viber|contact|reach(?: me)?|my number|fax|hotline|telefon(?:nummer)?|tel\\.|ruf[et]?|handy(?:nummer)?|"
    "nummer|mobil|unter|téléphone|appele[rz](?:-moi)?|joignable|portable|numéro|teléfono|tfno|llám[ae]\\w*|móvil|celular|"
    "número|numero|liga\\w*|telefone|zap|telemóvel|contato|fone|chiam\\w*|telefono|cellulare|bel|telp|telepon|hp|hubungi|"
    "nomor|nomer|no hp|zadzwoń|komórka|ara\\w*|numara\\w*|cep|звон\\w*|тел|телефон\\w*|номер\\w*|позвон\\w*|ring|telefonnummer|"
    "soita|τηλ|điện thoại|sđt|โทร"
)
_CALL_ELSEWHERE: Final = "电话|手机(?:号)?|號碼|联系|打给|電話|携帯|전화|번호|연락처|핸드폰|اتصل|هاتف|جوال|رقم\\w*|واتس\\w*|تلفن|شماره|تماس|फोन|मोबाइल|नंबर|कॉल|โทร"
_LINKS: Final = (
    r"[\s:：.=(*#,–-]{0,4}(?:(?:me|number|numbers?|num|no|nr|is|was|on|at|to|in|al|el|o|a|ao|para|au|le|la|les|an|unter|op|"
    r"es|est|é|ist|mi|my|your|us|them|him|her|ke|di|saya|aku|по|на|من|على|عليى|है|मेरा|是|为|は|번호는|的|号)(?!\w)[\s:：.=(*#,–-]{0,4}"
    r"|[是为は号的]{1,2}[\s:：]{0,2}){0,4}"
)
_NUMBER: Final = r"[(+]{0,2}\d(?:[ ().+/–−‐‑-]{0,3}\d){6,14}(?![\d%])"
_ASKS_TO_CALL: Final = r"(?=\s?(?:call|text|whats ?app|sms|ring|ruf|anrufen|加我|联系|로 연락))"
_SPOKEN_DIGITS: Final = (
    "zero one two three four five six seven eight nine",
    "oh one two three four five six seven eight nine",
    "null eins zwei drei vier fünf sechs sieben acht neun",
    "cero uno dos tres cuatro cinco seis siete ocho nueve",
    "zéro un deux trois quatre cinq six sept huit neuf",
    "zero um dois três quatro cinco seis sete oito nove",
    "zero uno due tre quattro cinque sei sette otto nove",
    "nol satu dua tiga empat lima enam tujuh delapan sembilan",
    "kosong satu dua tiga empat lima enam tujuh lapan sembilan",
)
_VALUES: Final = {word: value for words in _SPOKEN_DIGITS for value, word in enumerate(words.split())}
_SPOKEN_DIGIT: Final = "|".join(_VALUES)
_SPOKEN: Final = rf"(?i)\b(?:(?:{_SPOKEN_DIGIT}|double|triple)[ ,.-]{{1,3}}){{6,15}}(?:{_SPOKEN_DIGIT})\b"


def phone_rule(settings: "CleaningSettings") -> Rule:
    """Phone numbers in digits."""
    return Rule(
        Mask.PHONE.kind,
        TEXT.str.contains(_GUARD),
        by_row(partial(_mask_phones, regions=tuple(settings.phone_regions))),
        Mask.PHONE.counted,
    )


def _mask_phones(text: str, *, regions: Sequence[str]) -> str:
    text = put_masks(text, _phones())
    # Costly, and most rows have nothing but a date.
    if _HAS_PHONE.search(_DATE.sub("", text)):
        text = _DIGITS.sub(lambda digits: _mask_run(digits, regions), text)
    return text


@cache
def _phones() -> tuple[Recognizer, ...]:
    call = rf"(?:(?<!\w)(?:{_CALL})(?!\w)|{_CALL_ELSEWHERE})"
    return (
        *_grouped(),
        recognizer(Mask.PHONE, rf"(?i)(?P<keep>{call}{_LINKS}){_NUMBER}", _can_be_called),
        recognizer(Mask.PHONE, rf"(?i)(?<![\w.,$-])\d{{9,12}}{_ASKS_TO_CALL}"),
    )


def _can_be_called(written: str) -> bool:
    """Whether it is no date, price, version or list of years that a word such as "call" happens to stand before."""
    if not 7 <= len(digits_of(written)) <= 15 or all(len(group) == 1 for group in re.findall(r"\d+", written)):
        return False
    return written.startswith(("0", "+")) or _IS_NO_PHONE.fullmatch(written) is None


_IS_NO_PHONE: Final = re.compile(
    r"(?:\d{1,2}[./-]){2}\d{2,4}|(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2}|(?:19|20)\d\d ?[–-] ?(?:19|20)\d\d|.*\d[.,]\d{2}"
    r"|\d+\.\d+|\d{1,3}(?:[.,]\d{3})+"
)


def _grouped() -> tuple[Recognizer, ...]:
    """National numbers as their countries write them, of those that nothing else is written like."""
    before, after = r"(?<![A-Za-z0-9_$£€.,:/)-])(?<!\d )(?<!\) )", r"(?![A-Za-z0-9_%])(?![ .,/-]\d)"
    shapes = (
        r"0\d{2,4}[ /-]\d{3,4}[ -]\d{3,4}",  # Germany, Japan, Korea, Indonesia, United Kingdom
        r"0\d{2,4} ?/ ?\d{5,8}",  # Germany, Austria
        r"0\d{2,4} \d{6,8}|01[567]\d[ -]\d{7,8}",
        r"0[1-9](?:[ .-]\d{2}){4}",  # France
        r"06[ -]?\d{8}|06[ -]\d{2} \d{2} \d{2} \d{2}",  # Netherlands
        r"05\d\d \d{3} \d{2} \d{2}",  # Turkey
        r"07\d[ -]\d{3} \d{2} \d{2}",  # Switzerland, Sweden
        r"0[2-9]\d{2} \d{3} \d{3}|0[2378] \d{4} \d{4}",  # Australia
        r"\(\d{2,5}\) ?9?\d{3,4}[ -]\d{4}",  # Brazil, Mexico, India
        r"8[ -]?\(?\d{3}\)?[ -]\d{3}[ -]\d{2}[ -]\d{2}",  # Russia
        r"[6-9]\d{4} \d{5}",  # India
        r"1[3-9]\d[ -]\d{4}[ -]\d{4}|1[3-9]\d{9}",  # China
        r"0[5-9]\d{8,9}|09\d{9}|01[0-9]\d{8}",  # mobile numbers without blanks
    )
    return tuple(recognizer(Mask.PHONE, f"{before}(?:{shape}){after}", _is_no_book) for shape in shapes)


def _is_no_book(written: str) -> bool:
    return not is_isbn10(digits_of(written)) or not written.isdecimal()


DISGUISED_PHONE_GUARD: Final = (
    rf"(?i-u:(?:(?:{in_ascii(_SPOKEN_DIGIT)})[ ,.-]{{1,3}}){{4}})|(?:[0-9]\x{{FE0F}}?\x{{20E3}}\s?){{7}}"
)


@cache
def disguised_phones() -> tuple[Recognizer, ...]:
    """Numbers that are spelled out, or written in keycaps."""
    return (
        recognizer(Mask.PHONE, _SPOKEN, _is_no_counting),
        recognizer(Mask.PHONE, r"(?:\d\uFE0F?\u20E3\s?){6,15}\d\uFE0F?\u20E3"),
    )


def _is_no_counting(written: str) -> bool:
    values = [_VALUES[word] for word in re.findall(r"[^\W\d_]+", written.lower()) if word in _VALUES]
    # Who counts may leave one out.
    return 4 * sum(second - first == 1 for first, second in pairwise(values)) < 3 * (len(values) - 1)


def _mask_run(digits: re.Match[str], regions: Sequence[str]) -> str:
    """One run of digits with the phone numbers in it masked.

    The matcher sees only the run and the characters beside it, which it needs to tell "$212..." and "A212...": on
    whole texts it costs several times more.
    """
    from phonenumbers import Leniency, PhoneNumberMatcher

    text, start, end = digits.string, digits.start(), digits.end()
    if _BEGINS_AS_DATE.match(digits[0]):
        return digits[0]
    if digits[0].isdigit() and _PRODUCT_WORD.search(text[max(0, start - 40) : start]):
        return digits[0]
    before, after = text[max(0, start - _BESIDE) : start], text[end : end + _BESIDE]
    run = re.sub(r"^00(?=[1-9])", "+", digits[0])
    for region in regions or (None,):
        found = PhoneNumberMatcher(before + run + after, region, leniency=Leniency.VALID, max_tries=_MOST_TRIES)
        # From the last to the first, so that the positions of the others stay true.
        for match in reversed(list(found)):
            first, last = match.start - len(before), min(match.end - len(before), len(run))
            run = run[: max(first, 0)] + Mask.PHONE.value + run[last:]
    return run if Mask.PHONE.value in run else digits[0]
