"""Golden rows: a few test texts with the scores of the adapted model, which every later form of it must repeat."""

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from workflows_dagster.lib.artifact import write_table
from workflows_dagster.lib.finetuning.sampling import stratified
from workflows_dagster.lib.model.inference import Classifier, Values
from workflows_dagster.lib.schema import column

GOLDEN_FILE: Final = "golden.parquet"
GOLDEN_ROWS: Final = 64
GOLDEN: Final = pa.schema(
    [
        column("review_id", pa.string(), "The review", nullable=False),
        column("text", pa.string(), "Its text", nullable=False),
        column("label", pa.string(), "What it should be", nullable=False),
        column(
            "logits",
            pa.list_(pa.float32()),
            "Scores of negative, neutral and positive at full precision",
            nullable=False,
        ),
    ]
)


def write_golden(folder: Path, classifier: Classifier, test: pl.DataFrame, seed: int) -> None:
    """Writes golden.parquet: rows stratified by label and source, with the full-precision scores of the model."""
    rows = stratified(test, GOLDEN_ROWS, seed)
    scores = classifier.logits(rows["text"].to_list())
    table = rows.with_columns(logits=pl.Series(scores.tolist(), dtype=pl.List(pl.Float32)))
    write_table(folder / GOLDEN_FILE, table, GOLDEN)


def read_golden(folder: Path) -> tuple[list[str], Values]:
    """The texts, and the scores recorded for them, shape (texts, classes)."""
    table = pl.read_parquet(folder / GOLDEN_FILE, glob=False)
    return table["text"].to_list(), np.asarray(table["logits"].to_list(), dtype=np.float32)
