"""Reads jsonl and Parquet: formats whose values have types."""

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.catalog import Source
from workflows_dagster.lib.ingest.lines import MAX_RECORD_CHARS, UNDECODABLE_MARK, Lines, RecordTooLongError
from workflows_dagster.lib.ingest.reasons import RejectReason
from workflows_dagster.lib.ingest.records import Broken, Record, excerpt
from workflows_dagster.lib.parquet import read_batches

BATCH_ROWS = 8_192


class _ValueRejectedError(Exception):
    """A value that is no cell: the reason and the detail."""


def read_jsonl(stream: io.TextIOWrapper, source: Source) -> Iterator[Record | Broken]:
    r"""The rows of a file with one JSON object on each line; lines end at \n alone, blank ones are no rows.

    An object may lack a mapped column: JSON leaves out what is empty.
    """
    lines, wanted, row = Lines(stream), source.columns.names(), 0
    while True:
        lines.begin()
        try:
            line = next(lines)
        except StopIteration:
            return
        except RecordTooLongError:
            row += 1
            detail = f"a line of more than {MAX_RECORD_CHARS} characters"
            yield Broken(row, lines.line, RejectReason.RECORD_TOO_LONG, detail, excerpt(lines.resume_after_first()))
            continue
        if not line.strip():
            continue
        row += 1
        try:
            yield Record(row, lines.line, _cells(_parse(line), wanted))
        except _ValueRejectedError as problem:
            reason, detail = problem.args
            yield Broken(row, lines.line, reason, detail, excerpt(line))


def read_parquet(stream: BinaryIO, source: Source, file: str) -> Iterator[Record | Broken]:
    """The rows of a Parquet file, one row group at a time, only the mapped columns.

    Raises:
        SourceUnreadableError: It is no Parquet file, is damaged, or lacks a column.
    """
    wanted, row = source.columns.names(), 0
    try:
        parquet = pq.ParquetFile(stream)
        _require_columns(parquet.schema_arrow.names, wanted, source, file)
        for batch in read_batches(parquet, wanted, BATCH_ROWS):
            for values in zip(*(_values(batch.column(name)) for name in wanted), strict=True):
                row += 1
                try:
                    yield Record(row, None, [_cell(value, name) for value, name in zip(values, wanted, strict=True)])
                except _ValueRejectedError as problem:
                    reason, detail = problem.args
                    yield Broken(row, None, reason, detail, excerpt(str(values[0])))
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, SourceUnreadableError):
            raise
        raise SourceUnreadableError(
            f"{file} of source {source.name} cannot be read as Parquet",
            given=str(error),
            expected="a whole Parquet file",
            remedy="write the file again, or correct format and compression of the source",
        ) from error


def _require_columns(names: Sequence[str], wanted: Sequence[str], source: Source, file: str) -> None:
    absent = [name for name in wanted if list(names).count(name) != 1]
    if absent:
        raise SourceUnreadableError(
            f"{file} of source {source.name} lacks columns, or holds them more than once: {absent}",
            given=list(names),
            expected=f"each of {list(wanted)} once",
            remedy="correct columns of the source in sources.yaml",
        )


def _values(column: pa.Array) -> list[Any]:
    # Python's datetime holds microseconds; what is finer is cut, not refused.
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column.to_pylist()


def _parse(line: str) -> Mapping[str, Any]:
    if UNDECODABLE_MARK in line:
        raise _ValueRejectedError(RejectReason.UNDECODABLE, "bytes that are not of the source's encoding")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        detail = f"not JSON: {error}" if isinstance(error, ValueError) else "nested too deeply"
        raise _ValueRejectedError(RejectReason.BROKEN_JSON, detail) from error
    if not isinstance(value, dict):
        detail = f"{type(value).__name__}: expected an object"
        raise _ValueRejectedError(RejectReason.NOT_AN_OBJECT, detail)
    return value


def _cells(record: Mapping[str, Any], wanted: Sequence[str]) -> list[str | None]:
    return [_cell(record.get(name), name) for name in wanted]


def _cell(value: Any, name: str) -> str | None:
    """A value as text, the way a csv export would write it."""
    match value:
        case None:
            return None
        case str():
            return value if value.isascii() else _storable(value, name)
        case bool():
            return str(value).lower()
        case float() if math.isnan(value):
            return None
        case datetime():
            return value.replace(tzinfo=value.tzinfo or UTC).isoformat()
        case int() | float() | date() | Decimal():
            return _number(value)
        case _:
            detail = f"{name} is of type {type(value).__name__}: expected text, a number, a date or nothing"
            raise _ValueRejectedError(RejectReason.WRONG_TYPE, detail)


def _storable(value: str, name: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        # JSON may spell a lone surrogate, which no encoding can store.
        detail = f"{name} holds a lone surrogate: expected whole characters"
        raise _ValueRejectedError(RejectReason.UNDECODABLE, detail) from error
    return value


def _number(value: object) -> str:
    # An id column that once held a null comes as 17.0 from pandas.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
