"""Mess is what it is called, and stays within what is reserved for examples."""

import html
import random
import re

import pytest

from workflows_dagster.lib.sample.mess import RATES, Mess
from workflows_dagster.lib.sample.written import WrittenReview

TEXT = "The lid doesn't leak. I would buy the kettle again."
REVIEW = WrittenReview(
    platform="northgate_shop", product="KIT-01", language="en", label="positive", title="", text=TEXT
)


def soiled(kind: str, seed: int = 0) -> str:
    return Mess(random.Random(seed)).soil(REVIEW, {kind: 1.0})


def words(text: str) -> str:
    return " ".join(re.findall(r"[\w']+", text.lower()))


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
    assert re.search(r"\S+@example\.(com|org)", soiled("email", seed))
    assert re.search(r"\+44 161 496 0\d{3}|\+44 20 7946 0\d{3}|\+1 202-555-01\d\d", soiled("phone", seed))
    assert re.search(r"(example\.com|example\.org|northgate\.example)/\S+\?token=[0-9a-f]{16}$", soiled("url", seed))


@pytest.mark.parametrize("kind", ["email", "phone", "card", "order"])
def test_personal_data_stand_in_an_english_sentence_of_their_own(kind: str) -> None:
    assert soiled(kind).startswith(f"{TEXT} ")
    foreign = REVIEW.model_copy(update={"language": "de"})
    assert Mess(random.Random(0)).soil(foreign, {kind: 1.0}) == TEXT


def test_mojibake_is_undone_by_encoding_it_back() -> None:
    assert soiled("mojibake").encode("cp1252").decode("utf-8") == TEXT.replace("'", "\u2019")


def test_text_that_mojibake_would_lose_letters_of_stays() -> None:
    mess = Mess(random.Random(0))
    assert mess.soil(REVIEW.model_copy(update={"text": "Works 😍"}), {"mojibake": 1.0}) == "Works 😍"
    assert mess.planted["mojibake"] == 0


def test_entities_are_undone_by_unescaping() -> None:
    assert html.unescape(soiled("entity")).replace("\xa0", " ") == TEXT


def test_copy_has_the_same_words() -> None:
    mess = Mess(random.Random(0))
    copies = {mess.copy(TEXT) for _ in range(40)}
    assert len(copies) > 2
    assert {words(copy) for copy in copies} == {words(TEXT)}


def test_near_copy_adds_a_little() -> None:
    mess = Mess(random.Random(0))
    copies = {mess.near_copy(TEXT, "positive") for _ in range(60)}
    assert TEXT not in copies
    assert all(len(TEXT) < len(copy) <= len(TEXT) + 15 for copy in copies)


def test_mess_is_counted_once_for_each_row() -> None:
    mess = Mess(random.Random(1))
    for _ in range(3):
        mess.soil(REVIEW, {"email": 1.0, "emoji": 0.0})
    assert mess.planted == {"email": 3}


def test_most_rows_of_each_platform_stay_clean() -> None:
    assert all(sum(rates.values()) < 0.4 for rates in RATES.values())
