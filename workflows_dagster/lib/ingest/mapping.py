"""Turns the rows of a file into reviews, whole columns at once, and into rejects where a value is not acceptable."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.ingest.rows import EXCERPT_CHARS, BrokenRow, RejectReason, Row
from workflows_dagster.lib.ingest.source import Source
from workflows_dagster.lib.ingest.values import dates
from workflows_dagster.lib.ingest.values import stars as read_stars
from workflows_dagster.lib.schema import LABELS, REJECT

ID_CHARS: Final = 24
_UNIT_SEPARATOR: Final = "\x1f"
_OTHER_SCALE: Final = "; for another scale, map the column as label, with labels or label_thresholds"
_REJECT_SCHEMA: Final = {name: pl.Int64 if name in ("row", "line") else pl.String for name in REJECT.names}


@dataclass(frozen=True)
class Mapped:
    """What became of some rows.

    Attributes:
        reviews: Accepted rows, with the columns of RAW_REVIEW.
        rejects: Refused rows, with the columns of REJECT.
        dates_unreadable: Accepted rows whose date was there and could not be read: they are kept without it.
    """

    reviews: pl.DataFrame
    rejects: pl.DataFrame
    dates_unreadable: int


def map_rows(rows: Sequence[Row | BrokenRow], source: Source, batch: str, file: str) -> Mapped:
    """The reviews and rejects that some rows of one file become, in the order of the file.

    Args:
        rows: Their cells are those of `source.columns.names()`.
        source: Says what the columns mean.
        batch: Key of the batch.
        file: Short name of the file.
    """
    whole = [row for row in rows if isinstance(row, Row)]
    broken = [row for row in rows if isinstance(row, BrokenRow)]
    frame = _frame(_Cells(whole, source), source, batch, file).with_columns(reason=_verdict())
    kept = frame.filter(pl.col("reason").is_null())
    refused = _refused(frame.filter(pl.col("reason").is_not_null()), source)
    rejects = pl.concat([refused, _unread(broken, source, batch, file)]).sort("row")
    return Mapped(kept, rejects, kept["date_given"].count() - kept["created_at"].count())


class _Cells:
    """The cells of some rows by column name."""

    def __init__(self, rows: Sequence[Row], source: Source) -> None:
        names = source.columns.names()
        self.rows = rows
        columns = zip(*(row.cells for row in rows), strict=True) if rows else ([] for _ in names)
        self._columns: dict[str, Sequence[str | None]] = dict(zip(names, columns, strict=True))

    def as_given(self, name: str | None) -> pl.Series:
        """The cells of a column; null in every row where the source has no such column."""
        return pl.Series([None] * len(self.rows) if name is None else self._columns[name], dtype=pl.String)

    def stripped(self, name: str | None) -> pl.Series:
        """The cells without the blanks around them; null where nothing is left."""
        cells = self.as_given(name).str.strip_chars()
        return cells.set(cells == "", None)


def _frame(cells: _Cells, source: Source, batch: str, file: str) -> pl.DataFrame:
    columns = source.columns
    stars, label, date = (cells.stripped(name) for name in (columns.stars, columns.label, columns.created_at))
    text = _text(cells, source)
    ids = _review_ids(cells.stripped(columns.id), text, source, file)
    return pl.DataFrame(
        {
            "review_id": ids,
            "text": text,
            "stars_given": stars,
            "stars": read_stars(stars),
            "label_given": label,
            "label": _labels(label, source),
            "language": _languages(cells.stripped(columns.language), source),
            "product_id": cells.stripped(columns.product),
            "group_key": _group_keys(cells, ids, source),
            "date_given": date,
            "created_at": dates(date, source.created_at_format),
            "row": pl.Series([row.row for row in cells.rows], dtype=pl.Int64),
            "line": pl.Series([row.line for row in cells.rows], dtype=pl.Int64),
        }
    ).with_columns(source=pl.lit(source.name), batch=pl.lit(batch), file=pl.lit(file))


def _text(cells: _Cells, source: Source) -> pl.Series:
    """The review as it stands, the title before it; null where there is nothing but blanks."""
    text = cells.as_given(source.columns.text)
    if source.text_prefix:
        text = text.str.replace(rf"^\s*{pl.escape_regex(source.text_prefix)}\s*", "")
    if source.text_suffix:
        text = text.str.replace(rf"\s*{pl.escape_regex(source.text_suffix)}\s*$", "")
    text = text.set(text.str.strip_chars() == "", None)
    if source.columns.title is None:
        return text
    title = cells.stripped(source.columns.title)
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


def _group_keys(cells: _Cells, ids: pl.Series, source: Source) -> pl.Series:
    """`<namespace>:<digest>` of the first of these that a row has: its group columns, product, author, itself.

    Digests, because a group may be a person, and so that keys of one namespace have one form.
    """
    columns = source.columns
    kinds = {"group": columns.group, "product": (columns.product,), "author": (columns.author,)}
    named = [
        pl.concat_str(pl.lit(kind), *(cells.stripped(name) for name in names), separator=_UNIT_SEPARATOR)
        for kind, names in kinds.items()
        if any(name is not None for name in names)
    ]
    itself = pl.concat_str(pl.lit("review"), ids, separator=_UNIT_SEPARATOR)
    groups = pl.select(pl.coalesce(*named, itself)).to_series()
    keys = {name: f"{source.namespace}:{digest_text(name)[:ID_CHARS]}" for name in groups.unique()}
    return groups.replace_strict(keys, return_dtype=pl.String)


def _labels(given: pl.Series, source: Source) -> pl.Series:
    """The labels that the source's own values stand for; null where they stand for none."""
    if source.label_thresholds is None:
        return given.replace_strict(
            source.labels or {name: name for name in LABELS}, default=None, return_dtype=pl.String
        )
    cuts, score = source.label_thresholds, given.cast(pl.Float64, strict=False)
    return pl.select(
        pl.when(score.is_null() | score.is_nan())
        .then(None)
        .when(score < cuts.negative_below)
        .then(pl.lit("negative"))
        .when(score > cuts.positive_above)
        .then(pl.lit("positive"))
        .otherwise(pl.lit("neutral"))
    ).to_series()


def _languages(given: pl.Series, source: Source) -> pl.Series:
    """ISO 639 codes; of a locale such as en-US the first part; null where the value is neither."""
    if source.columns.language is None:
        return pl.Series([source.language] * len(given), dtype=pl.String)
    return given.str.to_lowercase().str.extract(r"^([a-z]{2,3})(?:[-_].*)?$")


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
        .then(pl.format("{}: expected a whole number from 1 to 5{}", _shortened("stars_given"), pl.lit(_OTHER_SCALE)))
        .otherwise(pl.concat_str(_shortened("label_given"), pl.lit(f": expected {wanted_label}")))
        .alias("detail"),
        pl.col("text").str.slice(0, EXCERPT_CHARS).alias("excerpt"),
    )


def _shortened(column: str) -> pl.Expr:
    """Cells no longer than an excerpt: a column that is mapped wrongly may hold whole texts."""
    return pl.col(column).str.slice(0, EXCERPT_CHARS)


def _unread(broken: Sequence[BrokenRow], source: Source, batch: str, file: str) -> pl.DataFrame:
    """Rejects of rows that could not be read."""
    # In a row that fell apart nobody knows which part is the author's name.
    withheld = source.columns.author is not None
    rows = [
        (source.name, batch, None, file, row, line, reason.value, detail, None if withheld else text)
        for row, line, reason, detail, text in broken
    ]
    return pl.DataFrame(rows, schema=_REJECT_SCHEMA, orient="row")
