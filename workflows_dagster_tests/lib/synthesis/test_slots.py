"""Product and brand words are exchanged with number, capitals and article, or not at all."""

import pytest

from workflows_dagster.lib.synthesis.slots import brand_of, exchange_brand, exchange_product, find_brands, kind_of_text


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
