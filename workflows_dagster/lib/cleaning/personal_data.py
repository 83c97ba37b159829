"""Rules that put typed tokens in place of personal data: [URL], [EMAIL], [ORDER], [CARD], [PHONE], [HANDLE].

Reviews are full of numbers that are nobody's: sizes, prices, dates, ISBNs. A card must have a payment network's prefix
and pass the Luhn check; a phone number must be one that its country's numbering plan can dial (phonenumbers).
"""

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.cleaning.rules import TEXT, Rule, RuleGroup, by_row, substitute

if TYPE_CHECKING:
    from workflows_dagster.lib.cleaning.settings import CleaningSettings


class Mask(StrEnum):
    """The tokens that stand for personal data."""

    URL = "[URL]"
    EMAIL = "[EMAIL]"
    ORDER = "[ORDER]"
    CARD = "[CARD]"
    PHONE = "[PHONE]"
    HANDLE = "[HANDLE]"

    @property
    def kind(self) -> str:
        """Its name in reports: `url`, `email` ..."""
        return self.name.lower()


ANY_MASK: Final = r"\[(?:URL|EMAIL|ORDER|CARD|PHONE|HANDLE)\]"

_URL_END: Final = r"""[^\s<>"\[\]{}|\\^`.,;:!?'()*]"""
_URL_BODY: Final = r"""[^\s<>"\[\]{}|\\^`]*"""
_LINK_DOMAINS: Final = (
    "com|net|org|edu|gov|info|biz|shop|store|app|dev|ly|gl|gd|me|co|io|be|cc|to|us|uk|ca|au|de|fr|id|in"
)
_URL: Final = (
    rf"(?i)(?:(?:https?|ftp)://|\bwww\.){_URL_BODY}{_URL_END}"
    rf"|\b(?:[a-z0-9-]+\.)+(?:{_LINK_DOMAINS})(?::[0-9]+)?/{_URL_BODY}{_URL_END}"
)
_URL_GUARD: Final = TEXT.str.contains_any(["://", "www.", "WWW.", "Www."]) | (
    TEXT.str.contains("/", literal=True) & TEXT.str.contains(rf"(?i)\.(?:{_LINK_DOMAINS})(?::[0-9]+)?/")
)
_CREDENTIAL: Final = r"(?i)://[^/\s@]+@|[?&;#][^=&\s]*(?:token|key|auth|session|sid|pass|pwd|secret|sig|otp|code|email|user|uid)[^=&\s]*="

_EMAIL: Final = r"(?i)[\p{L}\p{N}._%+'-]*[\p{L}\p{N}_%+-]@(?:[\p{L}\p{N}_-]+\.)+\p{L}{2,}"
_SPELLED_EMAIL: Final = (
    r"(?i)\b[a-z0-9._%+-]+\s*[\[(]\s*at\s*[\])]\s*[a-z0-9-]+\s*(?:\.|[\[(]\s*dot\s*[\])]|\sdot\s)\s*[a-z]{2,}\b"
)
_HANDLE: Final = r"(^|[^\p{L}\p{N}_@./])@[A-Za-z_][A-Za-z0-9_]{1,29}\b"

