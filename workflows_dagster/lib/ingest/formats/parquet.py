"""Parquet, read one row group at a time and only the mapped columns; a value that cannot be read costs its row."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, BinaryIO, ClassVar, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.rows import BrokenRow, Row, RowRejectedError, cell, excerpt
from workflows_dagster.lib.ingest.source import Source

_BATCH_ROWS: Final = 8_192
_BATCH_BYTES: Final = 16 * 1024**2
_DECODED_BYTES: Final = 64 * 1024**2
_NESTED_BATCH_ROWS: Final = 256
_BUFFER_BYTES: Final = 1024**2
_MICROSECONDS: Final = {"s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}
"""By unit: how many microseconds it is, and how many of it are one."""


class ParquetSource(Source):
    """A source of Parquet files."""

    SEEKS: ClassVar[bool] = True  # a Parquet file is read from its end

    format: Literal["parquet"]

    def rows(self, content: BinaryIO, file: str) -> Iterator[Row | BrokenRow]:
        """The rows of one file, in order."""
        wanted, row = self.columns.names(), 0
        try:
            schema = pq.read_schema(content)
            paths = [_path(schema, name) for name in wanted]
            self.require_columns([*schema.names, *(".".join(path) for path in paths if len(path) > 1)], file)
            for batch in _batches(content, paths, schema):
                for values in zip(*(_values(_column(batch, path)) for path in paths), strict=True):
                    row += 1
                    try:
                        yield Row(row, None, [cell(value, name) for value, name in zip(values, wanted, strict=True)])
                    except RowRejectedError as problem:
                        reason, detail = problem.args
                        yield BrokenRow(row, None, reason, detail, excerpt(str(values[0])))
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, SourceUnreadableError):
                raise
            raise SourceUnreadableError(
                f"{file} of source {self.name} cannot be read as Parquet",
                given=str(error),
                expected="a whole Parquet file",
                remedy="write the file again, or correct format and compression of the source",
            ) from error


def _path(schema: pa.Schema, name: str) -> Sequence[str]:
    """Where a column is: under exactly that name, else inside the structures that its dots lead into."""
    if name in schema.names or "." not in name:
        return (name,)
    outer, *inner = name.split(".")
    kind = schema.field(outer).type if schema.names.count(outer) == 1 else pa.null()
    for part in inner:
        if not pa.types.is_struct(kind) or kind.get_field_index(part) < 0:
            return (name,)
        kind = kind.field(part).type
    return (outer, *inner)


def _batches(content: BinaryIO, paths: Sequence[Sequence[str]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows, row group by row group, in batches that are bounded in bytes too; see `lib.parquet.read_batches`.

    A dictionary holds each value once, and a batch of rows may repeat its longest one in each. Where that could be too
    much, the values are read as the dictionary they are.
    """
    columns = [".".join(path) for path in paths]
    texts = [path[0] for path in paths if len(path) == 1 and _is_text(schema.field(path[0]).type)]
    plain, coded = (
        pq.ParquetFile(
            content, buffer_size=_BUFFER_BYTES, coerce_int96_timestamp_unit="us", read_dictionary=dictionaries
        )
        for dictionaries in ([], texts)
    )
    for group in range(plain.num_row_groups):
        described = plain.metadata.row_group(group)
        chunks = [described.column(index) for index in range(described.num_columns)]
        wanted = [chunk for chunk in chunks if chunk.path_in_schema in columns]
        size = sum(chunk.total_uncompressed_size for chunk in wanted)
        rows = min(_BATCH_ROWS, _BATCH_BYTES * described.num_rows // max(size, 1))
        in_dictionaries = [chunk.path_in_schema for chunk in wanted if chunk.has_dictionary_page]
        longest = max((_longest(coded, group, name) for name in in_dictionaries if name in texts), default=0)
        reader = plain
        if rows * longest > _DECODED_BYTES:
            reader, rows = (coded, rows) if size <= _DECODED_BYTES else (plain, _DECODED_BYTES // longest)
        elif set(in_dictionaries) - set(texts):
            rows = min(rows, _NESTED_BATCH_ROWS)
        yield from reader.iter_batches(max(rows, 1), row_groups=[group], columns=columns)


def _longest(coded: pq.ParquetFile, group: int, column: str) -> int:
    """Bytes of the longest value in the dictionary of a column; the first row brings all of it."""
    for batch in coded.iter_batches(1, row_groups=[group], columns=[column]):
        lengths = pc.call_function("binary_length", [batch.column(column).dictionary])
        return pc.call_function("max", [lengths]).as_py() or 0
    return 0


def _column(batch: pa.RecordBatch, path: Sequence[str]) -> pa.Array:
    column = batch.column(path[0])
    if len(path) == 1:
        return column
    return pc.call_function("struct_field", [column], pc.StructFieldOptions(list(path[1:])))


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind)


def _values(column: pa.Array) -> Sequence[Any]:
    """The values as Python knows them. One that it does not know is text that says so: only its row is affected."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        values = _values(column.dictionary)
        return [None if index is None else values[index] for index in column.indices.to_pylist()]
    if pa.types.is_timestamp(kind):
        times, over = _MICROSECONDS[kind.unit]
        # As numbers: a time zone that nobody knows, or a year beyond 9999, is no obstacle.
        return [None if value is None else _instant(value * times // over) for value in _numbers(column)]
    if pa.types.is_date(kind):
        per_day = 86_400_000 if pa.types.is_date64(kind) else 1
        return [None if value is None else _day(value // per_day) for value in _numbers(column)]
    if _is_text(kind):
        try:
            return column.to_pylist()
        except UnicodeDecodeError:
            return column.cast(pa.large_binary() if pa.types.is_large_string(kind) else pa.binary()).to_pylist()
    return column.to_pylist()


def _numbers(column: pa.Array) -> list[int | None]:
    return column.view(pa.int32() if pa.types.is_date32(column.type) else pa.int64()).to_pylist()


def _instant(microseconds: int) -> datetime | str:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    except OverflowError:
        return f"{microseconds} microseconds since 1970"


def _day(days: int) -> date | str:
    try:
        return date(1970, 1, 1) + timedelta(days=days)
    except OverflowError:
        return f"{days} days since 1970"
