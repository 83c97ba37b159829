"""A batch, cleaned: files, accounting, and independence of row order and workers."""

import json
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from workflows_dagster.checks.cleaning import CLEANED_REVIEWS, CLEANED_REVIEWS_OF_RAW
from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.cleaning.clean import clean_batch
from workflows_dagster.lib.cleaning.settings import CleaningSettings
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
    assert json.loads((out / "report.json").read_text()) == {
        "rows_in": 6,
        "rows_kept": 3,
        "rows_rejected": 3,
        "reasons": {"empty_after_cleaning": 1, "too_short": 1, "too_long": 0, "gibberish": 1},
        "languages": {"de": 1, "en": 1, "und": 1},
        "masked": {"email": 1, "order": 1},
        "repaired": {"html_entities": 1, "html_tags": 1, "whitespace": 1},
    }
    assert report.to_metadata()["cleaning/rejected_rows"] == 3
    verdicts = [audit.judge(out) for audit in CLEANED_REVIEWS]
    verdicts += [audit.against(raw.folder).judge(out) for audit in CLEANED_REVIEWS_OF_RAW]
    assert [verdict.passed for verdict in verdicts] == [True, True, True]
