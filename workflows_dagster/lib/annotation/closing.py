"""When a round is closed, so that its answers are used: all is answered, or it is late and there is enough."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from workflows_dagster.lib.annotation.desk import RoundState, RoundStatus


@dataclass(frozen=True)
class Closing:
    """The terms that a round was requested on.

    Attributes:
        deadline_days: Days after the request from which an unfinished round is closed, or None for never.
        minimum_ratio: Part of the reviews that must be answered for the deadline to close it.
    """

    deadline_days: float | None = None
    minimum_ratio: float = 1.0

    def deadline(self, status: RoundStatus) -> datetime | None:
        """When the round may close unfinished, where it may."""
        if self.deadline_days is None or status.requested_at is None:
            return None
        return status.requested_at + timedelta(days=self.deadline_days)

    def closes(self, status: RoundStatus, now: datetime) -> bool:
        """Whether the answers are to be used as they are.

        Args:
            status: How far people are.
            now: The time, with its zone.
        """
        if status.state is RoundState.COMPLETE:
            return True
        deadline = self.deadline(status)
        enough = status.rows_answered >= self.minimum_ratio * status.rows
        return deadline is not None and now >= deadline and enough

    def sentence(self, status: RoundStatus) -> str:
        """How far people are, where, and until when."""
        said = f"{status.rows_answered} of {status.rows} reviews are answered in {status.where}"
        if status.missing:
            said += f"; {status.missing} are not there: materialize the request again"
        deadline = self.deadline(status)
        if deadline is not None and status.state is not RoundState.COMPLETE:
            said += f"; from {deadline:%Y-%m-%d %H:%M} UTC on {self.minimum_ratio:.0%} will do"
        return said

    def to_metadata(self) -> dict[str, object]:
        """The terms as flat metadata."""
        terms: dict[str, object] = {"annotation/deadline_minimum_ratio": self.minimum_ratio}
        return terms if self.deadline_days is None else {**terms, "annotation/deadline_days": self.deadline_days}

    def to_record(self) -> dict[str, float | None]:
        """As a JSON object that `closing_of` reads back."""
        return {"deadline_days": self.deadline_days, "minimum_ratio": self.minimum_ratio}


def closing_of(request: Mapping[str, Any]) -> Closing:
    """The terms that request.json records; of a round of before there were deadlines, none."""
    return Closing(**request.get("closing", {}))
