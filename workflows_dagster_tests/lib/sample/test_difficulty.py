"""The sample is hard for a bag of words, and its copies are the ones that were planted."""

import hashlib
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from workflows_dagster.lib.sample.report import SampleReport
from workflows_dagster.lib.sample.settings import SampleSettings
from workflows_dagster.lib.sample.writing import write_sample


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, SampleReport]:
    folder = tmp_path_factory.mktemp("sample")
    report = write_sample(folder, SampleSettings())
    return _labelled(folder), report


def _labelled(folder: Path) -> pl.DataFrame:
    """Labelled texts of the posts and the survey with their product; the shop's need the csv reader of the ingest."""
    posts = [line for line in (folder / "pipit_posts.jsonl").read_text("utf-8").split("\n") if line.endswith("}")]
    frame = pl.DataFrame([_post(line) for line in posts if '"text": "' in line], orient="row", schema=_COLUMNS)
    survey = pl.DataFrame(pl.from_arrow(pq.read_table(folder / "hearth_survey.parquet"))).select(
        "sku",
        pl.col("answer").alias("text"),
        pl.when(pl.col("score") < 5)
        .then(pl.lit("neg"))
        .when(pl.col("score") > 6)
        .then(pl.lit("pos"))
        .when(pl.col("score").is_not_null())
        .then(pl.lit("neu"))
        .alias("label"),
    )
    known = pl.col("label").is_in(["neg", "neu", "pos"]) & (pl.col("text").str.strip_chars() != "")
    return pl.concat([frame, survey]).filter(known).unique("text", maintain_order=True)


_COLUMNS = {"sku": pl.String, "text": pl.String, "label": pl.String}


def _post(line: str) -> tuple[str, str, str | None]:
    post = json.loads(line)
    return post["sku"], post["text"], post.get("sentiment")


@pytest.mark.slow
def test_linear_baseline_is_neither_helpless_nor_done(sample: tuple[pl.DataFrame, SampleReport]) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score

    frame = sample[0].with_columns(
        test=pl.col("sku").map_elements(
            lambda sku: hashlib.sha256(sku.encode()).digest()[0] >= 205, return_dtype=pl.Boolean
        )
    )
    train, test = frame.filter(~pl.col("test")), frame.filter("test")
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = LogisticRegression(max_iter=2_000, class_weight="balanced")
    model.fit(words.fit_transform(train["text"].to_list()), train["label"].to_list())
    predicted = model.predict(words.transform(test["text"].to_list()))
    assert 0.65 < f1_score(test["label"].to_list(), predicted, average="macro") < 0.90


def test_near_copies_are_few_beyond_those_planted(sample: tuple[pl.DataFrame, SampleReport]) -> None:
    texts, report = sample[0]["text"].to_list(), sample[1]
    shingles = [_shingles(text) for text in texts]
    holders: dict[str, list[int]] = defaultdict(list)
    copies = 0
    for index, own in enumerate(shingles):
        shared = Counter(other for shingle in own for other in holders[shingle])
        copies += any(n / len(own | shingles[other]) >= 0.8 for other, n in shared.items())
        for shingle in own:
            holders[shingle].append(index)
    assert copies <= report.planted["near_duplicate"]


def _shingles(text: str) -> set[str]:
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[at : at + 3]) for at in range(max(1, len(words) - 2))}
