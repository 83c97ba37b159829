"""Language identification with the packaged model."""

import socket

import polars as pl
import pytest

from workflows_dagster.lib.cleaning.language import identify, load_model
from workflows_dagster.lib.cleaning.settings import CleaningSettings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The dress is lovely and fits very well", "en"),
        ("THE DRESS IS LOVELY AND FITS VERY WELL", "en"),
        ("Das Kleid ist schön und passt sehr gut", "de"),
        ("Barang bagus sekali dan pengiriman cepat", "id"),
        ("とても良い製品です", "ja"),
        ("Отличный товар, всем советую", "ru"),
        ("Das Kleid\nist schön [EMAIL] [PHONE] [ORDER] und passt", "de"),
        ("ok", "und"),
        ("👍👍👍 ❤️❤️❤️ 12345678901234567890", "und"),
        ("[EMAIL] [PHONE] [URL] [HANDLE]", "und"),
    ],
)
def test_language_is_identified(text: str, expected: str) -> None:
    languages, _ = identify(pl.Series("text", [text]), CleaningSettings())
    assert languages.to_list() == [expected]


def test_language_is_undetermined_below_the_score_and_the_score_is_kept() -> None:
    texts = pl.Series("text", ["xq vrr blk dnn mrr", "ok", "The dress is lovely and fits very well"])
    languages, scores = identify(texts, CleaningSettings())
    assert languages.to_list() == ["und", "und", "en"]
    assert scores.is_null().to_list() == [False, True, False]
    assert scores[0] < 0.5 < scores[2] <= 1
    assert scores.dtype == pl.Float32


def test_identify_accepts_no_texts() -> None:
    languages, scores = identify(pl.Series("text", [], dtype=pl.String), CleaningSettings())
    assert (languages.dtype, scores.dtype, len(languages)) == (pl.String, pl.Float32, 0)


def test_model_loads_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    load_model.cache_clear()
    languages, _ = identify(pl.Series("text", ["Das Kleid ist schön und passt gut"]), CleaningSettings())
    assert languages.to_list() == ["de"]
