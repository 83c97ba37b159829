"""raw_reviews: the files of one batch read into reviews.parquet and rejects.parquet, in bounded memory."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.archives import Budget, parts_of
from workflows_dagster.lib.ingest.locations import FileVersion, reaching, short_name, stat_file
from workflows_dagster.lib.ingest.manifests import Manifest
from workflows_dagster.lib.ingest.mapping import map_rows
from workflows_dagster.lib.ingest.rows import BrokenRow, Row
from workflows_dagster.lib.ingest.source import Source
from workflows_dagster.lib.parquet import read_batches, to_table
from workflows_dagster.lib.progress import Progress
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.schema import RAW_REVIEW, REJECT

CHUNK_ROWS: Final = 8_192
CHUNK_CHARS: Final = 8 * 1024**2
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
    """What became of the rows of one file; `uri` is its short name, of a member of an archive `<archive>/<member>`."""

    uri: str


class FileFailure(BaseModel):
    """A file, or a member of an archive, that could not be read: none of its rows is in the tables.

    Attributes:
        uri: Its short name.
        problem: What was given, what was expected and what to do.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str
    problem: str


class IngestReport(RowCounts, Record):
    """What became of the rows of one batch.

    Attributes:
        source: Name of the source.
        files: Counts of each file that was read.
        failures: The files that could not be read.
        reasons: Rejected rows by reason.
    """

    source: str
    files: tuple[FileCounts, ...]
    failures: tuple[FileFailure, ...] = ()
    reasons: dict[str, int]

    def to_metadata(self) -> dict[str, str | int | dict[str, int]]:
        """Metadata of the materialization."""
        return {
            "ingest/source": self.source,
            "ingest/files_failed": len(self.failures),
            **{f"ingest/{name}": getattr(self, name) for name in RowCounts.model_fields},
            "ingest/rejected_by_reason": self.reasons,
            "ingest/rows_by_file": {file.uri: file.rows_in for file in self.files},
        }


def read_batch(manifest: Manifest, source: Source, settings: IngestSettings, folder: Path) -> IngestReport:
    """Reads the files of a batch and writes reviews.parquet, rejects.parquet and report.json.

    Every row of every file that could be read is in exactly one of the two tables, or counted as beyond the limit. A
    file that cannot be read costs itself: the report names it, and no row of it is kept.

    Args:
        manifest: The files, each in the state that is to be read.
        source: How they are to be read.
        settings: How much is read.
        folder: Where the tables and the report are written.

    Raises:
        SourceUnreadableError: No file could be read: each is missing, has changed since the batch was made, is cut, is
            of another format or lacks a column.
    """
    files: list[FileCounts] = []
    failures: list[SourceUnreadableError] = []
    failed: list[FileFailure] = []
    reasons: Counter[str] = Counter()
    progress = Progress(f"reading {source.name}", None, "rows")

    def note(name: str, error: SourceUnreadableError) -> None:
        failures.append(error)
        failed.append(FileFailure(uri=name, problem=str(error)))

    with tempfile.TemporaryDirectory(prefix=".files-", dir=folder) as aside:
        read: list[Path] = []
        for file in manifest.files:
            name, cells = short_name(source, file.uri), Budget(source, file)
            try:
                _require_unchanged(source, file)
                with reaching(source, name), parts_of(source, file) as parts:
                    for part in parts:
                        place = Path(aside, f"{len(read)}")
                        try:
                            with reaching(source, part.name), part.open() as content:
                                rows = source.rows(content, part.name) if file.size else iter(())
                                chunks = _chunks(rows, cells)
                                counts, why = _write(chunks, part.name, source, manifest.key, settings, place, progress)
                            _require_unchanged(source, file)
                        except SourceUnreadableError as error:
                            note(part.name, error)
                        else:
                            files.append(counts)
                            reasons += why
                            read.append(place)
            except SourceUnreadableError as error:
                note(name, error)
        if not read and failures:
            raise _none_read(manifest, failures)
        for table, schema in ((REVIEWS_FILE, RAW_REVIEW), (REJECTS_FILE, REJECT)):
            _join([place / table for place in read], schema, folder / table)
    totals = {name: sum(getattr(one, name) for one in files) for name in RowCounts.model_fields}
    report = IngestReport(
        source=source.name,
        files=tuple(files),
        failures=tuple(failed),
        reasons=dict(sorted(reasons.items())),
        **totals,
    )
    report.write(folder)
    return report


def _write(
    chunks: Iterable[list[Row | BrokenRow]],
    name: str,
    source: Source,
    batch: str,
    settings: IngestSettings,
    folder: Path,
    progress: Progress,
) -> tuple[FileCounts, Counter[str]]:
    """Writes the two tables of one file, and counts its rows and the reasons of those that were rejected."""
    counts, reasons = Counter[str](), Counter[str]()
    folder.mkdir(exist_ok=True)
    with (
        pq.ParquetWriter(folder / REVIEWS_FILE, RAW_REVIEW, compression="zstd") as reviews,
        pq.ParquetWriter(folder / REJECTS_FILE, REJECT, compression="zstd") as rejects,
    ):
        for chunk in chunks:
            left = None if settings.limit is None else max(0, settings.limit - counts["rows_in"])
            taken = chunk[:left]
            mapped = map_rows(taken, source, batch, name)
            for writer, frame, schema in ((reviews, mapped.reviews, RAW_REVIEW), (rejects, mapped.rejects, REJECT)):
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
    return FileCounts(uri=name, **counts), reasons


def _chunks(rows: Iterable[Row | BrokenRow], cells: Budget) -> Iterator[list[Row | BrokenRow]]:
    """The rows in lists that are bounded in rows and in characters, so that long texts cost no more memory."""
    chunk: list[Row | BrokenRow] = []
    chars = 0
    for row in rows:
        chunk.append(row)
        chars += sum(len(cell) for cell in row.cells if cell) if isinstance(row, Row) else len(row.excerpt)
        if len(chunk) == CHUNK_ROWS or chars >= CHUNK_CHARS:
            cells.spend(chars)  # a format such as Parquet may itself repeat one value without end
            yield chunk
            chunk, chars = [], 0
    if chunk:
        yield chunk


def _join(tables: Sequence[Path], schema: pa.Schema, joined: Path) -> None:
    """One table of all rows, in order."""
    if len(tables) == 1:
        tables[0].replace(joined)
        return
    with pq.ParquetWriter(joined, schema, compression="zstd") as writer:
        for path in tables:
            with pq.ParquetFile(path) as table:
                for batch in read_batches(table):
                    writer.write_batch(batch)


def _none_read(manifest: Manifest, failures: Sequence[SourceUnreadableError]) -> SourceUnreadableError:
    first = failures[0]
    if len(failures) == 1:
        return first
    return SourceUnreadableError(
        f"none of the {len(manifest.files):,} files of batch {manifest.key} can be read; the first: {first.problem}",
        given=first.given,
        expected=first.expected,
        remedy=first.remedy,
    )


def read_file(source: Source, file: FileVersion) -> Iterator[Row | BrokenRow]:
    """The rows of one file, in order and numbered throughout, of an archive those of each member.

    Raises:
        SourceUnreadableError: It is missing, has changed, is cut, is of another format or lacks a column.
    """
    _require_unchanged(source, file)
    name, number = short_name(source, file.uri), 0
    with reaching(source, name), parts_of(source, file) as parts:
        for part in parts:
            with reaching(source, part.name), part.open() as content:
                for number, row in enumerate(source.rows(content, part.name) if file.size else (), number + 1):  # noqa: B020
                    yield row._replace(row=number)
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
