"""Stars and dates as they are written: one case for each form, and forms that say nothing beyond doubt."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.ingest.values import dates, require_pattern, stars

FORMS = ("{}", "{}.0", "{},0", " {} ", "{}/5", "{} / 5", "{}.0 out of 5 stars", "{} of 5", "Rated {} out of 5",
         "Rating: {}/5", "{},0 von 5 Sternen", "{},0 sur 5 étoiles", "{},0 su 5 stelle", "{},0 de 5 estrellas",
         "{} z 5 gwiazdek", "{},0 из 5 звёзд", "5つ星のうち{}.0", "{}.0 颗星\uff0c最多 5 颗星", "{} stars", "{} Sterne",
         "\uff15つ星のうち{}")  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_stars_are_read_in_the_words_of_shops(form: str) -> None:
    assert stars(pl.Series([form.format(number) for number in range(1, 6)])).to_list() == [1, 2, 3, 4, 5]


def test_stars_are_counted_where_they_are_signs() -> None:
    written = ["★★★★☆", "★☆☆☆☆", "⭐⭐⭐", "⭐\ufe0f⭐\ufe0f", "★★★★★", None]
    assert stars(pl.Series(written)).to_list() == [4, 1, 3, 2, 5, None]


@pytest.mark.parametrize(
    "written",
    ["8/10", "4/4", "4 bis 5", "4 or 5", "4-5", "★★★☆", "★★★★★★", "5 out of 5 people liked it", "five", "1,000",
     "90%", "", "4 of 50", "14 of 5", "☆☆☆☆☆", "4 out of 5 stars out of 5"],
)  # fmt: skip
def test_rating_that_may_mean_something_else_is_none(written: str) -> None:
    assert stars(pl.Series([written])).to_list() == [None]


@given(st.integers(0, 9), st.text("bcdfghjkmpq", min_size=2), st.sampled_from(["{0} {1}", "{1} {0}", "{0} {1} 5"]))
def test_number_among_other_words_is_no_rating(number: int, word: str, form: str) -> None:
    assert stars(pl.Series([form.format(number, word)])).to_list() == [None]


@pytest.mark.parametrize(
    ("written", "cell", "expected"),
    [
        ("unix_ms", "1362355200", None),  # seconds: January 1970
        ("unix_s", "1362355200000", None),  # milliseconds: the year 45141
        ("unix_s", "631152000", datetime(1990, 1, 1, tzinfo=UTC)),
        ("unix_s", "631151999", None),
        ("iso", "1510123000000", None),
        ("iso", "20121025", datetime(2012, 10, 25, tzinfo=UTC)),
        ("iso", "0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
        ("iso", "9999-12-31", datetime(9999, 12, 31, tzinfo=UTC)),
        ("iso", "2021-02-30", None),
        ("%Y-%m-%d %H", "2021-04-03 11", datetime(2021, 4, 3, 11, tzinfo=UTC)),
        ("%Y-%m-%d %H", "soon", None),
        ("%d/%m/%Y", "03/04/2021", datetime(2021, 4, 3, tzinfo=UTC)),
    ],
)
def test_date_is_read_or_none(written: str, cell: str, expected: datetime | None) -> None:
    assert dates(pl.Series([cell, None]), written).to_list() == [expected, None]


def test_time_after_the_last_year_is_none() -> None:
    written = ["1798761599", "1798761600"]  # the last second of 2026, and the next
    read = dates(pl.Series(written), "unix_s", latest_year=2026).to_list()
    assert read == [datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), None]


@pytest.mark.parametrize(
    "pattern", ["%d/%m/%Y", "%Y-%m-%d %H", "%b %d, %Y", "%Y-%m-%dT%H:%M:%S%.f", "%y%m%d", "%d %B %Y"]
)
def test_pattern_that_reads_what_it_writes_is_accepted(pattern: str) -> None:
    require_pattern(pattern)


@pytest.mark.parametrize("pattern", ["DD/MM/YYYY", "%H:%M", "100%", "%", "%q %Y", "yesterday"])
def test_pattern_that_reads_no_date_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="reads no date"):
        require_pattern(pattern)
