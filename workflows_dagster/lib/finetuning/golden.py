"""Golden rows: a few test texts with the scores of the adapted model, which every later form of it must repeat."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from workflows_dagster.lib.artifact import write_table
from workflows_dagster.lib.finetuning.classifier import logits
from workflows_dagster.lib.finetuning.sampling import stratified
from workflows_dagster.lib.finetuning.settings import FineTuningSettings
from workflows_dagster.lib.finetuning.tokens import encode

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


def write_golden(folder: Path, model: Any, tokenizer: Any, test: pl.DataFrame, settings: FineTuningSettings) -> None:
    """Writes golden.parquet: rows stratified by label and source, with the model's full-precision scores."""
    rows = stratified(test, GOLDEN_ROWS, settings.seed)
    scores = golden_logits(model, tokenizer, rows["text"].to_list(), settings.max_length)
    table = rows.with_columns(logits=pl.Series(scores.tolist(), dtype=pl.List(pl.Float32)))
    write_table(folder / GOLDEN_FILE, table, GOLDEN)


def golden_logits(model: Any, tokenizer: Any, texts: list[str], max_length: int) -> npt.NDArray[np.float32]:
    """Scores of texts, shape (texts, classes)."""
    tokens, _ = encode(tokenizer, texts, max_length)
    return logits(model, tokenizer, tokens, batch_size=16, stage="scoring the golden rows")


def read_golden(folder: Path) -> tuple[list[str], npt.NDArray[np.float32]]:
    """The texts, and the scores recorded for them, shape (texts, classes)."""
    table = pl.read_parquet(folder / GOLDEN_FILE)
    return table["text"].to_list(), np.asarray(table["logits"].to_list(), dtype=np.float32)
