"""Turns the records of a source into reviews, column by column, and into rejects where a value is not acceptable."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.ingest.catalog import Source
from workflows_dagster.lib.ingest.reasons import RejectReason
from workflows_dagster.lib.ingest.records import EXCERPT_CHARS, Broken, Record
from workflows_dagster.lib.ingest.values import read_dates, read_labels, read_languages
from workflows_dagster.lib.schema import LABELS, REJECT

ID_CHARS = 24
_UNIT_SEPARATOR = "\x1f"
_REJECT_SCHEMA = {name: pl.Int64 if name in ("row", "line") else pl.String for name in REJECT.names}

_Cells = Sequence[str | None]


@dataclass(frozen=True)
class Mapped:
    """What became of some records.

    Attributes:
        reviews: Accepted rows, with the columns of RAW_REVIEW.
        rejects: Refused rows, with the columns of REJECT.
        dates_unreadable: Accepted rows whose date was there and could not be read: they are kept without it.
    """

    reviews: pl.DataFrame
    rejects: pl.DataFrame
    dates_unreadable: int


def map_records(records: Sequence[Record], broken: Sequence[Broken], source: Source, batch: str, file: str) -> Mapped:
    """The reviews and rejects that some rows of one file become, in the order of the file.

    Args:
        records: Rows that could be read; their cells are those of `source.columns.names()`.
        broken: Rows that could not.
        source: Says what the columns mean.
        batch: Key of the batch.
        file: Short name of the file.
    """
    frame = _frame(_Raw(records, source), source, batch, file).with_columns(reason=_verdict())
    kept = frame.filter(pl.col("reason").is_null())
    refused = _refused(frame.filter(pl.col("reason").is_not_null()), source)
    rejects = pl.concat([refused, _unread(broken, source, batch, file)]).sort("row")
    return Mapped(kept, rejects, kept["date_given"].count() - kept["created_at"].count())


class _Raw:
    """The cells of some records by column name."""

    def __init__(self, records: Sequence[Record], source: Source) -> None:
        names = source.columns.names()
        self.records = records
        columns = zip(*(record.cells for record in records), strict=True) if records else ([] for _ in names)
        self._columns: dict[str, _Cells] = dict(zip(names, columns, strict=True))
        self._nothing: _Cells = [None] * len(records)

    def cells(self, name: str | None) -> _Cells:
        """The cells of a column; nothing in every row where the source has no such column."""
        return self._nothing if name is None else self._columns[name]

    def series(self, name: str | None) -> pl.Series:
        """The cells without the blanks around them; null where nothing is left."""
        cells = pl.Series(self.cells(name), dtype=pl.String).str.strip_chars()
        return cells.set(cells == "", None)


def _frame(raw: _Raw, source: Source, batch: str, file: str) -> pl.DataFrame:
    columns = source.columns
    stars, label, date = (raw.series(name) for name in (columns.stars, columns.label, columns.created_at))
    text = _text(raw, source)
    ids = _review_ids(raw.series(columns.id), text, source, file)
    return pl.DataFrame(
        {
            "review_id": ids,
            "text": text,
            "stars_given": stars,
            "stars": stars.cast(pl.Float64, strict=False),
            "label_given": label,
            "label": read_labels(label, source),
            "language": read_languages(raw.series(columns.language), source),
            "product_id": raw.series(columns.product),
            "group_key": _group_keys(raw, ids, source),
            "date_given": date,
            "created_at": read_dates(date, source.created_at_format),
            "row": pl.Series([record.row for record in raw.records], dtype=pl.Int64),
            "line": pl.Series([record.line for record in raw.records], dtype=pl.Int64),
        }
    ).with_columns(source=pl.lit(source.name), batch=pl.lit(batch), file=pl.lit(file))


def _text(raw: _Raw, source: Source) -> pl.Series:
    """The review as it stands, the title before it; null where there is nothing but blanks."""
    text = pl.Series("text", raw.cells(source.columns.text), dtype=pl.String)
    text = text.set(text.str.strip_chars() == "", None)
    if source.columns.title is None:
        return text
    title = raw.series(source.columns.title)
    return pl.select(
        pl.when(title.is_null() | text.is_null()).then(text).otherwise(pl.concat_str(title, text, separator="\n"))
    ).to_series()


def _review_ids(own: pl.Series, text: pl.Series, source: Source, file: str) -> pl.Series:
    """`<source>:<own id>`, or `<source>:~<digest of the text>`: equal texts without an id are one review."""
    scope = f"{source.name}:{file}:" if source.id_scope == "file" else f"{source.name}:"
    return pl.Series(
        [
            f"{scope}{value}" if value is not None else f"{source.name}:~{digest_text(source.name, content)[:ID_CHARS]}"
            for value, content in zip(own, text.fill_null(""), strict=True)
        ],
        dtype=pl.String,
    )


def _group_keys(raw: _Raw, ids: pl.Series, source: Source) -> pl.Series:
    """`<namespace>:<digest>` of the first of these that a row has: its group columns, product, author, itself.

    Digests, because a group may be a person, and so that keys of one namespace have one form.
    """
    columns = source.columns
    kinds = {"group": columns.group, "product": (columns.product,), "author": (columns.author,)}
    named = [
        pl.concat_str(pl.lit(kind), *(raw.series(name) for name in names), separator=_UNIT_SEPARATOR)
        for kind, names in kinds.items()
        if any(name is not None for name in names)
    ]
    itself = pl.concat_str(pl.lit("review"), ids, separator=_UNIT_SEPARATOR)
    groups = pl.select(pl.coalesce(*named, itself)).to_series()
    keys = {name: f"{source.namespace}:{digest_text(name)[:ID_CHARS]}" for name in groups.unique()}
    return groups.replace_strict(keys, return_dtype=pl.String)


def _verdict() -> pl.Expr:
    """The first reason that speaks against a row, or null."""
    stars = pl.col("stars")
    invalid_stars = pl.col("stars_given").is_not_null() & ~(
        stars.is_between(1, 5) & (stars == stars.round())
    ).fill_null(value=False)
    return (
        pl.when(pl.col("text").is_null())
        .then(pl.lit(RejectReason.MISSING_TEXT.value))
        .when(invalid_stars)
        .then(pl.lit(RejectReason.INVALID_STARS.value))
        .when(pl.col("label_given").is_not_null() & pl.col("label").is_null())
        .then(pl.lit(RejectReason.UNKNOWN_LABEL.value))
    )


def _refused(frame: pl.DataFrame, source: Source) -> pl.DataFrame:
    """Rejects of rows that were read but are not acceptable."""
    reason, labels = pl.col("reason"), list(source.labels) or list(LABELS)
    wanted_label = "a number" if source.label_thresholds else f"one of {labels}"
    return frame.select(
        *("source", "batch", "review_id", "file", "row", "line", "reason"),
        pl.when(reason == RejectReason.MISSING_TEXT.value)
        .then(pl.lit(f"column {source.columns.text!r} is empty: expected the review"))
        .when(reason == RejectReason.INVALID_STARS.value)
        .then(pl.format("{}: expected a whole number from 1 to 5", _shortened("stars_given")))
        .otherwise(pl.concat_str(_shortened("label_given"), pl.lit(f": expected {wanted_label}")))
        .alias("detail"),
        pl.col("text").str.slice(0, EXCERPT_CHARS).alias("excerpt"),
    )


def _shortened(column: str) -> pl.Expr:
    """Cells no longer than an excerpt: a column that is mapped wrongly may hold whole texts."""
    return pl.col(column).str.slice(0, EXCERPT_CHARS)


def _unread(broken: Iterable[Broken], source: Source, batch: str, file: str) -> pl.DataFrame:
    """Rejects of rows that could not be read."""
    # In a row that fell apart nobody knows which part is the author's name.
    withheld = source.columns.author is not None
    rows = [
        (source.name, batch, None, file, row, line, reason.value, detail, None if withheld else text)
        for row, line, reason, detail, text in broken
    ]
    return pl.DataFrame(rows, schema=_REJECT_SCHEMA, orient="row")
