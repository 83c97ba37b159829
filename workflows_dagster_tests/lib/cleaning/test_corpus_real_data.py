"""build_corpus on public review sets, read with pandas so that only the corpus is under test."""

import re
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from workflows_dagster.checks.cleaning import REVIEW_CORPUS
from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.cleaning.corpus import CorpusReport, CorpusSettings, build_corpus
from workflows_dagster.lib.schema import CLEAN_REVIEW

pytestmark = pytest.mark.real_data


def build(folder: Path, frames: list[pl.DataFrame]) -> tuple[Path, CorpusReport]:
    """The corpus of frames with review_id, source, text, label, language and group_key; each frame is a batch."""
    batches: list[Artifact] = []
    for number, frame in enumerate(frames):
        place = folder / f"in-{number}"
        place.mkdir()
        rest = {"stars": None, "product_id": None, "created_at": None, "file": "file.csv", "masked": 0}
        rows = frame.with_columns(
            **{name: pl.lit(value) for name, value in rest.items()},
            batch=pl.lit(f"batch-{number}"),
            row=pl.int_range(1, pl.len() + 1),
            language_score=pl.lit(1.0),
        )
        write_table(place / "reviews.parquet", rows, CLEAN_REVIEW)
        batches.append(Artifact("cleaned_reviews", f"batch-{number}", "commit", "digest", place))
    out = folder / "out"
    out.mkdir()
    return out, build_corpus(batches, {"nusax", "tweets"}, CorpusSettings(), out)


def test_parallel_translations_never_straddle_splits(tmp_path: Path, real_data: Path) -> None:
    frames: list[pl.DataFrame] = []
    for language in ("english", "indonesian", "javanese", "sundanese"):
        files = [real_data / "nusax_multilingual" / f"{language}_{part}.csv" for part in ("train", "valid", "test")]
        rows = pl.from_pandas(pd.concat([pd.read_csv(file) for file in files], ignore_index=True))
        frames.append(
            rows.select(
                review_id=pl.format("nusax:{}-{}", pl.lit(language), "id"),
                source=pl.lit("nusax"),
                text="text",
                label="label",
                language=pl.lit(language[:2]),
                group_key=pl.format("nusax:{}", "id"),
            )
        )

    out, report = build(tmp_path, frames)

    # 1,000 items in 4 languages. A translation is not a copy of its original: all but a few rows stay, and those
    # few are the same words in two of the languages.
    corpus = pl.read_parquet(out / "reviews.parquet")
    assert report.rows_in == 4_000
    assert report.rows_kept + sum(report.rows_duplicate.values()) == 4_000
    assert report.rows_kept >= 3_900
    assert corpus.group_by("group_key").agg(pl.col("split").n_unique())["split"].max() == 1
    assert corpus["group_key"].n_unique() == 1_000
    assert report.splits["none"] == 0
    assert all(audit.judge(out).passed for audit in REVIEW_CORPUS if audit.blocking)


def test_tweets_with_conflicting_labels_are_found(tmp_path: Path, real_data: Path) -> None:
    tweets = pl.from_pandas(pd.read_csv(real_data / "tweet_sentiment" / "tweets.csv").dropna(subset="text"))
    ids = pl.format("tweets:{}", "textID")
    frame = tweets.select(
        review_id=ids,
        source=pl.lit("tweets"),
        text="text",
        label="sentiment",
        language=pl.lit("en"),
        group_key=ids,
    )

    out, report = build(tmp_path, [frame])

    # SOURCE.md counts 234 duplicates and 21 texts with conflicting labels after normalising. Two tweets are nothing but
    # punctuation, "****" (negative) and "?" (neutral): normalised to nothing, they are one text there. Here each stands
    # for itself, which is 1 duplicate and 1 conflict less.
    plain = frame["text"].map_elements(lambda text: " ".join(re.sub(r"[^\w\s]", " ", text.lower()).split()), pl.String)
    assert (len(plain) - plain.n_unique(), (plain == "").sum()) == (234, 2)
    assert report.rows_in == 27_480
    assert report.rows_duplicate["exact"] == 233
    assert report.conflicts == {"majority": 4, "tie": 16}
    assert report.labels["none"] == 15  # one of the 16 tied texts is also a near copy of a labelled one
    assert all(audit.judge(out).passed for audit in REVIEW_CORPUS if audit.blocking)
