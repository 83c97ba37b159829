"""What is masked, and what looks like personal data and is none."""

import gzip
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from workflows_dagster.lib.cleaning.clean import clean_texts
from workflows_dagster.lib.cleaning.settings import CleaningSettings
from workflows_dagster_tests.lib.cleaning.personal_data_document import DOCUMENT, REAL, document
from workflows_dagster_tests.lib.cleaning.personal_data_kinds import KINDS, SAYINGS, Kind

SETTINGS = CleaningSettings()


def clean(text: str, given: CleaningSettings = SETTINGS) -> str:
    return clean_texts(pl.Series("text", [text]), given).texts[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail jo.doe+shop@mail.example.com.", "mail [EMAIL]."),
        ("jo [at] example [dot] com or jo (at) example.com", "[EMAIL] or [EMAIL]"),
        ("jo\u200b@example.com, JO@EXAMPLE.COM", "[EMAIL], [EMAIL]"),
        ("jörg@müller.de", "[EMAIL]"),
        ("call +1 212-555-0123 now", "call [PHONE] now"),
        ("(212) 736-5000 or 212.736.5001", "[PHONE] or [PHONE]"),
        ("WA +62 812-3456-7890", "WA [PHONE]"),
        ("telp 0812 3456 7890", "telp [PHONE]"),
        ("ring 020 7946 0958", "ring [PHONE]"),
        ("text me: 6178502220", "text me: [PHONE]"),
        ("card 4111 1111 1111 1111 22", "card [CARD] 22"),
        ("pin 4111 5555-5555-5555-4444", "pin 4111 [CARD]"),
        ("21704576141 3782 822463 10005", "21704576141 [CARD]"),
        ("card 4111-1111-1111-1111, amex 3782 822463 10005", "card [CARD], amex [CARD]"),
        ("paid with 5555555555554444.", "paid with [CARD]."),
        ("order #12345678 was late", "order #[ORDER] was late"),
        ("Order No. AB-12345", "Order No. [ORDER]"),
        ("my order 1234567 never came", "my order [ORDER] never came"),
        ("113-1234567-7654321 is lost", "[ORDER] is lost"),
        ("ORD-20240017 and inv-4455", "[ORDER] and [ORDER]"),
        ("@jane_doe thanks, cc @bob", "[HANDLE] thanks, cc [HANDLE]"),
        ("see https://x.example/a?token=abc#f.", "see [URL]."),
        ("WWW.SHOP.EXAMPLE/cart and bit.ly/x1Z", "[URL] and [URL]"),
        ("(http://ustre.am/2NjV)", "([URL])"),
        ("ftp://jo:pw@host.example/file", "[URL]"),
    ],
)
def test_personal_data_is_masked(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "size 10-12, 5.5 x 3, 34-26-36, 32-24.5-32",
        "100% on 2024-05-01, 01/05/2024 10:30, 2024-05-01 2024-05-02",
        "$1,234.50, Rp 1.250.000, 12.99-14.99, 1000000 times",
        "ISBN 978-0-13-468599-1, ISBN-10: 0738551856, EAN 4006381333931",
        "model 3103456789 and item number 2125550123",
        "5'4\" 130 lbs, 120-123lbs, 1024-1280 pixels, 1930-1940's",
        "4111 1111 1111 1112 fails the check digit",
        "photo B0000VMBDI, part A2125550123",
        "order 10-12 or order 5 pairs, ordered 100 count, in order 2024-05-01",
        "meet @ 5pm @ work, :@ and F@#k, 132.25 @ 132.00",
        "10/10 and/or his/her amazon.com e.g. this.That",
        "ticket price 25.00, tracking is great, booking 2 nights",
    ],
)
def test_what_only_looks_like_personal_data_survives(text: str) -> None:
    result = clean_texts(pl.Series("text", [text]), SETTINGS)
    assert result.texts[0] == text
    assert result.masked[0] == 0


def test_masks_are_counted_by_row_and_kind() -> None:
    texts = pl.Series("text", ["a@b.co a@c.co @bob", "nothing", "[EMAIL] was written by hand", "x@y.co"])
    result = clean_texts(texts, SETTINGS)
    assert result.masked.to_list() == [3, 0, 0, 1]
    assert dict(result.masks) == {"email": 3, "handle": 1}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("mask", "see [URL] or [URL] now"),
        ("remove", "see or now"),
        ("keep", "see http://x.example/a or [URL] now"),
    ],
)
def test_urls_are_treated_as_configured(policy: str, expected: str) -> None:
    given = CleaningSettings.model_validate({"urls": policy})
    assert clean("see http://x.example/a or http://x.example/?session=9 now", given) == expected


def test_order_patterns_are_configurable() -> None:
    given = CleaningSettings(order_patterns=[r"\bPO[0-9]{3}\b", r"(?P<keep>ref )[0-9]{3}"])
    assert clean("PO123 and ref 456, order #12345678", given) == "[ORDER] and ref [ORDER], order #12345678"


@pytest.mark.parametrize("pattern", ["(", "[0-9]*", r"(?<=x)[0-9]+"])
def test_order_patterns_are_refused_when_unusable(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"expected a pattern|no regular expression"):
        CleaningSettings(order_patterns=[pattern])


def test_phone_regions_are_refused_when_unknown() -> None:
    with pytest.raises(ValueError, match=r"unknown regions \['USA'\]"):
        CleaningSettings(phone_regions=["USA"])


