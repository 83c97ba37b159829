"""Which cleaned texts are refused, and why."""

import polars as pl
import pytest

from workflows_dagster.lib.cleaning.rejection import judge
from workflows_dagster.lib.cleaning.settings import CleaningSettings


@pytest.mark.parametrize(
    ("text", "reason", "detail"),
    [
        ("", "empty_after_cleaning", "nothing left but masks or blanks; expected a text"),
        ("[URL] [EMAIL]", "empty_after_cleaning", "nothing left but masks or blanks; expected a text"),
        ("k", "too_short", "length 1; expected at least 2"),
        ("[HANDLE] k", "too_short", "length 1; expected at least 2"),
        ("good " * 21, "too_long", "length 105; expected at most 100"),
        ("...", "gibberish", "share of letters 0.0; expected at least 0.2"),
        ("1234 5678 ## $$$ 12", "gibberish", "share of letters 0.0; expected at least 0.2"),
        ("asdfgh jkl", "gibberish", "share of unreadable letters 0.67; expected at most 0.5"),
        ("xkcjvhskdjfh", "gibberish", "share of unreadable letters 1.0; expected at most 0.5"),
        ("qweqweqwe asdasd", "gibberish", "share of unreadable letters 1.0; expected at most 0.5"),
        ("ab" * 25, "gibberish", "share of unreadable letters 1.0; expected at most 0.5"),
    ],
)
def test_texts_that_are_no_reviews_are_refused(text: str, reason: str, detail: str) -> None:
    found = judge(pl.Series("text", [text]), CleaningSettings(max_characters=100))
    assert found.row(0) == (reason, detail)


@pytest.mark.parametrize(
    "text",
    [
        "Meh.",
        "OMG!!! LOVE",
        "ok",
        "👍",
        "好",
        "10/10",
        "5 *",
        "100%",
        ":)",
        "A+++",
        "bagus sekali, suka banget",
        "apik tenan, regane murah mbanget",
        "とても良い製品です",
        "Отличный товар, всем советую!",
        "ممتاز جدا",
        "สินค้าดีมากส่งเร็ว",
        "rhythms and strengths",
        "At the orthodontisssttt",
        "Angstschweiß! Wirklich gut.",
        "my qwerty keyboard broke",
        "hmmm brrr grrr pfft",
        "idk tbh nvm smh",
        "hahahahahaha lololol",
        "$$$ not worth it!!! -> 1/5 :(((",
    ],
)
def test_texts_that_say_something_are_kept(text: str) -> None:
    assert judge(pl.Series("text", [text]), CleaningSettings()).row(0) == (None, None)


def test_thresholds_are_configurable() -> None:
    texts = pl.Series("text", ["asdfgh jkl", "ok", "##a##b##"])
    lenient = CleaningSettings(max_unreadable_ratio=1, min_letter_ratio=0)
    strict = CleaningSettings(min_characters=9)
    assert judge(texts, lenient)["reason"].to_list() == [None, None, None]
    assert judge(texts, strict)["reason"].to_list() == ["gibberish", "too_short", "too_short"]


def test_lengths_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="min_characters 500 is not below max_characters 100"):
        CleaningSettings(min_characters=500, max_characters=100)
