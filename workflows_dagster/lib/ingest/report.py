"""What became of the rows of a batch, in numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

_COUNTS = ("rows_in", "rows_kept", "rows_rejected", "rows_skipped_by_limit", "dates_unreadable")


@dataclass
class FileCount:
    """What became of the rows of one file."""

    uri: str
    rows_in: int = 0
    rows_kept: int = 0
    rows_rejected: int = 0
    rows_skipped_by_limit: int = 0
    dates_unreadable: int = 0


@dataclass(frozen=True)
class IngestReport:
    """What became of the rows of one batch.

    Attributes:
        source: Name of the source.
        files: Counts of each file, by its short name.
        reasons: Rejected rows by reason.
    """

    source: str
    files: tuple[FileCount, ...]
    reasons: Mapping[str, int] = field(default_factory=dict[str, int])

    def total(self, count: str) -> int:
        """Sum of one count over all files."""
        return sum(getattr(file, count) for file in self.files)

    def to_json(self) -> dict[str, object]:
        """What report.json holds."""
        totals = {name: self.total(name) for name in _COUNTS}
        return {
            "source": self.source,
            "files": [{"uri": file.uri, **{name: getattr(file, name) for name in _COUNTS}} for file in self.files],
            **totals,
            "reasons": dict(sorted(self.reasons.items())),
        }

    def to_metadata(self) -> dict[str, str | int | dict[str, int]]:
        """Metadata of the materialization."""
        return {
            "ingest/source": self.source,
            "ingest/files": len(self.files),
            **{f"ingest/{name}": self.total(name) for name in _COUNTS},
            "ingest/reject_reasons": dict(sorted(self.reasons.items())),
        }
