"""The pilot: reviews that people are asked about, stratified, in part at random and in part those that teach most."""

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.annotation.active_learning import pick
from workflows_dagster.lib.annotation.consensus import EARLIER_FILE, EARLIER_LABEL
from workflows_dagster.lib.annotation.embedding import Vectors, embed
from workflows_dagster.lib.annotation.records import PilotSample, Scorer, ScorerUsed
from workflows_dagster.lib.annotation.rounds import Opening
from workflows_dagster.lib.annotation.scoring import score
from workflows_dagster.lib.annotation.strata import (
    STRATUM,
    TrainDraw,
    allocate,
    draw_test,
    draw_train,
    first_of_each,
    in_order,
    sizes_of,
    split_rows,
    with_stratum,
)
from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.schema import CORPUS_REVIEW, column

PILOT_FILE: Final = "pilot.parquet"
VECTORS_FILE: Final = "vectors.parquet"
ANSWERED_FILE: Final = "answered.parquet"

PILOT_REVIEW: Final = pa.schema(
    [
        *CORPUS_REVIEW,
        column("stratum", pa.string(), "Label, source and language", nullable=False),
        column(
            "pick",
            pa.string(),
            "Why it was picked: random, disputed, suspect, disagrees, uncertain or diverse",
            nullable=False,
        ),
        column("pick_score", pa.float64(), "0 to 1 within its reason; null at random"),
        column("weight", pa.float64(), "Rows of its split and stratum that a random row stands for"),
        column("suggestion", pa.string(), "The weak label, shown to annotators"),
        column("suggestion_score", pa.float64(), "Its probability by the scorer, 0 to 1; null without a scorer"),
        column("suggestion_agent", pa.string(), "Source of the label, and what scored it"),
    ]
)
VECTOR: Final = pa.schema(
    [
        column("review_id", pa.string(), "The review", nullable=False),
        column("vector", pa.list_(pa.float32()), "Of length 1; zero for a text without words", nullable=False),
    ]
)
ANSWERED: Final = pa.schema(
    [
        column("review_id", pa.string(), "The review", nullable=False),
        column("round", pa.int32(), "The last round in which people answered it", nullable=False),
    ]
)


_FIRST: Final = Opening()


