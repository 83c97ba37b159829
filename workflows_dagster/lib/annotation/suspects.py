"""Reviews whose label is likely wrong: a model that has not seen them is sure of another one (confident learning)."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from workflows_dagster.lib.annotation.libraries import load
from workflows_dagster.lib.annotation.word_model import folds_of, out_of_fold
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.schema import LABELS

SUSPECT: Final = pl.Schema({"review_id": pl.String(), "label_source": pl.String(), "score": pl.Float64()})


@dataclass(frozen=True)
class Suspects:
    """Reviews whose label is likely wrong.

    Attributes:
        table: Columns of SUSPECT, the worst first; the score is 1 less what the model gives the label (0-1).
        looked_at: Labelled reviews that were judged.
        found: Those among them that confident learning counts as errors, before the list was cut.
        note: Why nothing was judged, or None.
    """

    table: pl.DataFrame
    looked_at: int = 0
    found: int = 0
    note: str | None = None


def find_suspects(corpus: Artifact, human: pl.DataFrame, pool_rows: int, most: int) -> Suspects:
    """The suspects among a fixed draw of the corpus, with the labels of people in place of weak ones.

    Rows of one group (product, author) are judged by a model that saw none of them.

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
    is_error, quality = _confident_learning(class_ids, probabilities)
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


def _confident_learning(
    class_ids: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64]
) -> tuple[pl.Series, npt.NDArray[np.float64]]:
    """Whether each label counts as an error, and how well it fits (0-1)."""
    select, rank = (load(f"cleanlab.{name}", "the search for wrong labels") for name in ("filter", "rank"))
    is_error = select.find_label_issues(class_ids, probabilities, n_jobs=1)
    return pl.Series(is_error, dtype=pl.Boolean), rank.get_label_quality_scores(class_ids, probabilities)
