"""Which reviews people are asked about: stratified, in part at random and in part what teaches most."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.annotation.consensus import EARLIER_FILE, EARLIER_LABEL
from workflows_dagster.lib.annotation.drawing import Draw, draw_test, draw_train, split_rows
from workflows_dagster.lib.annotation.embedding import Vectors, embed
from workflows_dagster.lib.annotation.informative import pick
from workflows_dagster.lib.annotation.rounds import Opening, Scorer
from workflows_dagster.lib.annotation.scoring import Judgement, score
from workflows_dagster.lib.annotation.strata import STRATUM, allocate, first_of_each, in_order, sizes_of, with_stratum
from workflows_dagster.lib.artifact import Artifact, write_report, write_table
from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.schema import CORPUS_REVIEW

PILOT_FILE: Final = "pilot.parquet"
VECTORS_FILE: Final = "vectors.parquet"
ANSWERED_FILE: Final = "answered.parquet"

PILOT_REVIEW: Final = pa.schema(
    [
        *CORPUS_REVIEW,
        pa.field("stratum", pa.string(), nullable=False),  # label/source/language
        pa.field("pick", pa.string(), nullable=False),  # random, disputed, suspect, disagrees, uncertain, diverse
        pa.field("pick_score", pa.float64()),  # what it was picked for, 0-1; null at random; reasons do not compare
        pa.field("weight", pa.float64()),  # rows of its split and stratum that a random row stands for; else null
        pa.field("suggestion", pa.string()),  # the weak label
        pa.field("suggestion_score", pa.float64()),  # what the scorer gives it (0-1); null without a scorer
        pa.field("suggestion_agent", pa.string()),  # where the label is from, and what scored it
    ]
)
VECTOR: Final = pa.schema(
    [
        pa.field("review_id", pa.string(), nullable=False),
        pa.field("vector", pa.list_(pa.float32()), nullable=False),  # of length 1; zero for a text without words
    ]
)
ANSWERED: Final = pa.schema(
    [
        pa.field("review_id", pa.string(), nullable=False),
        pa.field("round", pa.int32(), nullable=False),  # the last one in which people answered it
    ]
)


_FIRST: Final = Opening()


class PilotSettings(BaseModel):
    """How the pilot is drawn.

    Human labels serve two ends. In the train split they correct what the model learns from; in the test split they
    form the gold rows that it is judged on, drawn at random alone. Validation keeps its weak labels: it only picks a
    checkpoint.
    """

    model_config = ConfigDict(frozen=True)

    rows: int = Field(default=100, ge=1, le=10_000, description="Reviews that people are asked about.")
    test_ratio: float = Field(
        default=0.5, ge=0, le=1, description="Part of them drawn from the test split (gold rows); the rest from train."
    )
    seed: int = Field(default=20, ge=0, description="Draws within a stratum: by digest of seed and review id.")
    random_ratio: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Part of the train rows drawn at random too, at least; the others are those that teach most.",
    )
    language_ratio: float = Field(
        default=0.02, ge=0, le=1, description="Share of the reviews below which languages form one stratum together."
    )
    scorer: Scorer = Field(
        default="released, else words",
        description="What judges weak labels: the model of the release in force when the round begins (released), one "
        "of counted words made on the spot (words), or nothing (none).",
    )
    embedding: str = Field(
        default="words",
        description="Vectors for variety and similarity search: counted words (words), or an encoder: embedded:minilm, "
        "a local folder, or org/name@revision.",
    )
    diversity: float = Field(
        default=0.3, ge=0, le=1, description="Weight of being unlike what is chosen already, against the model's doubt."
    )
    max_candidates: int = Field(
        default=5_000, ge=1, description="Train rows, drawn at random, among which informative ones are looked for."
    )
    round: int | None = Field(
        default=None,
        ge=1,
        description="Number of the round. Unset: the one under way. The next one begins with what people disputed, and "
        "asks nothing again that they agreed on.",
    )


@dataclass(frozen=True)
class PilotReport:
    """The sample that was drawn.

    Attributes:
        pilot: Columns of PILOT_REVIEW.
        available: Labelled reviews of train and test that it was drawn from.
        scored: Reviews that a model judged.
        judgement: What judged them.
        opening: The round.
        settings: How it was drawn.
    """

    pilot: pl.DataFrame
    available: int
    scored: int
    judgement: Judgement
    opening: Opening
    settings: PilotSettings

    def to_metadata(self) -> dict[str, object]:
        """The sample as flat metadata."""
        return {
            "dagster/row_count": self.pilot.height,
            "annotation/round": self.opening.number,
            "annotation/candidate_rows": self.available,
            "annotation/scored_rows": self.scored,
            "annotation/scorer": f"{self.judgement.agent or 'none'}: {self.judgement.note}",
            "annotation/embedding": self.settings.embedding,
            "annotation/rows_by_split": _counts(self.pilot["split"]),
            "annotation/rows_by_pick": _counts(self.pilot["pick"]),
            "annotation/rows_by_stratum": _counts(self.pilot["stratum"]),
        }

    def to_record(self) -> dict[str, object]:
        """The sample as a JSON object; its `scorer` is what the round goes on with."""
        released = self.opening.released
        return {
            "round": self.opening.number,
            "rows": self.pilot.height,
            "splits": _counts(self.pilot["split"]),
            "picks": _counts(self.pilot["pick"]),
            "strata": _counts(self.pilot["stratum"]),
            "candidates": self.available,
            "scored": self.scored,
            "scorer": {
                "asked": self.settings.scorer,
                "release": released.tag if released else None,
                "agent": self.judgement.agent,
                "note": self.judgement.note,
            },
            "embedding": self.settings.embedding,
            "seed": self.settings.seed,
            "language_ratio": self.settings.language_ratio,
            "earlier_rounds": {str(one.number): one.labels.commit for one in self.opening.earlier},
        }


def build_pilot_sample(
    corpus: Artifact, settings: PilotSettings, folder: Path, opening: Opening = _FIRST
) -> PilotReport:
    """Writes the pilot, its vectors, what people said before, and the report.

    Raises:
        NotEnoughDataError: No labelled review of train or test is left to ask.
        ModelReferenceError: The embedding names nothing that can be loaded.
        MissingExtraError: A library of the scorer or the embedding is not installed.
    """
    reviews, answered = labelled(corpus.scan(), settings.language_ratio, settings.seed), opening.answered()
    at_test, train = _drawn(corpus.asset, reviews, answered, opening.listed(), settings)
    drawn = pl.concat([at_test, train.rows])
    pool = _pool(corpus, reviews, pl.concat([drawn["review_id"], _capped(train, settings.max_candidates)]))
    judgement = score(pool, opening, settings.scorer)
    vectors = embed(pool["text"].to_list(), settings.embedding)
    pool = pl.concat([pool, judgement.table], how="horizontal")
    chosen = pl.concat([drawn, _informative(pool, vectors, drawn, train, settings.diversity)])
    pilot = _described(pool, chosen, judgement.agent)
    report = PilotReport(pilot, reviews.height, pool.height, judgement, opening, settings)
    write_table(folder / PILOT_FILE, pilot, PILOT_REVIEW)
    write_table(folder / VECTORS_FILE, _vectors_of(pilot, pool, vectors), VECTOR)
    write_table(folder / ANSWERED_FILE, answered, ANSWERED)
    write_table(folder / EARLIER_FILE, opening.labels(), EARLIER_LABEL)
    write_report(folder, report.to_record())
    return report


def labelled(corpus: pl.LazyFrame, language_ratio: float, seed: int) -> pl.DataFrame:
    """Columns review_id, split and stratum of the labelled reviews of train and test, in the order of the draw.

    Args:
        corpus: Columns of CORPUS_REVIEW.
        language_ratio: As in PilotSettings.
        seed: As in PilotSettings.
    """
    columns = ["review_id", "split", *STRATUM]
    kept = (pl.col("split").is_in(["train", "test"]), pl.col("label").is_not_null())
    reviews = with_stratum(corpus.filter(*kept).select(columns).collect(), language_ratio)
    return in_order(reviews.select("review_id", "split", "stratum"), seed)


def _drawn(
    asset: str, reviews: pl.DataFrame, answered: pl.DataFrame, listed: pl.DataFrame, settings: PilotSettings
) -> tuple[pl.DataFrame, Draw]:
    """The test rows, and the draw of the train rows, from what nobody answered and what is to be asked once more."""
    fresh = reviews.join(answered, on="review_id", how="anti", maintain_order="left")
    listed = listed.join(reviews.filter(pl.col("split") == "train"), on="review_id", how="semi")
    if fresh.is_empty() and listed.is_empty():
        raise NotEnoughDataError(
            "no review can be put before annotators",
            given=f"{asset} with {reviews.height} labelled rows in train or test, {answered.height} rows answered",
            expected="labelled rows that nobody answered",
            remedy="add a source with stars or labels, or check the label mapping of sources.yaml",
        )
    again = listed.join(answered, on="review_id", how="semi")["review_id"].n_unique()
    train, test = (fresh.filter(pl.col("split") == split) for split in ("train", "test"))
    available = {"train": train.height + again, "test": test.height}
    sizes = split_rows(available, settings.rows, settings.test_ratio)
    return draw_test(test, sizes["test"]), draw_train(train, listed, sizes["train"], settings.random_ratio)


def _capped(train: Draw, most: int) -> pl.Series:
    """Ids of the candidates that are looked at, drawn by stratum: the texts of a large corpus are never all held."""
    return first_of_each(train.candidates, allocate(sizes_of(train.candidates), most))["review_id"]


def _pool(corpus: Artifact, reviews: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
    """Columns of CORPUS_REVIEW and stratum, sorted by id, so that the corpus' order does not matter."""
    rows = corpus.scan().filter(pl.col("review_id").is_in(ids.implode())).collect()
    return rows.join(reviews.select("review_id", "stratum"), on="review_id").sort("review_id")


