"""What every reader yields: one item for each row of the file, whole or broken."""

from collections.abc import Sequence
from typing import NamedTuple

from workflows_dagster.lib.ingest.reasons import RejectReason

EXCERPT_CHARS = 200


class Record(NamedTuple):
    """A row that could be read.

    Attributes:
        row: 1-based number of the data row in its file.
        line: 1-based physical line where it starts, None for binary formats.
        cells: Values as text, in the order of the mapped columns; None where there is none.
    """

    row: int
    line: int | None
    cells: Sequence[str | None]


class Broken(NamedTuple):
    """A row that could not be read."""

    row: int
    line: int | None
    reason: RejectReason
    detail: str
    excerpt: str


def excerpt(text: str) -> str:
    """The first characters of an offending row, fit to be stored."""
    return text[:EXCERPT_CHARS].encode("utf-8", "replace").decode()
