"""What the values of a cell mean: stars and dates as shops, scrapers and exports write them."""

import re
from datetime import UTC, datetime
from typing import Final
from unicodedata import normalize

import polars as pl

EPOCH_UNITS: Final = {"unix_s": 1_000_000, "unix_ms": 1_000}
"""Units of `created_at_format` that count from 1970, in microseconds."""

_EARLIEST_EPOCH_YEAR: Final = 1990
"""There were no reviews in the web before; a time in another unit is decades off."""

_NUMBER: Final = r"(?P<stars>\d(?:[.,]\d{1,2})?)"
_OF: Final = r"(?:out of|of|von|sur|su|de|van|av|af|z|z[eo]? |из|/)"
_WORD: Final = (
    r"(?:stars?|sternen?|[ée]toiles?|stelle|stella|estrellas?|estrelas?|sterren|stj[äa]rnor|gwiazdek|зв[её]зд)"
)
_STARS_TEXTS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        _NUMBER,
        rf"(?:rated |rating:? )?{_NUMBER} ?{_OF} ?5(?:[.,]0)?(?: {_WORD})?",
        rf"{_NUMBER} ?{_WORD}",
        rf"5つ星のうち ?{_NUMBER}",
        rf"{_NUMBER} ?(?:颗)?星(?:,? ?最多 ?5 ?颗星)?",
    )
)
_SIGNS: Final = re.compile(r"(?P<full>[★⭐✭✮🌟]{1,5})(?P<empty>[☆✩✰]{0,4})")
_SIGNS_IN_ALL: Final = 5
_LONGEST_STARS_CHARS: Final = 60


def stars(given: pl.Series) -> pl.Series:
    """The number that each text of a rating says, on a scale of 1 to 5; null where it says none beyond doubt."""
    numbers = given.cast(pl.Float64, strict=False)
    texts = given.filter(numbers.is_null()).drop_nulls().unique()
    read = {text: _stars(text) for text in texts if len(text) <= _LONGEST_STARS_CHARS}
    return numbers.fill_null(given.replace_strict(read, default=None, return_dtype=pl.Float64))


def _stars(text: str) -> float | None:
    # A sign may be followed by a mark that asks for its coloured form.
    plain = " ".join(normalize("NFKC", text).replace("\ufe0f", "").split())
    if signs := _SIGNS.fullmatch(plain):
        full, empty = len(signs["full"]), len(signs["empty"])
        return float(full) if not empty or full + empty == _SIGNS_IN_ALL else None
    for pattern in _STARS_TEXTS:
        if found := pattern.fullmatch(plain):
            return float(found["stars"].replace(",", "."))
    return None


def dates(given: pl.Series, written: str, latest_year: int | None = None) -> pl.Series:
    """UTC times; null where there is none or it cannot be read.

    Args:
        given: Dates as text.
        written: `created_at_format` of a source.
        latest_year: Last year of times that count from 1970. Unset: next year.
    """
    if written in EPOCH_UNITS:
        return _epoch(given.cast(pl.Float64, strict=False) * EPOCH_UNITS[written], latest_year)
    if written == "iso":
        return pl.Series([_iso(cell) for cell in given], dtype=pl.Datetime("us", "UTC"))
    try:
        parsed = given.str.to_datetime(written, time_unit="us", strict=False)
    except pl.exceptions.PolarsError:  # a pattern that polars does not take, such as one with an hour and no minute
        return pl.Series([_by_pattern(cell, written) for cell in given], dtype=pl.Datetime("us", "UTC"))
    in_zone = isinstance(parsed.dtype, pl.Datetime) and parsed.dtype.time_zone
    return parsed.dt.convert_time_zone("UTC") if in_zone else parsed.dt.replace_time_zone("UTC")


def require_pattern(pattern: str) -> None:
    """Checks that a pattern reads the dates that it writes.

    Raises:
        ValueError: It does not: it is none, or names no year.
    """
    sample = datetime(2021, 4, 3, 11, 22, 33, tzinfo=UTC)
    try:
        as_python = sample.strftime(pattern)
        as_polars = pl.Series([sample]).dt.strftime(pattern).to_list()
    except (ValueError, pl.exceptions.PolarsError):
        as_python, as_polars = sample.strftime(pattern), []
    read = dates(pl.Series([as_python, *as_polars], dtype=pl.String), pattern).drop_nulls()
    if "%" not in pattern or not any(one.year == sample.year for one in read):
        raise ValueError(f"{pattern} reads no date: expected iso, unix_s, unix_ms, or a pattern such as %d/%m/%Y %H:%M")


def _epoch(instants_us: pl.Series, latest_year: int | None) -> pl.Series:
    last = latest_year or datetime.now(UTC).year + 1
    earliest, end = (
        datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1_000_000 for year in (_EARLIEST_EPOCH_YEAR, last + 1)
    )
    within = ((instants_us >= earliest) & (instants_us < end)).fill_null(value=False)
    bounded = pl.select(pl.when(within).then(instants_us)).to_series()
    return bounded.round().cast(pl.Int64).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")


def _iso(cell: str | None) -> datetime | None:
    # A long run of digits is a count of seconds or the like, though its first eight may look like a date.
    if not cell or (cell.isdecimal() and len(cell) != len("20121025")):
        return None
    try:
        value = datetime.fromisoformat(cell)
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _by_pattern(cell: str | None, pattern: str) -> datetime | None:
    try:
        value = datetime.strptime(cell, pattern) if cell else None
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None
