"""The test rows that artefacts are tried and measured on."""

import polars as pl

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.hashing import digest_text

COLUMNS = ("review_id", "source", "language", "text", "label", "label_source")


def held_out_rows(reviews: Artifact, limit: int) -> pl.DataFrame:
    """At most `limit` labelled test rows, the same ones whatever the order of the table, sorted by review_id.

    They are the first by digest of their id, so a smaller limit gives a subset of a larger one.

    Args:
        reviews: Holds reviews.parquet with the columns of CORPUS_REVIEW.
        limit: Most rows.

    Raises:
        NotEnoughDataError: The test split holds no labelled row.
    """
    rows = reviews.scan().filter(pl.col("split") == "test", pl.col("label").is_not_null())
    ids = rows.select("review_id").collect()["review_id"].to_list()
    if not ids:
        raise NotEnoughDataError(
            "there is nothing to test a model on",
            given="0 labelled rows in the test split",
            expected="at least 1",
            remedy="ingest more reviews, or look at why their labels are missing",
        )
    chosen = sorted(ids, key=lambda review_id: digest_text("test rows", review_id))[:limit]
    return rows.filter(pl.col("review_id").is_in(chosen)).select(COLUMNS).sort("review_id").collect()
