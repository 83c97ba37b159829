"""The columns that travel between stages: one Arrow schema per kind of table."""

from typing import Final

import pyarrow as pa

NEGATIVE: Final = "negative"
NEUTRAL: Final = "neutral"
POSITIVE: Final = "positive"
LABELS: Final = (NEGATIVE, NEUTRAL, POSITIVE)
"""The classes, in the order of the classifier's outputs: index = class id."""

SPLITS: Final = ("train", "validation", "test", "none")
LABEL_SOURCES: Final = ("rating", "given", "human", "synthetic")

RAW_REVIEW: Final = pa.schema(
    [
        pa.field("review_id", pa.string(), nullable=False),  # source and its own id, else digest of source and text
        pa.field("source", pa.string(), nullable=False),
        pa.field("batch", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("stars", pa.int8()),  # 1-5
        pa.field("label", pa.string()),  # one of LABELS, only where the source gives one
        pa.field("language", pa.string()),  # ISO 639; from sources.yaml, else identified while cleaning
        pa.field("product_id", pa.string()),
        pa.field("group_key", pa.string(), nullable=False),  # rows with one key never straddle splits
        pa.field("created_at", pa.timestamp("us", tz="UTC")),
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),  # 1-based number of the data row in its file
    ]
)

CLEAN_REVIEW: Final = RAW_REVIEW.append(pa.field("language_score", pa.float32())).append(
    pa.field("masked", pa.int32(), nullable=False)  # pieces of personal data that were masked in this row
)

CORPUS_REVIEW: Final = pa.schema(
    [
        pa.field("review_id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("batch", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("stars", pa.int8()),
        pa.field("label", pa.string()),
        pa.field("label_source", pa.string()),  # one of LABEL_SOURCES, null where there is no label
        pa.field("language", pa.string()),
        pa.field("product_id", pa.string()),
        pa.field("group_key", pa.string(), nullable=False),
        pa.field("created_at", pa.timestamp("us", tz="UTC")),
        pa.field("split", pa.string(), nullable=False),  # one of SPLITS; "none" where there is no label
    ]
)

SYNTHETIC_REVIEW: Final = (
    CORPUS_REVIEW.append(pa.field("generator", pa.string(), nullable=False))
    .append(pa.field("prompt", pa.string(), nullable=False))
    .append(pa.field("seed", pa.int64(), nullable=False))
    .append(pa.field("parent_ids", pa.list_(pa.string()), nullable=False))
)

REJECT: Final = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("batch", pa.string(), nullable=False),
        pa.field("review_id", pa.string()),  # null where the row could not be read at all
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64()),  # 1-based data row, null where rows could not be told apart
        pa.field("line", pa.int64()),  # 1-based physical line where it starts, null for binary formats
        pa.field("reason", pa.string(), nullable=False),  # snake_case, from a closed list of the stage
        pa.field("detail", pa.string()),  # what was given and what was expected
        pa.field("excerpt", pa.string()),  # the first characters of the offending row
    ]
)
