"""Golden rows: a few test texts with the scores of the adapted model, which every later form of it must repeat."""

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from workflows_dagster.lib.artifact import write_table
from workflows_dagster.lib.finetuning.sampling import stratified
from workflows_dagster.lib.model.inference import Classifier, Values

GOLDEN_FILE: Final = "golden.parquet"
GOLDEN_ROWS: Final = 64
GOLDEN: Final = pa.schema(
    [
        pa.field("review_id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("logits", pa.list_(pa.float32()), nullable=False),  # in the order of LABELS
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
    table = pl.read_parquet(folder / GOLDEN_FILE)
    return table["text"].to_list(), np.asarray(table["logits"].to_list(), dtype=np.float32)
