"""A batch, cleaned: files, accounting, and independence of row order and workers."""

import random
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from workflows_dagster.checks.cleaning import CLEANED_REVIEWS
from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.cleaning import clean
from workflows_dagster.lib.cleaning.clean import CleaningReport, clean_batch
from workflows_dagster.lib.cleaning.settings import CleaningSettings
from workflows_dagster.lib.hashing import digest_folder
from workflows_dagster.lib.schema import CLEAN_REVIEW, RAW_REVIEW, REJECT

TEXTS: list[tuple[str, str | None]] = [
    ("Sch&ouml;n &amp; gut, ich liebe dieses Kleid", None),
    ("mail jo@example.com about order #123456", "en"),
    ("asdfgh qweqwe", None),
    ("<br/> ", None),
    ("Meh.", None),
    ("x", None),
]


def raw_artifact(folder: Path, texts: list[tuple[str, str | None]]) -> Artifact:
    folder.mkdir()
    frame = pl.DataFrame(
        {"text": [text for text, _ in texts], "language": [language for _, language in texts]},
        schema={"text": pl.String, "language": pl.String},
    ).with_columns(
        review_id=pl.format("shop:{}", pl.int_range(1, pl.len() + 1)),
        source=pl.lit("shop"),
        batch=pl.lit("shop-1"),
        stars=pl.lit(4, pl.Int8),
        label=pl.lit(None, pl.String),
        product_id=pl.lit(None, pl.String),
        group_key=pl.format("shop:{}", pl.int_range(1, pl.len() + 1)),
        created_at=pl.lit(None, pl.Datetime("us", "UTC")),
        file=pl.lit("a.csv"),
        row=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
    )
    write_table(folder / "reviews.parquet", frame, RAW_REVIEW)
    return Artifact("raw_reviews", "shop-1", "c1", "d1", folder)


def cleaned(raw: Artifact, out: Path, settings: CleaningSettings | None = None) -> pl.DataFrame:
    out.mkdir()
    clean_batch(raw, settings or CleaningSettings(workers=1), out)
    return pl.read_parquet(out / "reviews.parquet")


def test_clean_batch_keeps_or_rejects_each_row_with_its_reason(tmp_path: Path) -> None:
    raw = raw_artifact(tmp_path / "raw", TEXTS)
    out = tmp_path / "out"
    out.mkdir()

    report = clean_batch(raw, CleaningSettings(), out)

    kept = pl.read_parquet(out / "reviews.parquet")
    assert pq.read_schema(out / "reviews.parquet").equals(CLEAN_REVIEW)
    assert kept.select("row", "text", "language", "masked").rows() == [
        (1, "Schön & gut, ich liebe dieses Kleid", "de", 0),
        (2, "mail [EMAIL] about order #[ORDER]", "en", 2),
        (5, "Meh.", "und", 0),
    ]
    assert kept["language_score"].is_null().to_list() == [False, True, True]
    rejects = pl.read_parquet(out / "rejects.parquet")
    assert pq.read_schema(out / "rejects.parquet").equals(REJECT)
    assert rejects.select("row", "reason", "excerpt").rows() == [
        (3, "gibberish", "asdfgh qweqwe"),
        (4, "empty_after_cleaning", ""),
        (6, "too_short", "x"),
    ]
    assert CleaningReport.read(out) == report
    assert report == CleaningReport(
        rows_in=6,
        rows_kept=3,
        rows_rejected=3,
        reasons={"empty_after_cleaning": 1, "too_short": 1, "too_long": 0, "gibberish": 1},
        languages={"de": 1, "en": 1, "und": 1},
        masked={"email": 1, "order": 1},
        repaired={"html_entities": 1, "html_tags": 1, "whitespace": 1},
    )
    assert report.to_metadata()["cleaning/rejected_rows"] == 3
    verdicts = [audit.bind({"raw_reviews": raw.folder}).judge(out) for audit in CLEANED_REVIEWS]
    assert [verdict.passed for verdict in verdicts] == [True, True, True]


def many_texts() -> list[tuple[str, str | None]]:
    rng = random.Random(5)
    pieces = ["&amp; ", "great ", "<br>", "jo@x.co ", "212-555-0123 ", "sooooo ", "donâ€™t ", "❤️ ", "asdfgh ", "😍"]
    return [("".join(rng.choices(pieces, k=rng.randint(0, 6))), None) for _ in range(300)]


