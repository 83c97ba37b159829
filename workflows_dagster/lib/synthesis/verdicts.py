"""What people decided of each synthetic row that they saw, and which corrected texts take the place of rows."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import polars as pl
import pyarrow as pa

from workflows_dagster.lib.annotation.consensus import majority
from workflows_dagster.lib.annotation.desk import Responses
from workflows_dagster.lib.cleaning.clean import clean_texts
from workflows_dagster.lib.cleaning.settings import CleaningSettings
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.schema import SYNTHETIC_REVIEW
from workflows_dagster.lib.synthesis.review_request import FIX, KEEP
from workflows_dagster.lib.synthesis.rules import Refusal

VERDICTS_FILE: Final = "verdicts.parquet"
CORRECTED: Final = "corrected by people"
"""What is added to the name of a generator where people changed its text."""


class Outcome(StrEnum):
    """What becomes of a row that people answered."""

    KEPT = "kept"
    FIXED = "fixed"
    REJECTED = "rejected"
    UNDECIDED = "undecided"
    NO_CORRECTION = "no_correction"
    CORRECTION_REFUSED = "correction_refused"


VERDICT: Final = pa.schema(
    [
        pa.field("review_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),  # what the row is meant as
        pa.field("source", pa.string(), nullable=False),
        pa.field("verdict", pa.string()),  # keep, fix, reject; null where the vote is tied
        pa.field("votes", pa.int32(), nullable=False),
        pa.field("agreeing", pa.int32(), nullable=False),
        pa.field("annotators", pa.list_(pa.string()), nullable=False),
        pa.field("correction", pa.string()),  # cleaned and masked, where the verdict is fix and somebody wrote one
        pa.field("corrected_id", pa.string()),  # the row of the corrected text
        pa.field("outcome", pa.string(), nullable=False),  # of Outcome
        pa.field("detail", pa.string()),  # why a correction is refused
    ]
)


def decide(responses: Responses, rows: pl.DataFrame) -> pl.DataFrame:
    """The verdict of the majority on each answered row, with its correction; columns of VERDICT less the outcome.

    Where several people wrote a correction, the one that most of them wrote is taken, and of as many the first by
    alphabet.

    Args:
        responses: What people answered; their reasons are the corrected texts.
        rows: Columns of SYNTHETIC_REVIEW; answers to other rows are left aside.
    """
    voted = majority(responses.table).rename({"label": "verdict"}).drop("resolution")
    fixing = responses.table.filter(pl.col("label") == FIX).select("review_id", "annotator")
    written = (
        responses.reasons.join(fixing, on=["review_id", "annotator"])
        .group_by("review_id", "reason")
        .len()
        .sort(["len", "reason"], descending=[True, False])
        .unique("review_id", keep="first", maintain_order=True)
    )
    written = written.select("review_id", correction=clean_texts(written["reason"], CleaningSettings()).texts)
    fix = pl.col("verdict") == FIX
    return (
        rows.select("review_id", "label", "source")
        .join(voted, on="review_id")
        .join(written, on="review_id", how="left")
        .with_columns(correction=pl.when(fix & (pl.col("correction") != "")).then("correction"))
        .sort("review_id")
    )


def corrected_rows(decided: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of the corrected texts, with the id of the row that each takes the place of as `corrected`.

    All else is that of the row itself: parents, prompt, seed and class, so that the same rules judge it.
    """
    fixed = rows.join(decided.select("review_id", "correction").drop_nulls(), on="review_id")
    generators = [f"{name}, {CORRECTED}" for name in fixed["generator"]]
    texts = zip(generators, fixed["label"], fixed["correction"], fixed["review_id"], strict=True)
    ids = pl.Series([f"synthetic:{digest_text(*parts)[:24]}" for parts in texts], dtype=pl.String)
    return fixed.with_columns(
        corrected=pl.col("review_id"),
        review_id=ids,
        text=pl.col("correction"),
        generator=pl.Series(generators, dtype=pl.String),
    ).select("corrected", *SYNTHETIC_REVIEW.names)


def with_outcome(decided: pl.DataFrame, corrected: pl.DataFrame, refusals: Mapping[str, Refusal]) -> pl.DataFrame:
    """Columns of VERDICT.

    Args:
        decided: Of `decide`.
        corrected: Of `corrected_rows`.
        refusals: Why corrected rows may not be trained on, by their id.
    """
    said = {review_id: f"{refusal.reason.value}: {refusal.detail}" for review_id, refusal in refusals.items()}
    links = corrected.select(review_id="corrected", corrected_id="review_id").with_columns(
        detail=pl.col("corrected_id").replace_strict(said, default=None, return_dtype=pl.String)
    )
    verdict = pl.col("verdict")
    outcome = (
        pl.when(verdict.is_null())
        .then(pl.lit(Outcome.UNDECIDED))
        .when(verdict == KEEP)
        .then(pl.lit(Outcome.KEPT))
        .when(verdict != FIX)
        .then(pl.lit(Outcome.REJECTED))
        .when(pl.col("correction").is_null())
        .then(pl.lit(Outcome.NO_CORRECTION))
        .when(pl.col("detail").is_not_null())
        .then(pl.lit(Outcome.CORRECTION_REFUSED))
        .otherwise(pl.lit(Outcome.FIXED))
    )
    return decided.join(links, on="review_id", how="left").with_columns(outcome=outcome).sort("review_id")
