"""Text keys: what makes two reviews exact copies of each other."""

import polars as pl
import pytest

from workflows_dagster.lib.cleaning.copies import text_key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Good  SHOES!", "good shoes"),
        ("good-shoes", "good shoes"),
        (" 'good'\n(shoes) ", "good shoes"),
        ("I`d buy", "i d buy"),
        ("5/5 \N{HEAVY BLACK HEART}\ufe0f", "5 5 \N{HEAVY BLACK HEART}"),
        ("CAFÉ", "café"),
        (":-)", ":-)"),  # nothing but punctuation stands for itself
        (":-(", ":-("),
    ],
)
def test_text_key_is_lower_case_without_punctuation(text: str, key: str) -> None:
    assert pl.select(text_key(pl.lit(text))).item() == key
