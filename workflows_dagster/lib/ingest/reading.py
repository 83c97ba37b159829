"""Reads the files of one batch into reviews.parquet and rejects.parquet, in bounded memory."""

import itertools
import shutil
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.artifact import conform, write_report
from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.catalog import Source
from workflows_dagster.lib.ingest.compression import decompress
from workflows_dagster.lib.ingest.delimited import read_delimited
from workflows_dagster.lib.ingest.lines import open_text
from workflows_dagster.lib.ingest.locations import FileVersion, label, open_file, reaching, stat_file
from workflows_dagster.lib.ingest.manifests import Manifest
from workflows_dagster.lib.ingest.mapping import Mapped, map_records
from workflows_dagster.lib.ingest.records import Broken, Record
from workflows_dagster.lib.ingest.report import FileCount, IngestReport
from workflows_dagster.lib.ingest.typed import read_jsonl, read_parquet
from workflows_dagster.lib.progress import Progress
from workflows_dagster.lib.schema import RAW_REVIEW, REJECT

CHUNK_ROWS = 8_192
REVIEWS_FILE = "reviews.parquet"
REJECTS_FILE = "rejects.parquet"


class IngestSettings(BaseModel):
    """How much of a batch is read."""

    model_config = ConfigDict(frozen=True)

    limit: int | None = Field(
        default=None, ge=1, description="Most rows that are taken of each file, for a quick look; the rest is counted."
    )


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
    reasons: Counter[str] = Counter()
    counts: list[FileCount] = []
    progress = Progress(f"reading {source.name}", None, "rows")
    with _Tables(folder) as tables:
        for file in manifest.files:
            count = FileCount(label(source, file.uri))
            counts.append(count)
            for chunk in _chunks(read_file(source, file), settings.limit, count):
                mapped = map_records(chunk.records, chunk.broken, source, manifest.key, count.uri)
                _tally(mapped, count, reasons)
                tables.write(mapped)
                progress.advance(len(chunk.records) + len(chunk.broken))
    report = IngestReport(source.name, tuple(counts), reasons)
    write_report(folder, report.to_json())
    return report


def read_file(source: Source, file: FileVersion) -> Iterator[Record | Broken]:
    """The rows of one file, in order.

    Raises:
        SourceUnreadableError: It is missing, has changed, is cut, is of another format or lacks a column.
    """
    _require_unchanged(source, file)
    name = label(source, file.uri)
    with reaching(source, name), open_file(source, file.uri) as stored:
        if file.size == 0 and not name.endswith((".gz", ".zst", ".zstd")):
            return
        content = decompress(stored, source, name)
        match source.format:
            case "csv" | "tsv":
                with open_text(content, source, newline="") as text:
                    yield from read_delimited(text, source, name)
            case "jsonl":
                with open_text(content, source, newline="\n") as text:
                    yield from read_jsonl(text, source)
            case "parquet":
                with _seekable(content, stored) as whole:
                    yield from read_parquet(whole, source, name)
    _require_unchanged(source, file)


@contextmanager
def _seekable(content: BinaryIO, stored: BinaryIO) -> Generator[BinaryIO]:
    """The content itself, or where it comes out of an archive, a copy on disk: Parquet is read from its end."""
    if content is stored:
        yield content
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(content, copy, length=1024**2)
        copy.seek(0)
        yield cast("BinaryIO", copy)


def _require_unchanged(source: Source, file: FileVersion) -> None:
    now = stat_file(source, file.uri)
    if now.identity != file.identity:
        raise SourceUnreadableError(
            f"{file.uri} of source {source.name} has changed since its batch was made",
            given=f"{now.size} bytes, version {now.version}",
            expected=f"{file.size} bytes, version {file.version}",
            remedy="nothing: a newer batch will carry it, once the sensor or the command line looks again",
        )


class _Chunk(NamedTuple):
    records: list[Record]
    broken: list[Broken]


def _chunks(rows: Iterator[Record | Broken], limit: int | None, count: FileCount) -> Iterator[_Chunk]:
    """Rows in chunks of bounded size; what is beyond the limit is only counted."""
    while batch := list(itertools.islice(rows, CHUNK_ROWS)):
        taken = batch if limit is None else batch[: max(0, limit - count.rows_in)]
        count.rows_in += len(batch)
        count.rows_skipped_by_limit += len(batch) - len(taken)
        if taken:
            yield _Chunk(
                [row for row in taken if isinstance(row, Record)], [row for row in taken if isinstance(row, Broken)]
            )


def _tally(mapped: Mapped, count: FileCount, reasons: Counter[str]) -> None:
    count.rows_kept += mapped.reviews.height
    count.rows_rejected += mapped.rejects.height
    count.dates_unreadable += mapped.dates_unreadable
    reasons.update(mapped.rejects["reason"].to_list())


class _Tables:
    """The two tables of a batch, written chunk by chunk."""

    def __init__(self, folder: Path) -> None:
        self._reviews = pq.ParquetWriter(folder / REVIEWS_FILE, RAW_REVIEW, compression="zstd")
        self._rejects = pq.ParquetWriter(folder / REJECTS_FILE, REJECT, compression="zstd")

    def write(self, mapped: Mapped) -> None:
        """Appends what became of one chunk."""
        for writer, frame, schema in (
            (self._reviews, mapped.reviews, RAW_REVIEW),
            (self._rejects, mapped.rejects, REJECT),
        ):
            if frame.height:
                writer.write_table(_table(frame, schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._reviews.close()
        self._rejects.close()


def _table(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    return conform(frame.select(schema.names).to_arrow(), schema)
