"""Parquet, read one row group at a time and only the mapped columns."""

from collections.abc import Iterator
from typing import Any, BinaryIO, ClassVar, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.rows import BrokenRow, Row, RowRejectedError, cell, excerpt
from workflows_dagster.lib.ingest.source import Source
from workflows_dagster.lib.parquet import read_batches

_BATCH_ROWS: Final = 8_192


class ParquetSource(Source):
    """A source of Parquet files."""

    SEEKS: ClassVar[bool] = True  # a Parquet file is read from its end

    format: Literal["parquet"]

    def rows(self, content: BinaryIO, file: str) -> Iterator[Row | BrokenRow]:
        """The rows of one file, in order."""
        wanted, row = self.columns.names(), 0
        try:
            parquet = pq.ParquetFile(content)
            self.require_columns(parquet.schema_arrow.names, file)
            for batch in read_batches(parquet, wanted, _BATCH_ROWS):
                for values in zip(*(_values(batch.column(name)) for name in wanted), strict=True):
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


def _values(column: pa.Array) -> list[Any]:
    # Python's datetime holds microseconds; what is finer is cut, not refused.
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column.to_pylist()
