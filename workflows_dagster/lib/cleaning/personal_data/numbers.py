"""Numbers of people, accounts, machines and places, by their shape.

Reviews are full of numbers that are nobody's: sizes, prices, dates, versions. A shape is enough only where it has check
digits or is written in a way that nothing else is.
"""
# ruff: noqa: RUF001, E501 - letters and signs of many scripts; a pattern stays on its line

import ipaddress
import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from workflows_dagster.lib.cleaning.personal_data import check_digits
from workflows_dagster.lib.cleaning.personal_data.masks import Mask, Recognizer, always, recognizer

NUMBER_GUARD: Final = (
    r"\d(?:[ .,()/+:_A-Za-z–−（）．＋／－：-]{0,3}\d){5}|\d ?°|[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]"
    r"|[0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-]|[0-9A-Fa-f]:(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]"
    r"|(?-u:\b)(?:[13][1-9A-HJ-NP-Za-km-z]{25}|0x[0-9a-fA-F]{40}|bc1[a-z0-9]{25})"
)
"""True of every text that holds such a number: six digits near one another, or the groups of an address of a machine."""

_APART: Final = r"(?<![A-Za-z0-9_.,-])"
_END: Final = r"(?![A-Za-z0-9_-])(?![.,]\d)"
_DEGREES: Final = (
    r"[-+]?\d{1,3}(?:\.\d{1,9})?\s?°\s?(?:\d{1,2}(?:\.\d{1,9})?\s?['′]\s?(?:\d{1,2}(?:\.\d{1,9})?\s?(?:[\"″]|''))?)?"
    r"\s?[NSEWO]\b"
)


@cache
def near_numbers() -> re.Pattern[str]:
    """The guard as a pattern of `re`."""
    return re.compile(NUMBER_GUARD.replace("(?-u:\\b)", r"\b"))


@cache
def number_recognizers() -> tuple[Recognizer, ...]:
    """The most certain shapes first."""
    return (*_accounts(), *_machines_and_places(), *_papers())


def _accounts() -> tuple[Recognizer, ...]:
    return (
        Recognizer(Mask.ACCOUNT, _ibans),
        Recognizer(Mask.CARD, _cards),
        recognizer(Mask.ACCOUNT, r"\b0x[0-9a-fA-F]{40}\b|\bbc1[ac-hj-np-z02-9]{25,59}\b"),
        recognizer(Mask.ACCOUNT, r"\b[13][1-9A-HJ-NP-Za-km-z]{25,34}\b", _is_base58),
    )


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for found in re.finditer(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}", text):
        end = check_digits.iban_at(text, found.start())
        if end > 0:
            yield found.start(), end


def _cards(text: str) -> Iterator[tuple[int, int]]:
    last = 0
    for begin in re.finditer(r"(?<![A-Za-z0-9_])(?<![0-9][.,-])(?=\d(?:[ ./_–−-]{0,3}\d){13})", text):
        lengths = (
            re.match(rf"\d(?:[ ./_–−-]{{0,3}}\d){{{more}}}(?![0-9A-Za-z_])", text[begin.start() :])
            for more in range(18, 12, -1)
        )
        found = next((match for match in lengths if match and check_digits.is_card(match[0])), None)
        # Not from the end of every match: a number before a card would take the card's first digits with it.
        if found and begin.start() >= last:
            last = begin.start() + found.end()
            yield begin.start(), last


def _is_base58(written: str) -> bool:
    return all(any(map(test, written)) for test in (str.isdigit, str.isupper, str.islower))


