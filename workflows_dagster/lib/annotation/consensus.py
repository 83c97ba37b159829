"""The consensus of the answers to a review: its majority, and the label by the model of Dawid and Skene beside it."""

import warnings
from collections.abc import Sequence
from typing import Any, Final, Literal

import polars as pl
import pyarrow as pa

from workflows_dagster.lib.annotation.libraries import load
from workflows_dagster.lib.schema import LABELS, column

LABELS_FILE: Final = "labels.parquet"

PILOT_LABEL: Final = pa.schema(
    [
        column("review_id", pa.string(), "The review", nullable=False),
        column("label", pa.string(), "What people agreed on; null where the answers do not decide"),
        column("votes", pa.int32(), "Valid answers", nullable=False),
        column("agreeing", pa.int32(), "Answers for the label; without one, for the most frequent", nullable=False),
        column("annotators", pa.list_(pa.string()), "Who answered", nullable=False),
        column(
            "resolution",
            pa.string(),
            "What gave or refused the label: majority, dawid-skene, tie or uncertain",
            nullable=False,
        ),
        column("majority", pa.string(), "Label of the majority; null where the vote is tied"),
        column("dawid_skene", pa.string(), "Label by Dawid and Skene's model", nullable=False),
        column("posterior", pa.float64(), "Its probability by that model, 0 to 1", nullable=False),
    ]
)

EARLIER_FILE: Final = "earlier_labels.parquet"
"""Labels of earlier rounds, the last one of each review: columns of EARLIER_LABEL."""

EARLIER_LABEL: Final = PILOT_LABEL.append(
    column("round", pa.int32(), "The last round in which people answered it", nullable=False)
)

Method = Literal["majority", "majority, then dawid-skene", "dawid-skene"]
"""What gives the label: the majority alone, with Dawid and Skene's model for tied votes, or that model alone."""


def consensus(
    responses: pl.DataFrame, method: Method, minimum_posterior: float, labels: Sequence[str] = LABELS
) -> pl.DataFrame:
    """One row in the columns of PILOT_LABEL for each answered review, sorted by id.

    Args:
        responses: Columns review_id, annotator, label.
        method: What gives the label.
        minimum_posterior: A label of Dawid and Skene's model below it is none.
        labels: What could be answered, in its order.

    Raises:
        MissingExtraError: crowd-kit is not installed.
    """
    both = (
        majority(responses)
        .rename({"label": "majority"})
        .join(dawid_skene(responses, labels), on="review_id", how="left")
    )
    sure = pl.col("posterior") >= minimum_posterior
    modelled = pl.when(sure).then("dawid_skene")
    by_model = pl.when(sure).then(pl.lit("dawid-skene"))
    match method:
        case "majority":
            label, resolution = pl.col("majority"), pl.col("resolution")
        case "majority, then dawid-skene":
            label = pl.coalesce("majority", modelled)
            tied = pl.col("majority").is_null()
            resolution = pl.when(tied).then(by_model.otherwise(pl.lit("tie"))).otherwise("resolution")
        case "dawid-skene":
            label, resolution = modelled, by_model.otherwise(pl.lit("uncertain"))
    decided = both.with_columns(label=label, resolution=resolution)
    counts = responses.group_by("review_id", "label").agg(agreeing_=pl.len().cast(pl.Int32))
    decided = decided.join(counts, on=["review_id", "label"], how="left")
    # 0 for a label that nobody gave: by the model, everybody may be wrong.
    agreeing = pl.when(pl.col("label").is_null()).then("agreeing").otherwise(pl.col("agreeing_").fill_null(0))
    return decided.with_columns(agreeing=agreeing).select(PILOT_LABEL.names).sort("review_id")


def majority(responses: pl.DataFrame) -> pl.DataFrame:
    """Label, votes, agreeing, annotators and resolution (majority or tie) of each answered review, sorted by id.

    The label with the most votes wins; a tied vote gives none.

    Args:
        responses: Columns review_id, annotator, label.
    """
    counts = responses.group_by("review_id", "label").len("n")
    winners = counts.filter(pl.col("n") == pl.col("n").max().over("review_id"))
    first = winners.group_by("review_id").agg(
        tied=pl.len() > 1, winner=pl.col("label").first(), agreeing=pl.col("n").first()
    )
    voters = responses.group_by("review_id").agg(votes=pl.len(), annotators=pl.col("annotator").sort())
    return (
        voters.join(first, on="review_id")
        .select(
            "review_id",
            pl.when(~pl.col("tied")).then("winner").alias("label"),
            pl.col("votes").cast(pl.Int32),
            pl.col("agreeing").cast(pl.Int32),
            "annotators",
            pl.when("tied").then(pl.lit("tie")).otherwise(pl.lit("majority")).alias("resolution"),
        )
        .sort("review_id")
    )


def dawid_skene(responses: pl.DataFrame, labels: Sequence[str] = LABELS) -> pl.DataFrame:
    """The likeliest label of each answered review, and its posterior, by a model of the errors of each annotator.

    The order of the rows does not matter. The model assumes that the errors of two annotators on one review are
    independent, so its posterior is too high where a review is hard for everybody.

    Source: Dawid and Skene (1979), Maximum likelihood estimation of observer error-rates using the EM algorithm.

    Args:
        responses: Columns review_id, annotator, label.
        labels: What could be answered, in its order.

    Raises:
        MissingExtraError: crowd-kit is not installed.
    """
    schema = pl.Schema({"review_id": pl.String(), "dawid_skene": pl.String(), "posterior": pl.Float64()})
    if responses.is_empty():
        return schema.to_frame()
    aggregation = load("crowdkit.aggregation", "the consensus of Dawid and Skene")
    answers: Any = responses.sort("review_id", "annotator").select(task="review_id", worker="annotator", label="label")
    with warnings.catch_warnings():
        # crowd-kit 1.4 uses keywords that pandas 4 will drop.
        warnings.simplefilter("ignore", DeprecationWarning)
        fitted: Any = aggregation.DawidSkene().fit(answers.to_pandas())
    # In the order of the labels, so that of equal posteriors the same label wins whatever was answered first.
    posteriors = fitted.probas_.reindex(columns=list(labels), fill_value=0.0).sort_index()
    values = posteriors.to_numpy().round(6)
    return pl.DataFrame(
        {
            "review_id": posteriors.index.to_list(),
            "dawid_skene": [labels[place] for place in values.argmax(axis=1)],
            "posterior": values.max(axis=1),
        },
        schema=schema,
    )
