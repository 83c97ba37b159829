"""Reads csv and tsv, record by record: a broken row costs itself, never its neighbours in silence."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.catalog import Source
from workflows_dagster.lib.ingest.lines import MAX_RECORD_CHARS, UNDECODABLE_MARK, Lines, RecordTooLongError
from workflows_dagster.lib.ingest.reasons import RejectReason
from workflows_dagster.lib.ingest.records import Broken, Record, excerpt

_NAMES, _NAME_CHARS = 50, 40
"""What an error shows of a header: of a file that has none, it is a row of data."""


def read_delimited(stream: io.TextIOWrapper, source: Source, file: str) -> Iterator[Record | Broken]:
    r"""The rows of a csv or tsv file, in order.

    Lines end at \n, \r\n or \r. Blank lines are no rows. A record whose quotes do not close, close in the middle of a
    field, or run beyond MAX_RECORD_CHARS is rejected by its first physical line, and reading goes on at the line
    after it: one stray quote costs one row, not the rest of the file.

    Raises:
        SourceUnreadableError: The header cannot be read, or lacks a column.
    """
    lines = Lines(stream)
    read = _quoted_reader(lines, source) if source.quoted else _plain_reader(lines, source.separator)
    names = _header(lines, read, source, file) if source.header else list(source.names or ())
    if names is None:
        return
    pick, width, row = _picker(names, source, file), len(names), 0
    while True:
        lines.begin()
        try:
            fields = next(read)
        except StopIteration:
            return
        except (csv.Error, RecordTooLongError) as error:
            row += 1
            yield _give_up(lines, row, error)
            continue
        if not fields:
            continue
        row += 1
        if problem := _problem(lines, fields, width):
            yield Broken(row, lines.line, *problem, excerpt("".join(lines.taken)))
        else:
            yield Record(row, lines.line, pick(fields))


def _quoted_reader(lines: Lines, source: Source) -> Iterator[list[str]]:
    # strict: a quote that closes before the end of its field is an error, not silently part of the text.
    return csv.reader(lines, delimiter=source.separator, escapechar=source.escape, strict=True)


def _plain_reader(lines: Lines, delimiter: str) -> Iterator[list[str]]:
    class Reader:
        """Not a generator: it must live on after an error."""

        def __iter__(self) -> Iterator[list[str]]:
            return self

        def __next__(self) -> list[str]:
            line = next(lines).rstrip("\r\n")
            return line.split(delimiter) if line else []

    return Reader()


def _header(lines: Lines, read: Iterator[list[str]], source: Source, file: str) -> list[str] | None:
    """The column names, or None where the file holds no record at all."""
    try:
        for fields in read:
            lines.begin()
            if fields:
                return fields
    except (csv.Error, RecordTooLongError) as error:
        raise SourceUnreadableError(
            f"the header of {file} in source {source.name} cannot be read",
            given=f"{excerpt(lines.taken[0])} ({error or 'too long'})",
            expected=f"column names separated by {source.separator!r}",
            remedy="correct the file, or delimiter, quoting, encoding and header of the source",
        ) from error
    return None


def _picker(names: Sequence[str], source: Source, file: str) -> Callable[[Sequence[str]], tuple[str, ...]]:
    wanted = source.columns.names()
    absent = [name for name in wanted if names.count(name) != 1]
    if absent:
        raise SourceUnreadableError(
            f"{file} of source {source.name} lacks columns, or holds them more than once: {absent}",
            given=[name[:_NAME_CHARS] for name in names[:_NAMES]],
            expected=f"each of {wanted} once",
            remedy="correct columns, delimiter, quoting or header of the source in sources.yaml",
        )
    indexes = [names.index(name) for name in wanted]
    if len(indexes) == 1:
        only = indexes[0]
        return lambda fields: (fields[only],)
    return itemgetter(*indexes)


def _problem(lines: Lines, fields: Sequence[str], width: int) -> tuple[RejectReason, str] | None:
    for line in lines.taken:
        if UNDECODABLE_MARK in line:
            return RejectReason.UNDECODABLE, "bytes that are not of the source's encoding"
        if "\0" in line:
            return RejectReason.NUL_BYTE, "a NUL character: expected text"
    if len(fields) == width:
        return None
    reason = RejectReason.TOO_FEW_FIELDS if len(fields) < width else RejectReason.TOO_MANY_FIELDS
    return reason, f"{len(fields)} fields: expected {width}"


def _give_up(lines: Lines, row: int, error: Exception) -> Broken:
    """Rejects the first line of the record under way and lets reading go on after it."""
    first = lines.resume_after_first()
    if isinstance(error, RecordTooLongError) and len(first) > MAX_RECORD_CHARS:
        reason, detail = RejectReason.RECORD_TOO_LONG, f"a line of more than {MAX_RECORD_CHARS} characters"
    elif isinstance(error, RecordTooLongError):
        reason, detail = RejectReason.BAD_QUOTING, f"a quote that does not close within {MAX_RECORD_CHARS} characters"
    else:
        reason, detail = RejectReason.BAD_QUOTING, f"quotes that do not enclose a whole field ({error})"
    return Broken(row, lines.line, reason, detail, excerpt(first))
