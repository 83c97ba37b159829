"""Quality apart for each source, language and length, and the worst misses: what a mean over all rows hides."""

from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.finetuning.adapter import BASELINE_PREDICTIONS_FILE, TEST_PREDICTIONS_FILE
from workflows_dagster.lib.metrics import TOO_FEW_ROWS, Estimate
from workflows_dagster.lib.model.quality import macro_f1_by

FEW_ROWS: Final = 100
"""Rows below which the interval of a score is wide and itself uncertain."""

LENGTHS: Final = ((10, "up to 10 words"), (30, "11 to 30 words"), (80, "31 to 80 words"))
LONGEST: Final = "over 80 words"
WORST: Final = 10
_EXCERPT: Final = 400

Kind = Literal["source", "language", "length"]
KINDS: Final[tuple[Kind, ...]] = ("source", "language", "length")


@dataclass(frozen=True)
class Slice:
    """The test rows that have one property in common.

    Attributes:
        kind: The property.
        name: Its value.
        rows: Rows.
        right: Rows that the model gives their label.
        model: Macro-F1 of the model over the classes that occur.
        baseline: The same of the linear baseline.
    """

    kind: Kind
    name: str
    rows: int
    right: int
    model: Estimate
    baseline: Estimate

    @property
    def few(self) -> bool:
        """Whether its interval is wide and itself uncertain."""
        return self.rows < FEW_ROWS

    @property
    def too_few(self) -> bool:
        """Whether its interval says nothing: the count of right rows is told instead."""
        return self.rows < TOO_FEW_ROWS


@dataclass(frozen=True)
class Miss:
    """A test row with another label than the model gives it.

    Its text is that of a review: it belongs in files that the store can forget, never in a record or in Markdown.

    Attributes:
        text: The beginning of the review, personal data masked.
        label: The label it has.
        origin: Where that label comes from: stars, the source or people.
        predicted: The label that the model gives.
        probability: How probable the model calls that.
        language: Its language, or None.
        source: Its source.
    """

    text: str
    label: str
    origin: str
    predicted: str
    probability: float
    language: str | None
    source: str


def judged_rows(adapter: Artifact, reviews: Artifact) -> pl.DataFrame:
    """The test rows with what the model and the baseline predict, their text and stars, sorted by review_id.

    Args:
        adapter: lora_adapter.
        reviews: augmented_reviews, which it was trained and judged on.
    """
    predictions = adapter.scan(TEST_PREDICTIONS_FILE)
    linear = adapter.scan(BASELINE_PREDICTIONS_FILE).select("review_id", predicted_by_baseline="predicted")
    texts = reviews.scan().select("review_id", "text", "stars")
    joined = predictions.join(linear, on="review_id", how="left").join(texts, on="review_id", how="left")
    return joined.sort("review_id").collect()


def slices(tested: pl.DataFrame) -> tuple[Slice, ...]:
    """Quality by source, language (the most frequent first) and length (the shortest first)."""
    rows = tested.with_columns(
        language=pl.col("language").fill_null("und").replace("und", "undetermined"), length=_length()
    )
    by_baseline = rows.with_columns(predicted="predicted_by_baseline")
    found: list[Slice] = []
    for kind in KINDS:
        right = rows.group_by(kind).agg((pl.col("label") == pl.col("predicted")).sum().alias("right"))
        counts: dict[str, int] = dict(right.iter_rows())
        model, baseline = macro_f1_by(rows, kind), macro_f1_by(by_baseline, kind)
        one_kind = [Slice(kind, name, score.n, counts[name], score, baseline[name]) for name, score in model.items()]
        found += sorted(one_kind, key=_order)
    return tuple(found)


def worst_misses(tested: pl.DataFrame) -> tuple[Miss, ...]:
    """The test rows that the model gets wrong while it is most sure, the surest first."""
    wrong = tested.filter(pl.col("label") != pl.col("predicted")).with_columns(
        probability=pl.col("probabilities").list.max()
    )
    worst = wrong.sort("probability", "review_id", descending=[True, False]).head(WORST)
    return tuple(
        Miss(
            text=_excerpt(row["text"]),
            label=row["label"],
            origin=_origin(row["label_source"], row["stars"]),
            predicted=row["predicted"],
            probability=row["probability"],
            language=row["language"],
            source=row["source"],
        )
        for row in worst.iter_rows(named=True)
    )


def _length() -> pl.Expr:
    words = pl.col("text").str.count_matches(r"\S+")
    length = pl.lit(LONGEST)
    for most, name in reversed(LENGTHS):
        length = pl.when(words <= most).then(pl.lit(name)).otherwise(length)
    return length


def _order(one: Slice) -> tuple[int, str]:
    match one.kind:
        case "source":
            return 0, one.name
        case "language":
            return -one.rows, one.name
        case "length":
            return [*(name for _, name in LENGTHS), LONGEST].index(one.name), ""


def _origin(label_source: str, stars: int | None) -> str:
    match label_source:
        case "rating" if stars is not None:
            return f"{stars} {'star' if stars == 1 else 'stars'}"
        case "human":
            return "by people"
        case _:
            return "by the source"


def _excerpt(text: str) -> str:
    whole = " ".join(text.split())
    return whole if len(whole) <= _EXCERPT else whole[: _EXCERPT - 1].rsplit(" ", 1)[0] + "…"
