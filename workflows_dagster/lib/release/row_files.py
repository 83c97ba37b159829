"""Rows written to a file or stream as csv, tsv, jsonl or Parquet, a part at a time; a file appears whole or not at all.

A process that serves a model imports this module: the library of Parquet is loaded where such a file is written.
"""

import csv
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TextIO
from uuid import uuid4

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.store.disk import disk_errors
from workflows_dagster.lib.store.durable import sync

Row = Mapping[str, Any]
"""Values by name; a mapping among them is a column for each of its keys, except in jsonl."""

Columns = Mapping[str, type[int | float | str | bool]]
"""Type of each column, in their order."""

Write = Callable[[Sequence[Row]], None]
"""Adds rows."""


@contextmanager
def writing(path: Path, columns: Columns) -> Generator[Write]:
    """Writes rows into a file in the format that its name ends with; the file appears when the block ends well.

    Args:
        path: The file; one that is there is replaced.
        columns: Its columns.

    Raises:
        ConfigurationError: The name ends with none of the formats.
        StorePermissionError: The folder may not be written.
        StoreUnavailableError: The folder is not there, or the disk is full.
    """
    opened = _opener(path)
    aside = path.with_name(f".{path.name}-{uuid4().hex[:8]}")
    with disk_errors(path):
        try:
            with opened(aside, columns) as write:
                yield write
            sync(aside)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def require_writable(path: Path) -> None:
    """Refuses a file of a format that cannot be written, before any work is done for it.

    Raises:
        ConfigurationError: The name ends with none of the formats.
    """
    _opener(path)


def to_jsonl(stream: TextIO) -> Write:
    """Writes each row as one JSON object on a line."""

    def write(rows: Sequence[Row]) -> None:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    return write


def to_csv(stream: TextIO, columns: Columns) -> Write:
    """Writes a header, then a record for each row."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)

    def write(rows: Sequence[Row]) -> None:
        writer.writerows([_shown(value) for value in flat(row).values()] for row in rows)

    return write


def to_tsv(stream: TextIO, columns: Columns) -> Write:
    """Writes a header, then a line for each row, without quotes: tabs and line ends inside of a text become blanks."""
    stream.write("\t".join(columns) + "\n")

    def write(rows: Sequence[Row]) -> None:
        stream.writelines(
            "\t".join(" ".join(_shown(value).split()) for value in flat(row).values()) + "\n" for row in rows
        )

    return write


def flat(row: Row) -> dict[str, Any]:
    """The row with a column for each key of the mappings in it."""
    spread: dict[str, Any] = {}
    for name, value in row.items():
        spread.update(value if isinstance(value, Mapping) else {name: value})
    return spread


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.6f}"
        case _:
            return str(value)


@contextmanager
def _text(path: Path, columns: Columns, start: Callable[[TextIO, Columns], Write]) -> Generator[Write]:
    with path.open("w", encoding="utf-8", newline="") as stream:
        yield start(stream, columns)


@contextmanager
def _parquet(path: Path, columns: Columns) -> Generator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {int: pa.int64(), float: pa.float32(), str: pa.string(), bool: pa.bool_()}
    schema = pa.schema([pa.field(name, types[kind]) for name, kind in columns.items()])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        yield lambda rows: writer.write_table(pa.Table.from_pylist([flat(row) for row in rows], schema))


_FORMATS: Final[Mapping[str, Callable[[Path, Columns], AbstractContextManager[Write]]]] = MappingProxyType(
    {
        ".csv": lambda path, columns: _text(path, columns, to_csv),
        ".tsv": lambda path, columns: _text(path, columns, to_tsv),
        ".jsonl": lambda path, columns: _text(path, columns, lambda stream, _: to_jsonl(stream)),
        ".parquet": _parquet,
    }
)


def _opener(path: Path) -> Callable[[Path, Columns], AbstractContextManager[Write]]:
    found = _FORMATS.get(path.suffix.lower())
    if found is None:
        raise ConfigurationError(
            "the format of the file to write is told by its name",
            given=str(path),
            expected=f"a name that ends with {', '.join(_FORMATS)}",
            remedy="name it so",
        )
    return found
