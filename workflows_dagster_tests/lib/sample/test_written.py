"""The bundled reviews are what their README says."""

import csv
import re
from collections import Counter
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest

from workflows_dagster.lib.sample.written import WrittenReview, read_products, read_reviews

WORDS_IN_A_ROW = 6
GENERIC = re.compile(
    r"(?:very |really |so )?(?:good|great|nice|excellent|amazing|bad|terrible|awful|poor|ok|okay|fine|average)"
    r"(?: (?:product|quality|item|service|stuff|purchase|buy))?|"
    r"(?:i )?(?:love|like|hate) (?:it|this)|(?:not )?recommended|as described|not worth (?:it|the money)|"
    r"(?:it|this) (?:is|s) (?:good|great|ok|okay|fine|bad|terrible)"
)
"""One-liners that fit anything; each is here with case and punctuation taken away."""


OBVIOUS = Path(__file__).parents[2] / "obvious_reviews.csv"
"""Short reviews whose label nobody would argue about, to ask a trained model."""


@pytest.fixture(scope="module")
def reviews() -> tuple[WrittenReview, ...]:
    return read_reviews()


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.casefold())  # noqa: RUF001  # apostrophes as phones type them


def test_there_are_enough_and_none_is_there_twice(reviews: tuple[WrittenReview, ...]) -> None:
    assert len(reviews) >= 1_600
    assert len({" ".join(words(review.text)) for review in reviews}) == len(reviews)


def test_no_six_words_in_a_row_come_again(reviews: tuple[WrittenReview, ...]) -> None:
    runs: Counter[tuple[str, ...]] = Counter()
    for review in reviews:
        for text in (review.title, review.text):
            said = words(text)
            runs.update(tuple(said[at : at + WORDS_IN_A_ROW]) for at in range(len(said) - WORDS_IN_A_ROW + 1))
    assert [run for run, times in runs.items() if times > 1] == []


def test_spread_is_that_of_reviews(reviews: tuple[WrittenReview, ...]) -> None:
    labels = Counter(review.label for review in reviews)
    platforms = Counter(review.platform for review in reviews)
    languages = Counter(review.language for review in reviews)
    total = len(reviews)
    shares = {label: count / total for label, count in labels.items()}
    assert shares == pytest.approx({"positive": 0.72, "neutral": 0.10, "negative": 0.18}, abs=0.03)
    shares = {platform: count / total for platform, count in platforms.items()}
    assert shares == pytest.approx({"northgate_shop": 0.5, "pipit_posts": 0.25, "hearth_survey": 0.25}, abs=0.03)
    assert 0.8 < languages["en"] / total < 0.9
    assert all(languages[other] >= 40 for other in ("de", "es", "fr", "id", "pt"))


def test_lengths_go_from_a_few_words_to_many_sentences(reviews: tuple[WrittenReview, ...]) -> None:
    lengths = sorted(len(words(review.text)) for review in reviews)
    shorter = [sum(length <= limit for length in lengths) / len(lengths) for limit in (3, 8, 30, 60)]
    assert all(before < after for before, after in pairwise([0, *shorter, 1]))
    assert lengths[0] <= 3
    assert lengths[-1] >= 120


def test_every_product_is_reviewed_and_named(reviews: tuple[WrittenReview, ...]) -> None:
    assert {review.product for review in reviews} == set(read_products())


def test_only_the_shop_has_titles(reviews: tuple[WrittenReview, ...]) -> None:
    assert {review.platform for review in reviews if review.title} == {"northgate_shop"}


def test_something_of_the_thing_is_in_each(reviews: tuple[WrittenReview, ...]) -> None:
    found = [review.text for review in reviews if GENERIC.fullmatch(" ".join(words(review.text)))]
    assert found == []


def test_obvious_one_liners_are_not_among_them(reviews: tuple[WrittenReview, ...]) -> None:
    # A model that is asked the obvious must know the language, not this list.
    with OBVIOUS.open(encoding="utf-8", newline="") as file:
        obvious = [row["text"] for row in csv.DictReader(file)]
    assert len(obvious) >= 100
    assert not {tuple(words(text)) for text in obvious} & {tuple(words(review.text)) for review in reviews}


def test_nobody_can_be_reached_by_what_is_written(reviews: tuple[WrittenReview, ...]) -> None:
    assert [review.text for review in reviews if re.search(r"\w@\w|https?:|www\.|\d{5}", review.text)] == []
    assert {handle for review in reviews for handle in re.findall(r"@\w+", review.text)} <= {"@northgate"}


def test_files_are_small_and_say_what_they_are() -> None:
    folder = files("workflows_dagster.lib.sample").joinpath("reviews")
    assert sum(len(path.read_bytes()) for path in folder.iterdir()) < 1_000_000
    assert "made up" in folder.joinpath("README.md").read_text("utf-8")
