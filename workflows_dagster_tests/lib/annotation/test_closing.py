"""When a round is closed."""

from datetime import UTC, datetime, timedelta

import pytest

from workflows_dagster.lib.annotation.closing import Closing, closing_of
from workflows_dagster.lib.annotation.desk import RoundStatus

REQUESTED = datetime(2026, 3, 1, 12, tzinfo=UTC)


def status(answered: int, requested_at: datetime | None = REQUESTED, missing: int = 0) -> RoundStatus:
    return RoundStatus("r1", "files", "here", 10, answered, answered, 0, missing=missing, requested_at=requested_at)


@pytest.mark.parametrize(
    ("closing", "answered", "days", "closes"),
    [
        (Closing(), 10, 0, True),
        (Closing(), 9, 1000, False),
        (Closing(7, 0.8), 10, 0, True),
        (Closing(7, 0.8), 8, 6.99, False),
        (Closing(7, 0.8), 8, 7, True),
        (Closing(7, 0.8), 7, 7, False),
        (Closing(7, 0.8), 0, 1000, False),
    ],
)
def test_round_closes_when_complete_or_late_with_enough(
    closing: Closing, answered: int, days: float, closes: bool
) -> None:
    assert closing.closes(status(answered), REQUESTED + timedelta(days=days)) == closes


def test_unknown_time_of_request_never_closes() -> None:
    assert not Closing(1, 0.1).closes(status(9, requested_at=None), REQUESTED + timedelta(days=1000))


def test_sentence_names_progress_place_deadline_and_what_is_missing() -> None:
    assert Closing(7, 0.8).sentence(status(3, missing=2)) == (
        "3 of 10 reviews are answered in here; 2 are not there: materialize the request again; "
        "from 2026-03-08 12:00 UTC on 80% will do"
    )
    assert Closing().sentence(status(10)) == "10 of 10 reviews are answered in here"


def test_record_is_read_back_and_an_old_one_has_no_deadline() -> None:
    assert closing_of({"closing": Closing(7, 0.8).to_record()}) == Closing(7, 0.8)
    assert closing_of({}) == Closing(None, 1.0)