def _machines_and_places() -> tuple[Recognizer, ...]:
    degree = r"(?:\s?°)?"
    return (
        recognizer(
            Mask.DEVICE, r"(?<![\w:-])[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4}(?![\w:-])", _has_hex
        ),
        recognizer(Mask.DEVICE, r"(?<![\w.])[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?![\w.])", _has_hex),
        recognizer(Mask.COORDINATES, rf"(?<![\w.]){_DEGREES}\s?[,;/]?\s?{_DEGREES}"),
        recognizer(
            Mask.COORDINATES,
            rf"(?<![\w.,$£€+-])[-+]?\d{{1,2}}\.\d{{4,9}}{degree}(?:\s?[NS])?\s?[,;/]\s?"
            rf"[-+]?\d{{1,3}}\.\d{{4,9}}{degree}(?:\s?[EW]\b)?(?![\w.]\d|\d)",
            _is_on_earth,
        ),
        recognizer(
            Mask.COORDINATES,
            r"(?i)\blat(?:itude)?[\s:=]{1,3}[-+]?\d{1,2}\.\d{2,9}[\s,;]{1,3}(?:lon|lng|long)(?:gitude|itude)?[\s:=]{1,3}"
            r"[-+]?\d{1,3}\.\d{2,9}",
        ),
        recognizer(
            Mask.IP,
            r"(?<![\w.-])(?<!version )(?<!firmware )(?<!\bver )(?<!\bfw )(?:\d{1,3}\.){3}\d{1,3}(?![\w-])(?!\.\d)",
            _is_ipv4,
        ),
        recognizer(Mask.IP, r"(?<![\w:])(?:[0-9A-Fa-f]{1,4})?(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])", _is_ipv6),
    )


def _has_hex(written: str) -> bool:
    # Six sizes or years in a row are no machine.
    return re.search("[A-Fa-f]", written) is not None


def _is_on_earth(written: str) -> bool:
    latitude, longitude = (float(number) for number in re.findall(r"[-+]?\d+\.\d+", written))
    return abs(latitude) <= 90 and abs(longitude) <= 180


def _is_ipv4(written: str) -> bool:
    octets = written.split(".")
    # What every router is called at home is nobody's address; four single digits are a version.
    common = r"(?:0|127|255)\..*|(?:192\.168|10\.\d+)\.\d+\.(?:0|1|254|255)|\d\.\d\.\d\.\d"
    plain = all(int(octet) < 256 and octet == str(int(octet)) for octet in octets)
    return plain and re.fullmatch(common, written) is None


def _is_ipv6(written: str) -> bool:
    try:
        ipaddress.IPv6Address(written)
    except ValueError:
        return False
    return sum(map(str.isalnum, written)) >= 5


def _papers() -> tuple[Recognizer, ...]:
    shapes = (
        (rf"{_APART}\d{{3}}-\d{{2}}-\d{{4}}{_END}", check_digits.is_social_security_number),
        # United Kingdom, national insurance. Source: HMRC, NIM39110; QQ is its example.
        (
            rf"{_APART}(?!BG|GB|NK|KN|TN|NT|ZZ)(?:QQ|[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]) ?\d\d ?\d\d ?\d\d ?[A-D]{_END}",
            always,
        ),
        (rf"{_APART}(?:[XYZ]-?\d{{7}}|\d{{8}})-?[A-Z]{_END}", check_digits.is_dni),
        # Italy, codice fiscale; Mexico, CURP; Brazil, CPF and CNPJ.
        (rf"{_APART}[A-Z]{{6}}\d\d[A-EHLMPRST]\d\d[A-Z]\d{{3}}[A-Z]{_END}", always),
        (rf"{_APART}[A-Z]{{4}}\d{{6}}[HM][A-Z]{{5}}[A-Z0-9]\d{_END}", always),
        (rf"{_APART}\d{{3}}\.\d{{3}}\.\d{{3}}-\d{{2}}{_END}", always),
        (rf"{_APART}\d{{2}}\.\d{{3}}\.\d{{3}}/\d{{4}}-\d{{2}}{_END}", always),
        (
            rf"{_APART}[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?(?:\d\d|2[AB]) ?\d{{3}} ?\d{{3}} ?\d\d{_END}",
            check_digits.is_nir,
        ),
        (rf"(?<![A-Za-z0-9])[1-9]\d{{16}}[\dXx]{_END}", check_digits.is_resident_card),
        (rf"{_APART}\d{{6}}-[1-8]\d{{6}}{_END}", check_digits.is_resident_number),
        (rf"{_APART}(?:19|20)?\d{{6}}[-+]\d{{4}}{_END}", check_digits.is_personnummer),
        (rf"{_APART}\d{{6}}[-+A]\d{{3}}[0-9A-Y]{_END}", check_digits.is_hetu),
        (rf"{_APART}\d{{1,2}}\.\d{{3}}\.\d{{3}}-[\dkK]{_END}", check_digits.is_rut),
    )
    return tuple(recognizer(Mask.ID, pattern, holds) for pattern, holds in shapes)
