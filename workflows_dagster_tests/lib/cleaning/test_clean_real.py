"""Cleaning of real reviews: what HTML, links and numbers in them become."""

from pathlib import Path

import polars as pl
import pytest

from workflows_dagster.lib.cleaning.clean import clean_texts
from workflows_dagster.lib.cleaning.rejection import judge
from workflows_dagster.lib.cleaning.settings import CleaningSettings

pytestmark = pytest.mark.real_data


def test_food_reviews_lose_their_html_and_nothing_else(real_data: Path) -> None:
    raw = pl.read_csv(real_data / "amazon_fine_food" / "fine_food_reviews_5000.csv")["Text"]
    result = clean_texts(raw, CleaningSettings())

    assert (raw.str.contains("<br />|<a href").sum(), result.texts.str.contains("<br|<a |&[a-z]+;").sum()) == (1_241, 0)
    # a book named by its ISBN-10, and the same digits as a telephone number would have
    assert result.texts.str.contains("ISBN-10: 0738551856").sum() == 1
    assert (result.masks["phone"], result.masks["card"], result.masks["email"]) == (0, 0, 0)
    assert judge(result.texts, CleaningSettings())["reason"].null_count() == 5_000


def test_tweets_lose_links_and_handles_and_are_kept(real_data: Path) -> None:
    raw = pl.read_csv(real_data / "tweet_sentiment" / "tweets.csv")["text"].drop_nulls()
    result = clean_texts(raw, CleaningSettings())

    assert result.texts.str.contains("https?://").sum() == 0
    # seen one by one: 617-262-2220, 678-999-8212, 13341015518 of Beijing and a number of Hyderabad with +91
    assert (result.masks["phone"], result.masks["card"], result.masks["email"]) == (4, 0, 0)
    reasons = judge(result.texts, CleaningSettings())["reason"].drop_nulls()
    assert sorted(reasons) == ["empty_after_cleaning"] * 2 + ["gibberish"] * 2 + ["too_short"]
