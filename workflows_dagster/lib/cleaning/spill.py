"""Tables cut into buckets on disk, so that work on many rows holds one bucket at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Kinds = dict[str, pl.DataType | type[pl.DataType]]
"""Columns of a table, in order, and their types."""

MOST_BUCKETS: Final = 300
"""Each bucket is one open file while it is written, up to three tables are written at once, and systems allow 1,024
open files to a process. Beyond this many buckets they grow instead."""


def bucket_count(rows: int, rows_per_bucket: int) -> int:
    """Buckets that `rows` need so that one holds about `rows_per_bucket`."""
    return min(MOST_BUCKETS, max(1, -(-rows // rows_per_bucket)))


class Spill:
    """A table on disk in buckets: rows are appended to the bucket they belong to, and read back bucket by bucket.

    Use it as a context manager while writing; read after it has closed.

    Args:
        folder: Made by this; one file for each bucket that got rows.
        schema: Columns and types of the rows; the order in which they are stored.
        buckets: How many buckets there are.
    """

    def __init__(self, folder: Path, schema: Kinds, buckets: int) -> None:
        self.folder = folder
        self.schema = pl.Schema(schema)
        self.buckets = buckets
        self.rows = 0
        self._writers: dict[int, pa.RecordBatchFileWriter] = {}
        folder.mkdir(parents=True)

    def __enter__(self) -> "Spill":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def write(self, frame: pl.DataFrame, bucket: npt.NDArray[np.int64]) -> None:
        """Appends each row of the frame to the bucket of the same position in `bucket`."""
        if frame.is_empty():
            return
        order = np.argsort(bucket, kind="stable")
        sorted_rows = frame.select(pl.col(name).cast(kind) for name, kind in self.schema.items())[order]
        names, starts = np.unique(bucket[order], return_index=True)
        ends = [*starts[1:].tolist(), len(order)]
        for name, start, end in zip(names.tolist(), starts.tolist(), ends, strict=True):
            table = sorted_rows[start:end].to_arrow(compat_level=pl.CompatLevel.oldest())
            self._writer(name, table.schema).write_table(table)
        self.rows += frame.height

    def read(self, bucket: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """All rows of one bucket, in the order in which they were written; all columns or only these."""
        wanted = list(columns or self.schema)
        pieces = list(self._pieces(bucket, wanted))
        return pl.concat([pl.DataFrame(schema={name: self.schema[name] for name in wanted}), *pieces], rechunk=True)

    def slices(self, bucket: int) -> Iterator[pl.DataFrame]:
        """The rows of one bucket in the pieces in which they were written."""
        yield from self._pieces(bucket, list(self.schema))

    def _pieces(self, bucket: int, columns: list[str]) -> Iterator[pl.DataFrame]:
        path = self._path(bucket)
        if not path.exists():
            return
        names = list(self.schema)
        options = pa.ipc.IpcReadOptions(included_fields=sorted(names.index(name) for name in columns))
        with pa.OSFile(str(path)) as file, pa.ipc.open_file(file, options=options) as reader:
            for index in range(reader.num_record_batches):
                batch = pa.Table.from_batches([reader.get_batch(index)])
                yield pl.DataFrame(pl.from_arrow(batch)).select(columns)

    def drop(self, bucket: int) -> None:
        """Deletes one bucket, read for the last time."""
        self._path(bucket).unlink(missing_ok=True)

    def _writer(self, bucket: int, schema: pa.Schema) -> pa.RecordBatchFileWriter:
        if bucket not in self._writers:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writers[bucket] = pa.ipc.new_file(str(self._path(bucket)), schema, options=options)
        return self._writers[bucket]

    def _path(self, bucket: int) -> Path:
        return self.folder / f"{bucket:04d}.arrow"
