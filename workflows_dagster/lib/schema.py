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


def column(name: str, type_: pa.DataType, description: str, *, nullable: bool = True) -> pa.Field:
    """A column with what it holds: the Dagster UI shows the description, and the Parquet file carries it."""
    return pa.field(name, type_, nullable, {"description": description})


def description_of(field: pa.Field) -> str | None:
    """What a column holds; None where its table was not made with `column`."""
    found = (field.metadata or {}).get(b"description")
    return found.decode() if found else None


RAW_REVIEW: Final = pa.schema(
    [
        column(
            "review_id", pa.string(), "Source and its own id; without one, digest of source and text", nullable=False
        ),
        column("source", pa.string(), "Name of the source, as in sources.yaml", nullable=False),
        column("batch", pa.string(), "Batch of files that the review came in with", nullable=False),
        column("text", pa.string(), "What the customer wrote", nullable=False),
        column("stars", pa.int8(), "Rating, 1 to 5"),
        column("label", pa.string(), "negative, neutral or positive, where the source gives one"),
        column("language", pa.string(), "ISO 639 code: of sources.yaml, else identified in cleaning"),
        column("product_id", pa.string(), "The source's id of the product"),
        column("group_key", pa.string(), "Reviews with one key are all in the same split", nullable=False),
        column("created_at", pa.timestamp("us", tz="UTC"), "When it was written, UTC"),
        column("file", pa.string(), "File that it was read from", nullable=False),
        column("row", pa.int64(), "Number of its data row in the file, from 1", nullable=False),
    ]
)

CLEAN_REVIEW: Final = RAW_REVIEW.append(
    column("language_score", pa.float32(), "How sure the identified language is, 0 to 1; null where the source gave it")
).append(column("masked", pa.int32(), "Pieces of personal data that were masked in the text", nullable=False))

CORPUS_REVIEW: Final = pa.schema(
    [
        *(RAW_REVIEW.field(name) for name in ("review_id", "source", "batch", "text", "stars")),
        column("label", pa.string(), "negative, neutral or positive; null where there is none"),
        column("label_source", pa.string(), "Where the label is from: rating, given, human or synthetic"),
        *(RAW_REVIEW.field(name) for name in ("language", "product_id", "group_key", "created_at")),
        column("split", pa.string(), "train, validation or test; none where there is no label", nullable=False),
    ]
)

SYNTHETIC_REVIEW: Final = pa.schema(
    [
        *CORPUS_REVIEW,
        column("generator", pa.string(), "Generator and its model", nullable=False),
        column("prompt", pa.string(), "Recipe or prompt template, with its digest", nullable=False),
        column("seed", pa.int64(), "Seed of this text alone", nullable=False),
        column("parent_ids", pa.list_(pa.string()), "Reviews that the text rests on", nullable=False),
    ]
)

REJECT: Final = pa.schema(
    [
        *(RAW_REVIEW.field(name) for name in ("source", "batch")),
        column("review_id", pa.string(), "Null where the row could not be read at all"),
        column("file", pa.string(), "File that the row is in", nullable=False),
        column("row", pa.int64(), "Number of the data row, from 1; null where rows could not be told apart"),
        column("line", pa.int64(), "Line where the row starts, from 1; null for binary formats"),
        column("reason", pa.string(), "Why it was refused, from a closed list", nullable=False),
        column("detail", pa.string(), "What was given and what was expected"),
        column("excerpt", pa.string(), "The first characters of the row"),
    ]
)
