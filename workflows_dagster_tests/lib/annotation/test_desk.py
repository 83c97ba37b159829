"""When a round is closed, and what is said of it."""

from datetime import UTC, datetime, timedelta

import pytest

from workflows_dagster.lib.annotation.desk import Deadline, RoundStatus

REQUESTED = datetime(2026, 3, 1, 12, tzinfo=UTC)


def status(answered: int, requested_at: datetime | None = REQUESTED, missing: int = 0) -> RoundStatus:
    return RoundStatus("r1", "files", "here", 10, answered, answered, 0, missing=missing, requested_at=requested_at)


@pytest.mark.parametrize(
    ("deadline", "answered", "days", "closes"),
    [
        (Deadline(), 10, 0, True),
        (Deadline(), 9, 1000, False),
        (Deadline(7, 0.8), 10, 0, True),
        (Deadline(7, 0.8), 8, 6.99, False),
        (Deadline(7, 0.8), 8, 7, True),
        (Deadline(7, 0.8), 7, 7, False),
        (Deadline(7, 0.8), 0, 1000, False),
    ],
)
def test_round_closes_when_complete_or_late_with_enough(
    deadline: Deadline, answered: int, days: float, closes: bool
) -> None:
    assert deadline.closes(status(answered), REQUESTED + timedelta(days=days)) == closes


def test_unknown_time_of_request_never_closes() -> None:
    assert not Deadline(1, 0.1).closes(status(9, requested_at=None), REQUESTED + timedelta(days=1000))


def test_sentence_names_progress_place_deadline_and_what_is_missing() -> None:
    assert Deadline(7, 0.8).sentence(status(3, missing=2)) == (
        "3 of 10 reviews are answered in here; 2 are missing there: materialize the request again; "
        "from 2026-03-08 12:00 UTC on, 80% are enough"
    )
    assert Deadline().sentence(status(10)) == "10 of 10 reviews are answered in here"


@pytest.mark.parametrize("deadline", [Deadline(), Deadline(7, 0.8)])
def test_deadline_is_read_back_from_metadata(deadline: Deadline) -> None:
    assert Deadline.from_metadata(deadline.to_metadata()) == deadline