class PilotSettings(BaseModel):
    """How the pilot is drawn.

    Human labels have two uses. In the train split they correct what the model learns from; in the test split they are
    the gold rows that it is judged on, drawn at random alone. Validation keeps its weak labels: it only picks a
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
        description="Least part of the train rows that is drawn at random; the others are those that teach most.",
    )
    language_ratio: float = Field(
        default=0.02, ge=0, le=1, description="Share of the reviews below which languages form one stratum together."
    )
    scorer: Scorer = Field(
        default="released, else words",
        description="What judges weak labels: the model that is deployed when the round begins (released), one of "
        "counted words fitted on the spot (words), or nothing (none).",
    )
    embedding: str = Field(
        default="words",
        description="Vectors for variety and similarity search: counted words (words), or an encoder: embedded:e5, "
        "embedded:minilm, a local folder, or org/name@revision.",
    )
    diversity: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Weight of dissimilarity to the chosen rows, against the score of the scorer.",
    )
    max_candidates: int = Field(
        default=5_000, ge=1, description="Train rows, drawn at random, among which informative ones are looked for."
    )
    round: int | None = Field(
        default=None,
        ge=1,
        description="Number of the round. Unset: the one under way. The next one begins with what people disputed, and "
        "does not ask again what they agreed on.",
    )


def build_pilot_sample(
    corpus: Artifact, settings: PilotSettings, folder: Path, opening: Opening = _FIRST
) -> PilotSample:
    """Writes the pilot, its vectors, the answers of earlier rounds, and the record.

    Raises:
        NotEnoughDataError: No labelled review of train or test is left to ask.
        ModelReferenceError: The embedding names nothing that can be loaded.
        MissingExtraError: A library of the scorer or the embedding is not installed.
    """
    reviews, answered = labelled(corpus.scan(), settings.language_ratio, settings.seed), opening.answered()
    at_test, train = _drawn(corpus.asset, reviews, answered, opening.listed(), settings)
    drawn = pl.concat([at_test, train.rows])
    # The candidates are drawn by stratum: the texts of a large corpus are never all in memory.
    seats = allocate(sizes_of(train.candidates), settings.max_candidates)
    looked_at = first_of_each(train.candidates, seats)["review_id"]
    pool = _pool(corpus, reviews, pl.concat([drawn["review_id"], looked_at]))
    judgement = score(pool, opening, settings.scorer)
    vectors = embed(pool["text"].to_list(), settings.embedding)
    pool = pl.concat([pool, judgement.table], how="horizontal")
    chosen = pl.concat([drawn, _informative(pool, vectors, drawn, train, settings.diversity)])
    pilot = _described(pool, chosen, judgement.agent)
    record = PilotSample(
        round=opening.number,
        rows=pilot.height,
        splits=count_values(pilot["split"]),
        picks=count_values(pilot["pick"]),
        strata=count_values(pilot["stratum"]),
        candidates=reviews.height,
        scored=pool.height,
        scorer=ScorerUsed(
            asked=settings.scorer,
            release=opening.released.tag if opening.released else None,
            agent=judgement.agent,
            note=judgement.note,
        ),
        embedding=settings.embedding,
        seed=settings.seed,
        language_ratio=settings.language_ratio,
        earlier_rounds={one.number: one.labels.commit for one in opening.earlier},
    )
    places = np.flatnonzero(pool["review_id"].is_in(pilot["review_id"].implode()).to_numpy())
    of_pilot = pl.DataFrame({"review_id": pool["review_id"][places], "vector": vectors[places].tolist()})
    write_table(folder / PILOT_FILE, pilot, PILOT_REVIEW)
    write_table(folder / VECTORS_FILE, of_pilot, VECTOR)
    write_table(folder / ANSWERED_FILE, answered, ANSWERED)
    write_table(folder / EARLIER_FILE, opening.labels(), EARLIER_LABEL)
    record.write(folder)
    return record


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
) -> tuple[pl.DataFrame, TrainDraw]:
    """The test rows, and the draw of the train rows, from reviews that nobody answered and those to ask again."""
    fresh = reviews.join(answered, on="review_id", how="anti", maintain_order="left")
    listed = listed.join(reviews.filter(pl.col("split") == "train"), on="review_id", how="semi")
    if fresh.is_empty() and listed.is_empty():
        raise NotEnoughDataError(
            "there is no review to ask annotators about",
            given=f"{asset} with {reviews.height} labelled rows in train or test, {answered.height} rows answered",
            expected="labelled rows that nobody answered",
            remedy="add a source with stars or labels, or check the label mapping of sources.yaml",
        )
    again = listed.join(answered, on="review_id", how="semi")["review_id"].n_unique()
    train, test = (fresh.filter(pl.col("split") == split) for split in ("train", "test"))
    available = {"train": train.height + again, "test": test.height}
    sizes = split_rows(available, settings.rows, settings.test_ratio)
    return draw_test(test, sizes["test"]), draw_train(train, listed, sizes["train"], settings.random_ratio)


def _pool(corpus: Artifact, reviews: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
    """Columns of CORPUS_REVIEW and stratum, sorted by id, so that the corpus' order does not matter."""
    rows = corpus.scan().filter(pl.col("review_id").is_in(ids.implode())).collect()
    return rows.join(reviews.select("review_id", "stratum"), on="review_id").sort("review_id")


def _informative(
    pool: pl.DataFrame, vectors: Vectors, drawn: pl.DataFrame, train: TrainDraw, diversity: float
) -> pl.DataFrame:
    """Columns of DRAWN: the rows that are picked from the candidates beside the drawn ones."""
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


def count_values(values: pl.Series) -> dict[str, int]:
    """How often each value occurs, in its order."""
    return {str(value): count for value, count in values.value_counts().sort(values.name).iter_rows()}