def test_national_phones_follow_the_configured_regions() -> None:
    assert clean("ring 030 901820 00", CleaningSettings(phone_regions=["DE"])) == "ring [PHONE]"
    assert clean("+49 30 90182000", CleaningSettings(phone_regions=[])) == "[PHONE]"


PROSE = (
    "at this point in my life, hit me at a point in the hip, look at it at postum dot com",
    "ate @ Chilis. Net result: fine, lunch @ nokiausa.com, price @ Amazon .com",
    "my insta is broken, instagram is great.I love it, on twitter since 2010, handle with care.this works",
    "twitter world.is it working, can handle yaymen.com, TG LA7, on facebook 2 years ago, ps4 and xbox1",
    "Item#1234, Style#4021, Pantone#1234, dmc#3345",
    "sizes 32 34 36 38 40 42 44 46 48, 4 6 8 10 12 14 16 18, 600 700 800, 34-26-36-38-40",
    "eins, zwei, drei, vier, fünf, sechs, sieben, neun; one two three four five six seven eight",
    "build 14393.321, version 10.0.18363.1, v1.2.3.4, firmware 1.0.9.88, router 192.168.1.1",
    "12:30:45, 10:20:30:40, 16:9 or 4:3, 12-14-16-18-20-22, 10.5 x 20.25 x 3.1",
    "from 22.08.2013 08:30 to 16:00, called on 12/05/2024, ring size 7, phone 2019-2020, call 1.250.000",
    "the password is easy, a pin code lock, 4 pin plug, 24 pin 3000 mAh, code is broken",
    "born in 1984, born on a Monday, my birthday is soon, for my birthday on March 3",
    "5 Star Hotel, 3 Piece Set, 2 Day Drive, 1 Way Street, Via USSR 2.0, 100 Main reasons, 4 Door Drive",
    "Galaxy S8 4GB, A4 5TB, G5 3GB, M1 8GB, SPH-D700, WH-1000XM4, 7ABC123 model, AA123456 part",
    "my name is SUPER FREAKIN COOL, my name is on it, regards to all",
    "account of 12 months, my account was closed in 2019, routing is fine, 8 bank holidays",
    "passport cover 2 pack, insurance for 30 days, client since 2015, tax of 12.50, a plate of 3 eggs",
    "55.5000 45.1234x, 3.1415 2.7182, temperature 20.5 °C N",
    "isbn 0306406152, 0306406152, upc 041331024, B00X4WHP5E",
)


@cache
def together() -> dict[str, str]:
    """Every text of the tables and what it is after cleaning, in one call: each row is cleaned by itself."""
    texts = [*(kind.text for kind in KINDS), *(text for text, _ in SAYINGS), *PROSE]
    return dict(zip(texts, clean_texts(pl.Series("text", texts), SETTINGS).texts, strict=True))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.mask}, {kind.language}: {kind.name}")
def test_each_kind_is_masked_and_nothing_beside_it(kind: Kind) -> None:
    assert together()[kind.text] == kind.masked


@pytest.mark.parametrize(("text", "personal"), SAYINGS)
def test_each_saying_hides_what_is_personal(text: str, personal: str) -> None:
    assert personal not in together()[text]


@pytest.mark.parametrize("text", PROSE)
def test_prose_and_measures_are_no_personal_data(text: str) -> None:
    assert together()[text] == text


def test_document_says_what_the_rules_do() -> None:
    assert DOCUMENT.read_text("utf-8") == document()


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_masks_in_real_reviews_are_those_that_were_read(real_data: Path, name: str) -> None:
    rows, masked, _wrong = REAL[name]
    texts = real_texts(real_data, name)
    found = clean_texts(pl.Series("text", texts, dtype=pl.String), SETTINGS)
    assert (len(texts), dict(found.masks)) == (rows, masked)


def test_at_most_one_mask_in_2000_real_reviews_is_wrong() -> None:
    assert sum(wrong for _, _, wrong in REAL.values()) * 2_000 <= sum(rows for rows, _, _ in REAL.values())


def real_texts(folder: Path, name: str) -> list[str]:
    """The texts of one of the public sets."""
    match name:
        case "womens_clothing":
            with gzip.open(folder / name / "womens_clothing_reviews.csv.gz") as file:
                table = pl.read_csv(file.read())
            pairs = zip(table["Title"], table["Review Text"], strict=True)
            return [f"{title or ''}\n{text}".strip() for title, text in pairs if text]
        case "amazon_fine_food, 5,000":
            return pl.read_csv(folder / "amazon_fine_food" / "fine_food_reviews_5000.csv")["Text"].to_list()
        case "amazon_fine_food, 1,000":
            return pl.read_csv(folder / "amazon_fine_food" / "fine_food_reviews_1k.csv")["Text"].to_list()
        case "tweet_sentiment":
            return pl.read_csv(folder / name / "tweets.csv")["text"].drop_nulls().to_list()
        case "uci_sentences":
            lines = [
                line
                for shop in ("amazon_cells", "imdb", "yelp")
                for line in (folder / name / f"{shop}_labelled.txt").read_text("utf-8").split("\n")
            ]
            return [line.split("\t")[0] for line in lines if line.strip()]
        case "vader_amazon_raters":
            lines = (folder / name / "amazonReviewSnippets_GroundTruth.txt").read_text("latin-1").splitlines()
            return [line.split("\t")[2] for line in lines if line.count("\t") >= 2]
        case "nusax_multilingual":
            return [text for path in sorted((folder / name).glob("*.csv")) for text in pl.read_csv(path)["text"]]
        case _:
            return [
                text for part in ("test", "trial") for text in pl.read_csv(folder / name / f"tsd_{part}.csv")["text"]
            ]