def test_clean_batch_treats_each_row_alike_in_any_order(tmp_path: Path) -> None:
    texts = many_texts()
    forward = cleaned(raw_artifact(tmp_path / "raw", texts), tmp_path / "out")
    backward = cleaned(raw_artifact(tmp_path / "raw2", texts[::-1]), tmp_path / "out2")
    columns = ["text", "language", "language_score", "masked"]
    assert 0 < forward.height < len(texts)
    assert backward.reverse().select(columns).equals(forward.select(columns))


def test_clean_batch_treats_each_row_alike_in_any_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = raw_artifact(tmp_path / "raw", many_texts())
    whole = cleaned(raw, tmp_path / "out")
    monkeypatch.setattr(clean, "SLICE_ROWS", 7)
    assert cleaned(raw, tmp_path / "out2").equals(whole)
    assert CleaningReport.read(tmp_path / "out") == CleaningReport.read(tmp_path / "out2")


@pytest.mark.slow
def test_clean_batch_writes_the_same_bytes_with_several_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clean, "SLICE_ROWS", 60)
    raw = raw_artifact(tmp_path / "raw", many_texts())
    cleaned(raw, tmp_path / "one")
    cleaned(raw, tmp_path / "two", CleaningSettings(workers=2))
    assert digest_folder(tmp_path / "one") == digest_folder(tmp_path / "two")


def test_clean_batch_accepts_a_batch_without_rows(tmp_path: Path) -> None:
    assert cleaned(raw_artifact(tmp_path / "raw", []), tmp_path / "out").height == 0
    assert CleaningReport.read(tmp_path / "out").rows_in == 0


def test_clean_batch_rejects_too_long_texts_and_masks_their_excerpt(tmp_path: Path) -> None:
    text = "jo@example.com " + "very good dress " * 3_000
    raw = raw_artifact(tmp_path / "raw", [(text, None)])
    kept = cleaned(raw, tmp_path / "out", CleaningSettings(max_characters=100, workers=1))
    assert kept.height == 0
    reject = pl.read_parquet(tmp_path / "out" / "rejects.parquet").row(0, named=True)
    # 15 + 3,000 * 16 characters, four times the limit allowed before cleaning
    assert (reject["reason"], reject["detail"]) == ("too_long", "length 48015 before cleaning; expected at most 400")
    assert reject["excerpt"].startswith("[EMAIL] very good dress")
    assert len(reject["excerpt"]) == 80


def test_clean_batch_never_keeps_a_text_that_was_cut(tmp_path: Path) -> None:
    raw = raw_artifact(
        tmp_path / "raw", [("lovely dress" + "<br />" * 200, None), ("lovely dress" + "<br />" * 20, None)]
    )
    kept = cleaned(raw, tmp_path / "out", CleaningSettings(max_characters=100, workers=1))
    assert kept.select("row", "text").rows() == [(2, "lovely dress")]


def written(folder: Path, **changed: object) -> Path:
    """A folder with one kept row, some of its values changed, and no rejects."""
    raw = raw_artifact(folder / "raw", [("a lovely dress", "en")])
    out = folder / "out"
    frame = cleaned(raw, out)
    write_table(out / "reviews.parquet", frame.with_columns(**{k: pl.lit(v) for k, v in changed.items()}), CLEAN_REVIEW)
    return out


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({}, []),
        ({"text": "mail jo@example.com"}, ["free_of_emails_and_cards"]),
        ({"text": "paid with 4111 1111 1111 1111"}, ["free_of_emails_and_cards"]),
        ({"text": "amex 378282246310005"}, ["free_of_emails_and_cards"]),
        ({"text": "number 4111111111111112 fails its check digit"}, []),
        ({"label": "great"}, ["conforms_to_schema"]),
        ({"stars": 6}, ["conforms_to_schema"]),
        ({"review_id": ""}, ["conforms_to_schema", "rows_accounted"]),
        ({"language": ""}, ["conforms_to_schema"]),
        ({"row": 2}, ["rows_accounted"]),
    ],
)
def test_audits_name_what_does_not_hold(tmp_path: Path, changed: dict[str, object], failed: list[str]) -> None:
    out = written(tmp_path, **changed)
    audits = [audit.bind({"raw_reviews": tmp_path / "raw"}) for audit in CLEANED_REVIEWS]
    assert [audit.name for audit in audits if not audit.judge(out).passed] == failed
    assert all(audit.blocking for audit in audits)
