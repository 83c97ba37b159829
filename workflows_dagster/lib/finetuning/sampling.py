"""Which rows are trained and judged on, and how much each class counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl

from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.finetuning.settings import FineTuningSettings
from workflows_dagster.lib.schema import LABELS
from workflows_dagster.lib.synthesis.sentences import split_sentences

_NEUTRAL_SENTENCE: Final = 0.5

COLUMNS: Final = ("review_id", "source", "language", "group_key", "label", "label_source", "text")


@dataclass(frozen=True)
class Rows:
    """The rows of each split, with the columns `COLUMNS`, and how many there were to choose from."""

    train: pl.DataFrame
    validation: pl.DataFrame
    test: pl.DataFrame
    available: dict[str, int]

    def splits(self) -> dict[str, pl.DataFrame]:
        """The three tables by the name of their split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def choose_rows(reviews: pl.LazyFrame, settings: FineTuningSettings) -> Rows:
    """The labelled rows of each split, at most as many as the settings allow; independent of the order of rows.

    Rows that people labelled are few and come first: no limit above their number leaves one out.

    Raises:
        NotEnoughDataError: A split has no labelled row, or training rows lack a class.
    """
    limits = {
        "train": settings.max_train_rows,
        "validation": settings.max_validation_rows,
        "test": settings.max_test_rows,
    }
    labelled = reviews.filter(pl.col("label").is_not_null())
    chosen: dict[str, pl.DataFrame] = {}
    available: dict[str, int] = {}
    for split, limit in limits.items():
        of_split = labelled.filter(pl.col("split") == split)
        # The texts of a large corpus do not fit in memory; what decides about a row does.
        keys = of_split.select("review_id", "label", "source", "label_source").collect(engine="streaming")
        kept = _human_first(keys, limit, settings.seed).select("review_id")
        available[split] = keys.height
        chosen[split] = (
            of_split.select(COLUMNS).join(kept.lazy(), on="review_id", how="semi").collect().sort("review_id")
        )
        _require_rows(chosen[split], split)
    _require_classes(chosen["train"])
    return Rows(chosen["train"], chosen["validation"], chosen["test"], available)


def stratified(rows: pl.DataFrame, limit: int, seed: int) -> pl.DataFrame:
    """At most `limit` rows with the shares of label and source that all of them have, sorted by review_id.

    Args:
        rows: A table with `review_id`, `label` and `source`.
        limit: Rows to keep at most.
        seed: Seed of the choice.
    """
    ordered = rows.sort("review_id")
    if ordered.height <= limit:
        return ordered
    draw = pl.Series("_draw", np.random.default_rng(seed).random(ordered.height))
    stratum = ("label", "source")
    # Rows at the same depth of their strata come together: any first part of that order is stratified.
    depth = (pl.col("_draw").rank("ordinal").over(stratum) - 0.5) / pl.len().over(stratum)
    return (
        ordered.with_columns(draw)
        .with_columns(_depth=depth)
        .sort("_depth", "_draw")
        .head(limit)
        .drop("_draw", "_depth")
        .sort("review_id")
    )


def _human_first(rows: pl.DataFrame, limit: int, seed: int) -> pl.DataFrame:
    by_people = pl.col("label_source") == "human"
    human = stratified(rows.filter(by_people), limit, seed)
    return pl.concat([human, stratified(rows.filter(~by_people), limit - human.height, seed)])


def sentence_rows(train: pl.DataFrame, weight: float) -> pl.DataFrame:
    """The sentences of the training rows that have several, with columns text, label and weight.

    A classifier of whole reviews has seen few short texts. The sentences of a review do not all say what it says: they
    count less than a review, and those of neutral reviews, which are often for and against in turn, half of that.

    Args:
        train: Training rows.
        weight: Of one sentence, before it is divided by the root of their number in its review; 0 gives no rows.
    """
    rows: list[tuple[str, str, float]] = []
    for text, label in train.select("text", "label").iter_rows() if weight else ():
        sentences = [sentence for sentence in split_sentences(text) if len(sentence.split()) > 1]
        if len(sentences) > 1:
            each = weight / len(sentences) ** 0.5 * (_NEUTRAL_SENTENCE if label == "neutral" else 1)
            rows.extend((sentence, label, each) for sentence in sentences)
    return pl.DataFrame(rows, schema={"text": pl.String, "label": pl.String, "weight": pl.Float32}, orient="row")


def class_weights(counts: Sequence[int], scheme: Literal["none", "sqrt", "balanced"]) -> list[float]:
    """The weight of each class in the loss, such that the mean weight of a training row is 1.

    Args:
        counts: Training rows of each class, all above 0.
        scheme: Equal weights, the inverse root of the frequency, or its inverse.
    """
    power = {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}[scheme]
    numbers = np.asarray(counts, dtype=float)
    weights = numbers**-power
    return (weights * numbers.sum() / (weights * numbers).sum()).tolist()


def _require_rows(rows: pl.DataFrame, split: str) -> None:
    if rows.is_empty():
        raise NotEnoughDataError(
            f"no labelled rows in the {split} split",
            given=f"0 rows with split {split!r} and a label",
            expected="at least one; the splits are 80/10/10 by group",
            remedy="add labelled sources, or raise --limit",
        )


def _require_classes(train: pl.DataFrame) -> None:
    missing = sorted(set(LABELS) - set(train["label"].unique()))
    if missing:
        raise NotEnoughDataError(
            "a class has no training row",
            given=f"no {' and no '.join(missing)} in {train.height} rows",
            expected=f"rows of each of {LABELS}",
            remedy="add sources that have this class, or raise max_train_rows",
        )
