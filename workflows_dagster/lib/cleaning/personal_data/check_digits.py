"""Whether a number is one that its issuer could have given out: check digits, dates and lengths."""

import re
from datetime import date
from typing import Final

from workflows_dagster.lib.cleaning.personal_data.masks import digits_of

# Lengths by country. Source: SWIFT, IBAN registry (ISO 13616), release 99.
_IBAN_LENGTH: Final = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL SD FK",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK MN",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM TL SO",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO EG GT HU LB NI PL SV",
        29: "BR PS QA UA",
        30: "JO KW MU",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}

# Networks' prefixes and lengths; Visa's 13 digits are long out of use and collide with EAN-13 product codes.
_NETWORK: Final = re.compile(
    r"4\d{15}(?:\d{3})?|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|6(?:011|4[4-9]\d|5\d\d)\d{12}(?:\d{3})?|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
# As cards are printed. A list of sizes can pass the Luhn check, but not in these groups.
_CARD_GROUPS: Final = re.compile(
    r"\d{14,19}|\d(?: \d){13,18}|\d{4}(?:\D{1,3}\d{4}){3}(?:\D{1,3}\d{1,3})?|\d{4}\D{1,3}\d{6}\D{1,3}\d{4,5}"
)


def iban_at(text: str, start: int) -> int:
    """Where the IBAN ends that begins at a place of a text; -1 where there is none.

    Its check digits must be right, or it is written in groups of four as on paper. Source: ISO 13616-1, ISO 7064.
    """
    length = _IBAN_LENGTH.get(text[start : start + 2].upper(), 0)
    characters, place = "", start
    while len(characters) < length and place < len(text):
        if text[place].isalnum() and text[place].isascii():
            characters += text[place].upper()
        elif text[place] not in " -." or place == start:
            break
        place += 1
    if not length or len(characters) < length or (place < len(text) and text[place].isalnum()):
        return -1
    moved = characters[4:] + characters[:4]
    is_right = int("".join(str(int(character, 36)) for character in moved)) % 97 == 1
    in_fours = re.fullmatch(r"(?:[A-Z0-9]{4} )+[A-Z0-9]{1,4}", text[start:place]) is not None
    return place if is_right or in_fours else -1


def is_card(written: str) -> bool:
    """Whether it is a payment card's number: a network's prefix, the Luhn check, and groups as on a card."""
    digits = digits_of(written)
    return _CARD_GROUPS.fullmatch(written) is not None and bool(_NETWORK.fullmatch(digits)) and passes_luhn(digits)


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others. Source: ISO/IEC 7812-1, annex B."""
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(value - 9 if value > 9 else value for value in doubled)) % 10 == 0


def is_social_security_number(written: str) -> bool:
    """United States: an area, group and serial number that are not zero. Source: SSA, POMS RM 10201.035."""
    digits = digits_of(written)
    return digits[:3] not in ("000", "666") and digits[3:5] != "00" and digits[5:] != "0000"


def is_dni(written: str) -> bool:
    """Spain, DNI and NIE: the letter is that of the number modulo 23. Source: Real Decreto 1553/2005."""
    characters = re.sub(r"\W", "", written).upper()
    number = characters[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return number.isdigit() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == characters[-1]


def is_nir(written: str) -> bool:
    """France: 97 less the number modulo 97 is its key. Source: INSEE, numéro de sécurité sociale."""
    characters = re.sub(r"\s", "", written).upper().replace("2A", "19").replace("2B", "18")
    return characters.isdigit() and 97 - int(characters[:13]) % 97 == int(characters[13:])


def is_resident_card(written: str) -> bool:
    """China: a date of birth and a check character. Source: GB 11643-1999."""
    characters = written.upper()
    total = sum(int(digit) * 2 ** (17 - place) for place, digit in enumerate(characters[:17]))
    return _is_date(characters[6:14]) and "10X98765432"[total % 11] == characters[17]


def is_resident_number(written: str) -> bool:
    """Korea: a date of birth, then a digit of sex and century. The check digit is gone since 2020."""
    digits = digits_of(written)
    return _is_date(("19" if digits[6] in "1256" else "20") + digits[:6])


def is_personnummer(written: str) -> bool:
    """Sweden: a date of birth and a Luhn digit. Source: Skatteverket, SKV 704."""
    digits = digits_of(written)[-10:]
    return _is_date("19" + digits[:6]) and passes_luhn(digits)


def is_hetu(written: str) -> bool:
    """Finland: a date of birth and a check character of the number modulo 31. Source: DVV."""
    digits = digits_of(written[:6]) + digits_of(written[7:10])
    return _is_date(f"19{digits[4:6]}{digits[2:4]}{digits[:2]}") and (
        "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(digits) % 31] == written[-1]
    )


def is_rut(written: str) -> bool:
    """Chile: the check character of the number modulo 11. Source: Ley 19.477."""
    body, check = re.sub(r"[.\s]", "", written).upper().split("-")
    total = sum(int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(body)))
    return "0K987654321"[total % 11] == check


def is_isbn10(digits: str) -> bool:
    """Whether ten digits are an ISBN-10 with its right check digit. Source: ISO 2108."""
    return len(digits) == 10 and sum((10 - place) * int(digit) for place, digit in enumerate(digits)) % 11 == 0


def _is_date(digits: str) -> bool:
    try:
        date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return False
    return True
