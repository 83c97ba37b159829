"""What is worth asking next: reviews that people judge differently, and labels that look wrong."""

from typing import Final

import polars as pl
import pyarrow as pa

NEXT_ROUND_FILE: Final = "next_round.parquet"

DISAGREEMENT: Final = "disagreement"
WEAK_LABEL_SUSPECT: Final = "weak_label_suspect"
HUMAN_LABEL_SUSPECT: Final = "human_label_suspect"

NEXT_ROUND: Final = pa.schema(
    [
        pa.field("review_id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),  # disagreement, weak_label_suspect, human_label_suspect
        pa.field("score", pa.float64(), nullable=False),  # 0-1 within its reason; scores of two reasons do not compare
    ]
)


def candidates(responses: pl.DataFrame, suspects: pl.DataFrame) -> pl.DataFrame:
    """Rows in the columns of NEXT_ROUND, by reason and then the highest score first; a review may have two reasons.

    Args:
        responses: Columns review_id, annotator, label.
        suspects: Columns of SUSPECT.
    """
    by_people = pl.col("label_source") == "human"
    reason = pl.when(by_people).then(pl.lit(HUMAN_LABEL_SUSPECT)).otherwise(pl.lit(WEAK_LABEL_SUSPECT))
    looked_wrong = suspects.select("review_id", reason=reason, score="score")
    rows = pl.concat([disagreements(responses), looked_wrong])
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
