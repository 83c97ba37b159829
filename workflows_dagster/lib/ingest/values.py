"""What raw values stand for: labels, languages and dates, whole columns at once."""

from datetime import UTC, datetime

import polars as pl

from workflows_dagster.lib.ingest.catalog import Source
from workflows_dagster.lib.schema import LABELS

_EPOCH_UNITS = {"unix_s": 1_000_000, "unix_ms": 1_000}
_EARLIEST_US = int(datetime(1, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_LATEST_US = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * 1_000_000


def read_labels(given: pl.Series, source: Source) -> pl.Series:
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


def read_languages(given: pl.Series, source: Source) -> pl.Series:
    """ISO 639 codes, of locales such as en-US their first part; null where it is none."""
    if source.columns.language is None:
        return pl.Series([source.language] * len(given), dtype=pl.String)
    return given.str.to_lowercase().str.extract(r"^([a-z]{2,3})(?:[-_].*)?$")


def read_dates(given: pl.Series, written: str) -> pl.Series:
    """UTC times; null where there is none or it cannot be read.

    Args:
        given: The cells.
        written: iso, unix_s, unix_ms, or a strptime pattern.
    """
    if written in _EPOCH_UNITS:
        return _epoch(given.cast(pl.Float64, strict=False) * _EPOCH_UNITS[written])
    if written == "iso":
        return pl.Series([_iso(cell) for cell in given], dtype=pl.Datetime("us", "UTC"))
    parsed = given.str.to_datetime(written, time_unit="us", strict=False)
    in_zone = isinstance(parsed.dtype, pl.Datetime) and parsed.dtype.time_zone
    return parsed.dt.convert_time_zone("UTC") if in_zone else parsed.dt.replace_time_zone("UTC")


def _epoch(instants_us: pl.Series) -> pl.Series:
    within = instants_us.is_between(_EARLIEST_US, _LATEST_US).fill_null(value=False)
    bounded = pl.select(pl.when(within).then(instants_us)).to_series()
    return bounded.round().cast(pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _iso(cell: str | None) -> datetime | None:
    try:
        value = datetime.fromisoformat(cell) if cell else None
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None