def _informative(
    pool: pl.DataFrame, vectors: Vectors, drawn: pl.DataFrame, train: Draw, diversity: float
) -> pl.DataFrame:
    """Columns of DRAWN of what is picked from the candidates beside what is drawn."""
    is_drawn = pool["review_id"].is_in(drawn["review_id"].implode()).to_numpy()
    picked = pick(pool.filter(~is_drawn), vectors[~is_drawn], vectors[is_drawn], train.seats, diversity)
    return picked.with_columns(weight=pl.lit(None, pl.Float64))


def _described(pool: pl.DataFrame, chosen: pl.DataFrame, agent: str | None) -> pl.DataFrame:
    """Columns of PILOT_REVIEW of the chosen rows, sorted by id."""
    scored_by = pl.concat_str("label_source", pl.lit(f", scored by {agent}" if agent else ""))
    return (
        pool.join(chosen, on="review_id")
        .sort("review_id")
        .select(
            *CORPUS_REVIEW.names,
            "stratum",
            "pick",
            "pick_score",
            "weight",
            suggestion="label",
            suggestion_score="confidence",
            suggestion_agent=scored_by,
        )
    )


def _vectors_of(pilot: pl.DataFrame, pool: pl.DataFrame, vectors: Vectors) -> pl.DataFrame:
    places = np.flatnonzero(pool["review_id"].is_in(pilot["review_id"].implode()).to_numpy())
    return pl.DataFrame({"review_id": pool["review_id"][places], "vector": vectors[places].tolist()})


def _counts(values: pl.Series) -> Mapping[str, int]:
    return {str(value): count for value, count in values.value_counts().sort(values.name).iter_rows()}
