"""Product and brand words are exchanged with number, capitals and article, or not at all; words and their lines."""

import pytest

from workflows_dagster.lib.synthesis.products import (
    associate,
    brand_of,
    exchange_brand,
    exchange_product,
    find_brands,
    kind_of_text,
    line_of_words,
)


@pytest.mark.parametrize(
    ("sentence", "kind", "expected"),
    [
        ("This dress is fine.", "skirt", "This skirt is fine."),
        ("DRESSES run small.", "skirt", "SKIRTS run small."),
        ("Dress is fine.", "skirt", "Skirt is fine."),
        ("I wanted an earbud.", "speaker", "I wanted a speaker."),
        ("A speaker it is not.", "earbuds", "An earbud it is not."),
        ("The frying pan is fine.", "saucepan", "The saucepan is fine."),
        ("The coffee grinder is fine.", "tea", None),
        ("It is fine.", "skirt", "It is fine."),
        ("It is fine.", None, "It is fine."),
        ("This dress is fine.", None, None),
        ("This dress is fine.", "coffee", None),
        ("This dress looks like a top.", "skirt", None),
        ("The stopper and the laptop fell.", None, "The stopper and the laptop fell."),
    ],
)
def test_exchange_product(sentence: str, kind: str | None, expected: str | None) -> None:
    assert exchange_product(sentence, kind) == expected


def test_kind_of_text_is_the_one_named_most() -> None:
    assert kind_of_text("A top, another top and a dress") == "top"
    assert kind_of_text("It broke") is None


TEXTS = ["I love Maeve tops", "so it is Maeve again", "the Maeve one", "I saw The thing", "a Great thing", "great"]


def test_brands_are_capital_inside_sentences_and_never_small() -> None:
    brands = find_brands(TEXTS)
    assert brands == {"Maeve"}
    assert brand_of("this is Maeve again", brands) == "Maeve"


@pytest.mark.parametrize(("brand", "expected"), [("Acme", "Nice Acme cut."), (None, None), ("a\\1", "Nice a\\1 cut.")])
def test_exchange_brand(brand: str | None, expected: str | None) -> None:
    assert exchange_brand("Nice Maeve cut.", brand, frozenset({"Maeve"})) == expected


CLOTHES = [("clothing", frozenset({"sleeve", "fine", "size"}))] * 3
KITCHEN = [("kitchen", frozenset({"hopper", "fine"}))] * 5 + [("kitchen", frozenset({"hopper", "size"}))]


def test_words_of_one_line_are_associated_and_shared_ones_are_not() -> None:
    # 9 reviews. sleeve: all of its 3 in clothing, prior 1/3. size: 3 of 4 in clothing, over 0.7 and twice the prior.
    # hopper: all of its 6 in kitchen, but the prior is 2/3, and no word can be twice as likely.
    assert associate([*CLOTHES, *KITCHEN]) == {"sleeve": "clothing", "size": "clothing"}


def test_nothing_is_associated_where_all_reviews_are_of_one_line() -> None:
    assert associate(CLOTHES) == {}


def test_line_is_the_one_most_words_belong_to() -> None:
    lines = {"sleeve": "clothing", "hem": "clothing", "hopper": "kitchen"}
    assert line_of_words(frozenset({"sleeve", "hem", "hopper", "fine"}), lines) == "clothing"
    assert line_of_words(frozenset({"sleeve", "hopper"}), lines) is None
    assert line_of_words(frozenset({"fine"}), lines) is None
