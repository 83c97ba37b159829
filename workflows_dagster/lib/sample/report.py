"""What was written into the bundled sample: the counts that later stages must find again."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SampleReport:
    """Counts of one written sample.

    Attributes:
        rows: Data rows by source, broken ones included.
        labels: Labels by source, as the files give them; rows that will be rejected or have no label are not counted.
        rejects: By source, how many rows must be rejected when it is read, by reason.
        planted: Rows by kind of mess; a row may hold several kinds.
        size_bytes: Size of all files.
    """

    rows: dict[str, int]
    labels: dict[str, dict[str, int]]
    rejects: dict[str, dict[str, int]]
    planted: dict[str, int]
    size_bytes: int

    def to_metadata(self) -> dict[str, object]:
        """Flat metadata of the sample."""
        return {
            "sample/rows": sum(self.rows.values()),
            "sample/rows_by_source": self.rows,
            "sample/labels_by_source": self.labels,
            "sample/rejects_by_source": self.rejects,
            "sample/planted_rows": self.planted,
            "sample/size_bytes": self.size_bytes,
        }
