"""What is worth asking next: reviews that people judge differently, and labels that look wrong."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from workflows_dagster.lib.annotation.libraries import load
from workflows_dagster.lib.annotation.word_model import folds_of, out_of_fold
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.schema import LABELS, column

NEXT_ROUND_FILE: Final = "next_round.parquet"

DISAGREEMENT: Final = "disagreement"
WEAK_LABEL_SUSPECT: Final = "weak_label_suspect"
HUMAN_LABEL_SUSPECT: Final = "human_label_suspect"

NEXT_ROUND: Final = pa.schema(
    [
        column("review_id", pa.string(), "The review", nullable=False),
        column("reason", pa.string(), "disagreement, weak_label_suspect or human_label_suspect", nullable=False),
        column("score", pa.float64(), "0 to 1 within its reason; scores of two reasons do not compare", nullable=False),
    ]
)

SUSPECT: Final = pl.Schema({"review_id": pl.String(), "label_source": pl.String(), "score": pl.Float64()})
"""A review whose label is likely wrong; the score is 1 less the probability of the label."""


def candidates(responses: pl.DataFrame, suspects: pl.DataFrame) -> pl.DataFrame:
    """Rows in the columns of NEXT_ROUND, by reason and then the highest score first; a review may have two reasons.

    Args:
        responses: Columns review_id, annotator, label.
        suspects: Columns of SUSPECT.
    """
    by_people = pl.col("label_source") == "human"
    reason = pl.when(by_people).then(pl.lit(HUMAN_LABEL_SUSPECT)).otherwise(pl.lit(WEAK_LABEL_SUSPECT))
    rows = pl.concat([disagreements(responses), suspects.select("review_id", reason=reason, score="score")])
    return rows.sort("reason", "score", "review_id", descending=[False, True, False])


def disagreements(responses: pl.DataFrame) -> pl.DataFrame:
    """Reviews whose answers are not all the same; the score is the part of the pairs of answers that differ.

    Args:
        responses: Columns review_id, annotator, label.
    """
    counts = responses.group_by("review_id", "label").len("n").with_columns(pl.col("n").cast(pl.Float64))
    n, total = pl.col("n"), pl.col("n").sum()
    alike = (n * (n - 1)).sum() / (total * (total - 1))
    scores = counts.group_by("review_id").agg(score=(1 - alike).round(6), different=pl.len())
    split = scores.filter(pl.col("different") > 1)
    return split.select("review_id", reason=pl.lit(DISAGREEMENT), score="score")


@dataclass(frozen=True)
class Suspects:
    """Reviews whose label is likely wrong.

    Attributes:
        table: Columns of SUSPECT, the worst first.
        looked_at: Labelled reviews that were judged.
        found: Label errors among them by confident learning, before the list was cut.
        note: Why nothing was judged, or None.
    """

    table: pl.DataFrame
    looked_at: int = 0
    found: int = 0
    note: str | None = None


def find_suspects(corpus: Artifact, human: pl.DataFrame, pool_rows: int, most: int) -> Suspects:
    """The likely label errors in a fixed draw of the corpus, with the labels of people in place of weak ones.

    By confident learning: a model that has not seen a review is sure of another label. Rows of one group (product,
    author) are judged by a model that saw none of them.

    Source: Northcutt, Jiang and Chuang (2021), Confident Learning: Estimating Uncertainty in Dataset Labels.

    Args:
        corpus: Holds reviews.parquet with the columns of CORPUS_REVIEW.
        human: Columns review_id and human, the label that people gave.
        pool_rows: Labelled reviews of train and test to look at, beside those that people labelled.
        most: Length of the list.

    Raises:
        MissingExtraError: cleanlab or scikit-learn is not installed.
    """
    pool = _pool(corpus, human, pool_rows)
    lonely = pool.group_by("label").agg(pl.col("fold").n_unique()).filter(pl.col("fold") < 2)["label"].to_list()
    if pool["label"].n_unique() < 2 or lonely:
        given = dict(pool["label"].value_counts().sort("label").iter_rows())
        return Suspects(SUSPECT.to_frame(), note=f"no model can be fitted to {given} without {lonely or 'a class'}")
    present = [label for label in LABELS if label in set(pool["label"])]
    class_ids = np.array([present.index(label) for label in pool["label"]])
    everything = np.ones(pool.height, dtype=bool)
    probabilities = out_of_fold(pool["text"].to_list(), class_ids, pool["fold"].to_numpy(), everything)
    select, rank = (load(f"cleanlab.{name}", "the search for wrong labels") for name in ("filter", "rank"))
    is_error = pl.Series(select.find_label_issues(class_ids, probabilities, n_jobs=1), dtype=pl.Boolean)
    quality = rank.get_label_quality_scores(class_ids, probabilities)
    ranked = pool.select("review_id", "label_source", score=pl.Series(1 - quality).round(6)).filter(is_error)
    ranked = ranked.sort("score", "review_id", descending=[True, False])
    return Suspects(ranked.head(most).match_to_schema(SUSPECT), pool.height, ranked.height)


def _pool(corpus: Artifact, human: pl.DataFrame, rows: int) -> pl.DataFrame:
    """Columns review_id, text, label, label_source, fold; sorted by id, so that the corpus' order does not matter."""
    splits = pl.col("split").is_in(["train", "test"])
    ids = corpus.scan().filter(splits, pl.col("label").is_not_null()).select("review_id").collect()["review_id"]
    drawn = sorted(ids, key=lambda review_id: digest_text("annotation/suspects", review_id))[:rows]
    wanted = pl.concat([pl.Series("review_id", drawn, dtype=pl.String), human["review_id"]]).unique()
    columns = ["review_id", "text", "label", "label_source", "group_key"]
    pool = corpus.scan().filter(pl.col("review_id").is_in(wanted.implode())).select(columns).collect()
    answered = pl.col("human").is_not_null()
    pool = pool.join(human, on="review_id", how="left", maintain_order="left").with_columns(
        label=pl.coalesce("human", "label"),
        label_source=pl.when(answered).then(pl.lit("human")).otherwise("label_source"),
        fold=folds_of(pool["group_key"].to_list()),
    )
    return pool.filter(pl.col("label").is_not_null()).drop("human", "group_key").sort("review_id")
