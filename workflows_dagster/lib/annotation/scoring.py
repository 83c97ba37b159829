"""What a model makes of weak labels: that of the deployed release where there is one, or one of counted words."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from workflows_dagster.lib.annotation.active_learning import JUDGED, judge
from workflows_dagster.lib.annotation.rounds import Opening, Scorer
from workflows_dagster.lib.annotation.word_model import folds_of, out_of_fold
from workflows_dagster.lib.release.prediction import ReleasedModel
from workflows_dagster.lib.release.releases import Release
from workflows_dagster.lib.schema import LABELS

_THREADS: Final = 2


@dataclass(frozen=True)
class Judgement:
    """What was made of the weak labels of some reviews.

    Attributes:
        table: Columns of JUDGED, in the order of the reviews; null where nothing judged.
        agent: Name of what judged, or None.
        note: What a reader has to know about it.
    """

    table: pl.DataFrame
    agent: str | None
    note: str


def score(reviews: pl.DataFrame, opening: Opening, asked: Scorer) -> Judgement:
    """The weak labels of reviews, judged by what the opening names.

    Args:
        reviews: Columns review_id, text, label, group_key and split, sorted by id.
        opening: The round that is drawn.
        asked: What was asked to judge.

    Raises:
        IntegrityError: The released model is not the one that was released.
        MissingExtraError: A library is not installed.
    """
    if asked == "none":
        return _nothing(reviews, "no model was asked to judge: rows are picked for their variety alone")
    if opening.released and opening.store:
        return _by_release(reviews, opening, opening.released)
    return _by_words(reviews)


def _by_release(reviews: pl.DataFrame, opening: Opening, found: Release) -> Judgement:
    if opening.store is None:
        raise RuntimeError("an opening with a release knows its store")
    predictions = ReleasedModel.open(opening.store, found, _THREADS).predict(reviews["text"].to_list())
    probabilities = np.array([[one.probabilities[label] for label in LABELS] for one in predictions])
    # What a model was trained on it hardly contradicts; which rows those were is not asked here.
    note = f"the model of {found.tag}, which may have been trained on these labels: it disagrees less than it should"
    return Judgement(judge(probabilities, _class_ids(reviews, LABELS)), found.tag, note)


def _by_words(reviews: pl.DataFrame) -> Judgement:
    folds = folds_of(reviews["group_key"].to_list())
    learn = (reviews["split"] == "train").to_numpy()
    spread = reviews.with_columns(fold=folds).filter(learn).group_by("label").agg(pl.col("fold").n_unique())
    present = [label for label in LABELS if label in set(reviews["label"])]
    if len(present) < 2 or spread.height < len(present) or spread["fold"].min() == 1:
        given = dict(reviews["label"].value_counts().sort("label").iter_rows())
        return _nothing(reviews, f"no model can be fitted to {given}: rows are picked for their variety alone")
    class_ids = _class_ids(reviews, present)
    probabilities = out_of_fold(reviews["text"].to_list(), class_ids, folds, learn)
    note = "a stand-in: logistic regression on counted words, each row judged by one that saw no row of its group"
    return Judgement(judge(probabilities, class_ids), "words", note)


def _nothing(reviews: pl.DataFrame, note: str) -> Judgement:
    empty = pl.DataFrame({name: [None] * reviews.height for name in JUDGED}, schema=JUDGED)
    return Judgement(empty, None, note)


def _class_ids(
    reviews: pl.DataFrame, labels: "tuple[str, ...] | list[str]"
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([labels.index(label) for label in reviews["label"]], dtype=np.int64)
