"""What is masked, and what looks like personal data and is none."""

import polars as pl
import pytest

from workflows_dagster.lib.cleaning.clean import clean_texts
from workflows_dagster.lib.cleaning.settings import CleaningSettings
from workflows_dagster_tests.lib.cleaning.personal_data_kinds import KINDS, Kind

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


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.mask}, {kind.language}: {kind.name}")
def test_each_kind_is_masked_and_nothing_beside_it(kind: Kind) -> None:
    assert clean(kind.text) == kind.masked
