"""What cleaning does to the form of a text: one table per rule, and properties of any text."""
# ruff: noqa: RUF001 - letters that look alike are what this is about

import unicodedata

import ftfy.badness
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows_dagster.lib.cleaning.clean import clean_texts
from workflows_dagster.lib.cleaning.settings import CleaningSettings
from workflows_dagster.lib.cleaning.text import mojibake_pattern

SETTINGS = CleaningSettings()


def clean(text: str, given: CleaningSettings = SETTINGS) -> str:
    return clean_texts(pl.Series("text", [text]), given).texts[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # entities, also nested and numeric; names that HTML does not know stay
        ("jalape&ntilde;o &#34;heat&#34; &#x26;", 'jalapeño "heat" &'),
        ("5&amp;amp;amp;#39;5&amp;quot; tall", "5'5\" tall"),
        ("AT&T; R&D, salt & pepper", "AT&T; R&D, salt & pepper"),
        ("a &lt; b", "a < b"),
        # tags
        ("Nope.<br /><br />And well<BR>then", "Nope.\nAnd well\nthen"),
        ('<a href="http://x.example/p?id=1">WILTON</a> is <b>bold</b>', "WILTON is bold"),
        ("&lt;p class=&quot;x&quot;&gt;para&lt;/p&gt;", "para"),
        ("<!-- hidden -->seen<script>alert('x < y')</script>", "seen"),
        ("a < b and c > d, I <3 it </3", "a < b and c > d, I <3 it </3"),
        ("<sigh> <i love it> <never again>", "<sigh> <i love it> <never again>"),
        # encoding
        ("schÃ¶n â€” donâ€™t", "schön — don't"),
        ("cafÃ© 😍", "café 😍"),
        ("voilÃ  le cafÃ©", "voilà le café"),
        ("naïve façade, 100 °C, Ürün çok güzel", "naïve façade, 100 °C, Ürün çok güzel"),
        ("problems\x97the acting\x85", "problems—the acting…"),
        ("I\ufffdm here, caf\ufffd", "I'm here, caf\ufffd"),
        # normalization keeps what is said
        ("Cafe\u0301", "Café"),
        ("size 5½, 3 m², wait…", "size 5½, 3 m², wait…"),
        ("\U0001d4f5\U0001d4f8\U0001d4ff\U0001d4ee \uff46\uff55\uff4c\uff4c \ufb01t", "love full fit"),
        ("don\u2019t \u201cwow\u201d I`m", "don't \"wow\" I'm"),
        # invisible characters
        ("so\u200bft\u00ad \ufeffand\x07 \x1b[31mred\x1b[0m", "soft and red"),
        (
            "a\u200db \U0001f469\u200d\U0001f469\u200d\U0001f467 ok\u200d",
            "ab \U0001f469\u200d\U0001f469\u200d\U0001f467 ok",
        ),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\u202eevil\u202c", "evil"),
        # whitespace; line breaks stay
        ("  a \t b\u00a0\u3000c  ", "a b c"),
        ("one \r\n\r\n two\x0bthree\u2028four", "one\ntwo\nthree\nfour"),
        # repeated characters
        ("sooooo goooood!!!!!! ......", "sooo goood!!! ..."),
        ("100000 pcs, 5555555, book, www, aaa", "100000 pcs, 5555555, book, www, aaa"),
        ("❤️❤️❤️❤️❤️ 😍😍😍😍 哈哈哈哈哈", "❤️❤️❤️ 😍😍😍 哈哈哈"),
        ("Ooooo", "Oooo"),
        ("x" * 5_000 + "!" * 100, "xxx!!!"),
        # case and other scripts stay
        ("GREAT Dress", "GREAT Dress"),
        ("とても良い製品です。สวยมาก جميل جدا", "とても良い製品です。สวยมาก جميل جدا"),
        ("", ""),
    ],
)
def test_clean_texts_repairs_form_and_keeps_content(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("keep", "love ❤️ it 👍🏽 1️⃣ Brand™"),
        ("name", "love :red_heart: it :thumbs_up_medium_skin_tone: :keycap_1: Brand™"),
        ("remove", "love it Brand™"),
    ],
)
def test_clean_texts_treats_emoji_as_configured(policy: str, expected: str) -> None:
    given = CleaningSettings.model_validate({"emoji": policy})
    assert clean("love ❤️ it 👍🏽 1️⃣ Brand™", given) == expected


def test_clean_texts_caps_repeats_as_configured() -> None:
    assert clean("sooooo", CleaningSettings(max_repeats=2)) == "soo"
    assert clean("sooooo", CleaningSettings(max_repeats=6)) == "sooooo"


def test_clean_texts_counts_rows_by_rule() -> None:
    result = clean_texts(pl.Series("text", ["a&amp;b", "c  d", "plain", "e&lt;br&gt;f"]), SETTINGS)
    assert result.texts.to_list() == ["a&b", "c d", "plain", "e\nf"]
    assert dict(result.repaired) == {"html_entities": 2, "html_tags": 1, "whitespace": 1}


@given(st.text(alphabet=st.sampled_from("Ã©Â°â€™œžŸ¼ïабвÐ¿Ñ abc\u00a0\u0085\u009d"), max_size=12))
def test_mojibake_guard_sees_what_ftfy_sees(text: str) -> None:
    assert pl.Series([text]).str.contains(mojibake_pattern()).item() == ftfy.badness.is_bad(text)


FRAGMENTS = [
    *("&amp;", "&lt;", "br", "&gt;", "<", ">", "<b>", "</b>", "&#60;", "&#x200b;", "`", "s", "\x00", "\ufffd"),
    *("\u200b", "\u200d", "\ufe0f", "❤️", "😍", "â€™", "Ã", "é", "e\u0301", "\u0301", "\uff1c", "\uff20"),
    *("@", "a@b.co", ".com", "@user", "http://", "www.", "x.co/y", "?token=1", "[EMAIL]", "[", "]", "order #"),
    *("4111 1111", "1111-1111", "212-555-0123", "+44 20 7946 0958", "12345", "678901", "2024-05-01", "oooo", "o"),
    *("!!!!", " ", "\n", "\r", "\t", "\u00a0", "\u0085"),
]
TRICKY = st.lists(
    st.one_of(
        st.sampled_from(FRAGMENTS),
        st.text(max_size=3),
    ),
    max_size=10,
).map("".join)


@settings(max_examples=120)
@given(TRICKY)
def test_clean_texts_is_idempotent_and_leaves_no_control_characters(text: str) -> None:
    # Arrow holds no lone surrogates: hypothesis must not make any.
    text = text.encode("utf-8", "ignore").decode()
    once = clean_texts(pl.Series("text", [text]), SETTINGS)
    cleaned = once.texts[0]
    again = clean_texts(once.texts, SETTINGS)
    assert again.texts[0] == cleaned
    assert again.masked[0] == 0
    assert [c for c in cleaned if unicodedata.category(c) == "Cc" and c != "\n"] == []
    assert cleaned == cleaned.strip(" \n")
    assert unicodedata.is_normalized("NFC", cleaned)


@settings(max_examples=30)
@given(st.lists(TRICKY, min_size=1, max_size=6))
def test_clean_texts_treats_each_row_by_itself(texts: list[str]) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    together = clean_texts(pl.Series("text", texts), SETTINGS)
    alone = [clean_texts(pl.Series("text", [text]), SETTINGS) for text in texts]
    assert together.texts.to_list() == [one.texts[0] for one in alone]
    assert together.masked.to_list() == [one.masked[0] for one in alone]
