"""Made-up synthetic rows."""

from typing import Any

import polars as pl

from workflows_dagster.lib.schema import SYNTHETIC_REVIEW

DEFAULTS = {
    "source": "shop",
    "batch": "synthetic",
    "label": "neutral",
    "label_source": "synthetic",
    "language": "en",
    "group_key": "g",
    "split": "train",
    "generator": "tests",
    "prompt": "p",
    "seed": 1,
    "parent_ids": ["shop:1"],
}


def synthetic_rows(*rows: dict[str, Any]) -> pl.DataFrame:
    """Columns of SYNTHETIC_REVIEW; each row names its id, its text and what differs from DEFAULTS."""
    schema = pl.DataFrame(SYNTHETIC_REVIEW.empty_table()).schema
    return pl.DataFrame([DEFAULTS | row for row in rows], schema=schema)
