"""Progress is told by log records, not too often, and to the end."""

import logging
from collections.abc import Iterator

import pytest

from workflows_dagster.lib import progress
from workflows_dagster.lib.progress import PROGRESS_LOGGER, Progress, track


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


class Listener(logging.Handler):
    """Keeps the records it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    caplog.set_level(logging.INFO, PROGRESS_LOGGER)
    listener = Listener()
    logging.getLogger(PROGRESS_LOGGER).addHandler(listener)
    yield listener.records
    logging.getLogger(PROGRESS_LOGGER).removeHandler(listener)


@pytest.mark.usefixtures("clock")
def test_first_and_last_count_are_reported(messages: list[logging.LogRecord]) -> None:
    assert list(track("abcd", "cleaning", 4, "rows")) == list("abcd")
    assert [record.getMessage() for record in messages] == ["cleaning: 1 of 4 rows", "cleaning: 4 of 4 rows"]


def test_reports_between_are_at_least_an_interval_apart(clock: Clock, messages: list[logging.LogRecord]) -> None:
    work = Progress("training", 1000, "steps", every_s=2.0)
    for _ in range(10):
        work.advance(100)
        clock.now_s += 0.5
    assert [vars(record)["done"] for record in messages] == [100, 500, 900, 1000]


def test_listener_reads_attributes(messages: list[logging.LogRecord]) -> None:
    Progress("training", 2_000, "steps").advance(1_500, "loss 0.42")
    (record,) = messages
    assert record.name == PROGRESS_LOGGER
    assert record.getMessage() == "training: 1,500 of 2,000 steps (loss 0.42)"
    names = ("stage", "done", "total", "unit", "note")
    assert [vars(record)[name] for name in names] == ["training", 1500, 2000, "steps", "loss 0.42"]


def test_unknown_total_is_not_made_up(messages: list[logging.LogRecord]) -> None:
    Progress("reading", None, "rows").at(7)
    assert [record.getMessage() for record in messages] == ["reading: 7 rows"]
    assert vars(messages[0])["total"] is None


def test_items_are_counted_only_once_they_were_worked_on(messages: list[logging.LogRecord]) -> None:
    items = track([1, 2], "reading", 2, "files")
    next(items)
    assert messages == []
    next(items)
    assert [record.getMessage() for record in messages] == ["reading: 1 of 2 files"]


def test_nothing_to_do_reports_nothing(messages: list[logging.LogRecord]) -> None:
    assert list(track([], "reading", 0, "files")) == []
    assert messages == []
