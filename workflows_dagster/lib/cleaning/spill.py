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
"""Each bucket is one open file while rows are appended, up to two tables are written at once, and systems allow 1,024
open files to a process. Beyond this many buckets they grow instead."""


def bucket_count(rows: int, rows_per_bucket: int) -> int:
    """Buckets that `rows` need so that one holds about `rows_per_bucket`."""
    return min(MOST_BUCKETS, max(1, -(-rows // rows_per_bucket)))


class Spill:
    """A table on disk in buckets, written once and read back bucket by bucket.

    Either rows are appended to the buckets that they belong to, inside a `with` statement, and read after it; or whole
    buckets are put one by one.

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

    def append(self, frame: pl.DataFrame, bucket: npt.NDArray[np.int64]) -> None:
        """Appends each row of the frame to the bucket of the same position in `bucket`."""
        if frame.is_empty():
            return
        order = np.argsort(bucket, kind="stable")
        sorted_rows = self._typed(frame)[order]
        names, starts = np.unique(bucket[order], return_index=True)
        ends = [*starts[1:].tolist(), len(order)]
        for name, start, end in zip(names.tolist(), starts.tolist(), ends, strict=True):
            table = _arrow(sorted_rows[start:end])
            if name not in self._writers:
                self._writers[name] = self._writer(name, table.schema)
            self._writers[name].write_table(table)
        self.rows += frame.height

    def put(self, frame: pl.DataFrame, bucket: int) -> None:
        """Writes a whole bucket."""
        if frame.is_empty():
            return
        table = _arrow(self._typed(frame).rechunk())
        with self._writer(bucket, table.schema) as writer:
            writer.write_table(table)
        self.rows += frame.height

    def read(self, bucket: int, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """All rows of one bucket, in the order in which they were written; all columns or only these."""
        wanted = list(columns or self.schema)
        empty = pl.DataFrame(schema={name: self.schema[name] for name in wanted})
        return pl.concat([empty, *self.pieces(bucket, wanted)], rechunk=True)

    def pieces(self, bucket: int, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows of one bucket in the pieces in which they were written; all columns or only these."""
        path = self._path(bucket)
        if not path.exists():
            return
        names, wanted = list(self.schema), list(columns or self.schema)
        options = pa.ipc.IpcReadOptions(included_fields=sorted(names.index(name) for name in wanted))
        with pa.OSFile(str(path)) as file, pa.ipc.open_file(file, options=options) as reader:
            for index in range(reader.num_record_batches):
                batch = pa.Table.from_batches([reader.get_batch(index)])
                yield pl.DataFrame(pl.from_arrow(batch)).select(wanted)

    def drop(self, bucket: int) -> None:
        """Deletes one bucket, read for the last time."""
        self._path(bucket).unlink(missing_ok=True)

    def _typed(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(pl.col(name).cast(kind) for name, kind in self.schema.items())

    def _writer(self, bucket: int, schema: pa.Schema) -> pa.RecordBatchFileWriter:
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        return pa.ipc.new_file(str(self._path(bucket)), schema, options=options)

    def _path(self, bucket: int) -> Path:
        return self.folder / f"{bucket:04d}.arrow"


def _arrow(frame: pl.DataFrame) -> pa.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
