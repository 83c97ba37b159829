"""Mess is what it is called, and stays within what is reserved for examples."""

import html
import random
import re

import pytest

from workflows_dagster.lib.sample.mess import Mess
from workflows_dagster.lib.schema import POSITIVE

TEXT = "The lid doesn't leak. I would buy the kettle again."


def soiled(kind: str, seed: int = 0) -> str:
    return Mess(random.Random(seed)).soil(TEXT, POSITIVE, {kind: 1.0})


def luhn(digits: str) -> bool:
    """The check of payment cards: every second digit from the right doubled, its digits summed, 0 modulo 10."""
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits))]
    return sum(sum(map(int, str(number))) for number in doubled) % 10 == 0


@pytest.mark.parametrize("seed", range(12))
def test_card_number_passes_luhn(seed: int) -> None:
    digits = re.sub(r"\D", "", soiled("card", seed))
    assert luhn(digits), digits


@pytest.mark.parametrize("seed", range(12))
def test_contact_is_of_a_reserved_range(seed: int) -> None:
    assert re.search(r"\S+@example\.(com|org)$", soiled("email", seed))
    assert re.search(r"\+44 161 496 0\d{3}$|\+44 20 7946 0\d{3}$|\+1 202-555-01\d\d$", soiled("phone", seed))
    assert re.search(r"(example\.com|example\.org|northgate\.example)/\S+\?token=[0-9a-f]{16}$", soiled("url", seed))


def test_mojibake_is_undone_by_encoding_it_back() -> None:
    assert soiled("mojibake").encode("cp1252").decode("utf-8") == TEXT.replace("'", "\u2019")


def test_entities_are_undone_by_unescaping() -> None:
    assert html.unescape(soiled("entity")).replace("\xa0", " ") == TEXT


def test_junk_takes_the_place_of_the_text() -> None:
    mess = Mess(random.Random(0))
    junk = {mess.soil(TEXT, POSITIVE, {"junk": 1.0, "email": 1.0}) for _ in range(20)}
    assert not any("kettle" in text or "@" in text for text in junk)
    assert mess.planted == {"junk": 20}


def test_near_copy_keeps_all_words_but_the_ends() -> None:
    mess = Mess(random.Random(0))
    for _ in range(20):
        assert "id doesn't leak. I would buy the kettle again" in mess.near_copy(TEXT)
    assert mess.planted["near_duplicate"] == 20


def test_mess_is_counted_once_for_each_row() -> None:
    mess = Mess(random.Random(1))
    for _ in range(3):
        mess.soil(TEXT, POSITIVE, {"email": 1.0, "emoji": 0.0})
    assert mess.planted["email"] == 3
    assert mess.planted["emoji"] == 0