_CARD_GUARD: Final = r"[0-9](?:[ -]?[0-9]){13}"
_CARDS: Final = tuple(
    re.compile(rf"(?<![A-Za-z0-9_])(?<![0-9][.,-])[2-6](?:[ -]?[0-9]){{{digits - 1}}}(?![0-9A-Za-z_])")
    for digits in (19, 18, 17, 16, 15, 14)
)
# Networks' prefixes and lengths; Visa's 13 digits are long out of use and collide with EAN-13 product codes.
_NETWORK: Final = re.compile(
    r"4\d{15}(?:\d{3})?|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12}(?:\d{3})?|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)

_PHONE_GUARD: Final = r"[0-9](?:[ ().+/~-]{0,3}[0-9]){7}"
_DATE: Final = r"\b(?:19|20)[0-9]{2}[-/.][0-9]{1,2}[-/.][0-9]{1,2}\b"
_DIGITS: Final = re.compile(r"[+(]{0,2}[0-9](?:[ ().+/~-]{0,3}[0-9]){7,}")
_BESIDE: Final = 2
_MOST_TRIES: Final = 100
_PRODUCT_WORD: Final = re.compile(
    r"(?i)\b(?:isbn|upc|ean|gtin|asin|sku|model|item|part|serial|style|article|art|product|lot|batch|version|barcode)\b"
    r"(?:-1[03])?[^0-9]{0,15}$"
)


def personal_data_rules(settings: "CleaningSettings") -> Sequence[Rule | RuleGroup]:
    """Masking rules, the most certain shapes first: a URL may hold an @, an order number a card's digits."""
    return (
        _url_rule(settings),
        Rule(
            Mask.EMAIL.kind,
            TEXT.str.contains_any(["@", "(at)", "[at]", "( at )", "(AT)"]),
            substitute((_EMAIL, Mask.EMAIL.value), (_SPELLED_EMAIL, Mask.EMAIL.value)),
            Mask.EMAIL,
        ),
        Rule(
            Mask.ORDER.kind,
            TEXT.str.contains(r"[0-9]{4}"),
            substitute(
                *(
                    (pattern, ("${keep}" if "(?P<keep>" in pattern else "") + Mask.ORDER.value)
                    for pattern in settings.order_patterns
                )
            ),
            Mask.ORDER,
        ),
        Rule(Mask.CARD.kind, TEXT.str.contains(_CARD_GUARD), by_row(_mask_cards), Mask.CARD),
        RuleGroup(
            TEXT.str.contains(_PHONE_GUARD),
            (
                Rule(
                    Mask.PHONE.kind,
                    TEXT.str.replace_all(_DATE, "").str.contains(_PHONE_GUARD),
                    by_row(partial(_mask_phones, regions=tuple(settings.phone_regions))),
                    Mask.PHONE,
                ),
            ),
        ),
        Rule(
            Mask.HANDLE.kind,
            TEXT.str.contains("@", literal=True),
            substitute((_HANDLE, "${1}" + Mask.HANDLE.value)),
            Mask.HANDLE,
        ),
    )


def _url_rule(settings: "CleaningSettings") -> Rule:
    match settings.urls:
        case "mask":
            return Rule(Mask.URL.kind, _URL_GUARD, substitute((_URL, Mask.URL.value)), Mask.URL)
        case "remove":
            return Rule("urls_removed", _URL_GUARD, substitute((_URL, " ")))
        case "keep":
            return Rule(Mask.URL.kind, _URL_GUARD, by_row(_mask_credential_urls), Mask.URL)


def _mask_credential_urls(text: str) -> str:
    def mask(url: re.Match[str]) -> str:
        return Mask.URL.value if re.search(_CREDENTIAL, url[0]) else url[0]

    return re.sub(_URL.replace("(?i)", ""), mask, text, flags=re.IGNORECASE)


def _mask_cards(text: str) -> str:
    for shape in _CARDS:
        place = 0
        while match := shape.search(text, place):
            if _is_card(match[0]):
                text = f"{text[: match.start()]}{Mask.CARD.value}{text[match.end() :]}"
            # Not from the end of the match: a number before a card would take the card's first digits with it.
            place = match.start() + 1
    return text


def _is_card(written: str) -> bool:
    digits = re.sub(r"[ -]", "", written)
    return _NETWORK.fullmatch(digits) is not None and _passes_luhn(digits)


def _passes_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others. Source: ISO/IEC 7812-1, annex B."""
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(value - 9 if value > 9 else value for value in doubled)) % 10 == 0


def _mask_phones(text: str, *, regions: Sequence[str]) -> str:
    """Masks numbers that can be dialled from one of the regions, and international ones."""
    return _DIGITS.sub(lambda digits: _mask_dialled(digits, regions), text)


def _mask_dialled(digits: re.Match[str], regions: Sequence[str]) -> str:
    """One run of digits with the phone numbers in it masked.

    The matcher sees only the run and the characters beside it, which it needs to tell "$212..." and "A212...": on
    whole texts it costs several times more.
    """
    from phonenumbers import Leniency, PhoneNumberMatcher

    text, start, end = digits.string, digits.start(), digits.end()
    if digits[0].isdigit() and _PRODUCT_WORD.search(text[max(0, start - 40) : start]):
        return digits[0]
    before, after = text[max(0, start - _BESIDE) : start], text[end : end + _BESIDE]
    run = digits[0]
    for region in regions or (None,):
        found = PhoneNumberMatcher(before + run + after, region, leniency=Leniency.VALID, max_tries=_MOST_TRIES)
        # From the last to the first, so that the positions of the others stay true.
        for match in reversed(list(found)):
            first, last = match.start - len(before), min(match.end - len(before), len(run))
            run = run[: max(first, 0)] + Mask.PHONE.value + run[last:]
    return run
