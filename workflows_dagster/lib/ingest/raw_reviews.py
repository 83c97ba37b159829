"""raw_reviews: the files of one batch read into reviews.parquet and rejects.parquet, in bounded memory."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.locations import FileVersion, open_file, reaching, short_name, stat_file
from workflows_dagster.lib.ingest.manifests import Manifest
from workflows_dagster.lib.ingest.mapping import map_rows
from workflows_dagster.lib.ingest.rows import BrokenRow, Row
from workflows_dagster.lib.ingest.source import Source
from workflows_dagster.lib.parquet import to_table
from workflows_dagster.lib.progress import Progress
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.schema import RAW_REVIEW, REJECT

CHUNK_ROWS: Final = 8_192
REVIEWS_FILE: Final = "reviews.parquet"
REJECTS_FILE: Final = "rejects.parquet"


class IngestSettings(BaseModel):
    """How much of a batch is read."""

    model_config = ConfigDict(frozen=True)

    limit: int | None = Field(
        default=None, ge=1, description="Most rows that are taken of each file, for a quick look; the rest is counted."
    )


class RowCounts(BaseModel):
    """What became of some rows: each one read is kept, rejected or beyond the limit.

    Attributes:
        rows_in: Rows that were read.
        rows_skipped_by_limit: Rows beyond the limit of the settings.
        dates_unreadable: Kept rows whose date could not be read: they are kept without it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows_in: int = 0
    rows_kept: int = 0
    rows_rejected: int = 0
    rows_skipped_by_limit: int = 0
    dates_unreadable: int = 0


class FileCounts(RowCounts):
    """What became of the rows of one file; `uri` is its short name."""

    uri: str


class IngestReport(RowCounts, Record):
    """What became of the rows of one batch.

    Attributes:
        source: Name of the source.
        files: Counts of each file.
        reasons: Rejected rows by reason.
    """

    source: str
    files: tuple[FileCounts, ...]
    reasons: dict[str, int]

    def to_metadata(self) -> dict[str, str | int | dict[str, int]]:
        """Metadata of the materialization."""
        return {
            "ingest/source": self.source,
            **{f"ingest/{name}": getattr(self, name) for name in RowCounts.model_fields},
            "ingest/rejected_by_reason": self.reasons,
            "ingest/rows_by_file": {file.uri: file.rows_in for file in self.files},
        }


def read_batch(manifest: Manifest, source: Source, settings: IngestSettings, folder: Path) -> IngestReport:
    """Reads the files of a batch and writes reviews.parquet, rejects.parquet and report.json.

    Every row of every file is in exactly one of the two tables, or counted as beyond the limit.

    Args:
        manifest: The files, each in the state that is to be read.
        source: How they are to be read.
        settings: How much is read.
        folder: Where the tables and the report are written.

    Raises:
        SourceUnreadableError: A file is missing, has changed since the batch was made, is cut, is of another format
            or lacks a column.
    """
    files: list[FileCounts] = []
    totals: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    progress = Progress(f"reading {source.name}", None, "rows")
    with (
        pq.ParquetWriter(folder / REVIEWS_FILE, RAW_REVIEW, compression="zstd") as reviews,
        pq.ParquetWriter(folder / REJECTS_FILE, REJECT, compression="zstd") as rejects,
    ):
        for file in manifest.files:
            name, counts = short_name(source, file.uri), Counter[str]()
            rows = read_file(source, file)
            while chunk := list(itertools.islice(rows, CHUNK_ROWS)):
                left = None if settings.limit is None else max(0, settings.limit - counts["rows_in"])
                taken = chunk[:left]
                mapped = map_rows(taken, source, manifest.key, name)
                for writer, frame, schema in (
                    (reviews, mapped.reviews, RAW_REVIEW),
                    (rejects, mapped.rejects, REJECT),
                ):
                    if frame.height:
                        writer.write_table(to_table(frame, schema))
                counts += Counter(
                    rows_in=len(chunk),
                    rows_kept=mapped.reviews.height,
                    rows_rejected=mapped.rejects.height,
                    rows_skipped_by_limit=len(chunk) - len(taken),
                    dates_unreadable=mapped.dates_unreadable,
                )
                reasons.update(mapped.rejects["reason"].to_list())
                progress.advance(len(taken))
            files.append(FileCounts(uri=name, **counts))
            totals += counts
    report = IngestReport(source=source.name, files=tuple(files), reasons=dict(sorted(reasons.items())), **totals)
    report.write(folder)
    return report


def read_file(source: Source, file: FileVersion) -> Iterator[Row | BrokenRow]:
    """The rows of one file, in order; an empty file has none, whatever its format.

    Raises:
        SourceUnreadableError: It is missing, has changed, is cut, is of another format or lacks a column.
    """
    _require_unchanged(source, file)
    name = short_name(source, file.uri)
    with reaching(source, name), open_file(source, file.uri) as content:
        if file.size:
            yield from source.rows(content, name)
    _require_unchanged(source, file)


def _require_unchanged(source: Source, file: FileVersion) -> None:
    now = stat_file(source, file.uri)
    if now.identity != file.identity:
        raise SourceUnreadableError(
            f"{file.uri} of source {source.name} has changed since its batch was made",
            given=f"{now.size} bytes, version {now.version}",
            expected=f"{file.size} bytes, version {file.version}",
            remedy="nothing: a newer batch will carry it, once the sensor or the command line looks again",
        )
