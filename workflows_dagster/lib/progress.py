"""Progress of long work as log records: Dagster shows them as events, the command line as a bar.

`lib` says how far it is; who listens is not its business. A listener reads the attributes `stage`, `done`,
`total` and `unit` of records of the logger named by `PROGRESS_LOGGER`.
"""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

PROGRESS_LOGGER: Final = "workflows_dagster.progress"
_logger = logging.getLogger(PROGRESS_LOGGER)
_Item = TypeVar("_Item")


class Progress:
    """Reports how far one piece of work is, at most once per `every_s`, and always at its end.

    Args:
        stage: What is being done, a short phrase ("training", "cleaning womens_clothing").
        total: How many units there are, or None where that is not known.
        unit: What is counted, plural ("rows", "steps").
        every_s: Seconds between two reports.
    """

    def __init__(self, stage: str, total: int | None, unit: str, every_s: float = 1.0) -> None:
        self.stage = stage
        self.total = total
        self.unit = unit
        self.every_s = every_s
        self.done = 0
        self._reported_at = float("-inf")

    def advance(self, by: int = 1, note: str = "") -> None:
        """Counts `by` more units; `note` is shown beside the count ("loss 0.42")."""
        self.at(self.done + by, note)

    def at(self, done: int, note: str = "") -> None:
        """Sets the count to `done`."""
        self.done = done
        now = time.monotonic()
        if now - self._reported_at < self.every_s and done != self.total:
            return
        self._reported_at = now
        of = f" of {self.total:,}" if self.total is not None else ""
        _logger.info(
            "%s: %s%s %s%s",
            self.stage,
            f"{done:,}",
            of,
            self.unit,
            f" ({note})" if note else "",
            extra={"stage": self.stage, "done": done, "total": self.total, "unit": self.unit, "note": note},
        )


def track(items: Iterable[_Item], stage: str, total: int | None, unit: str) -> Iterator[_Item]:
    """Yields the items and reports progress as they are consumed."""
    progress = Progress(stage, total, unit)
    for item in items:
        yield item
        progress.advance()
