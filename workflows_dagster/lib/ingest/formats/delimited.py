"""csv and tsv, read record by record: a broken row costs itself, and never hides the rows after it."""

import csv
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Annotated, BinaryIO, Literal, Self

from pydantic import Field, model_validator

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.rows import BrokenRow, RejectReason, Row, excerpt
from workflows_dagster.lib.ingest.text import (
    MAX_RECORD_CHARS,
    UNDECODABLE_MARK,
    Lines,
    QuoteStaysOpenError,
    RecordTooLongError,
    TextSource,
)

Delimiter = Annotated[str, Field(pattern=r'^[^"\r\n]$', description="Stands between two fields.")]
Quoting = Annotated[
    Literal["standard", "none"],
    Field(description="standard: RFC 4180, double quotes may enclose a field. none: quotes are text."),
]


class DelimitedSource(TextSource):
    """A source of files with one record after the other, its fields separated by one character."""

    header: bool = Field(default=True, description="Whether the first record names the columns.")
    names: tuple[str, ...] | None = Field(default=None, description="The column names, where there is no header.")
    delimiter: Delimiter = ","
    quoting: Quoting = "standard"
    escape: str | None = Field(
        default=None,
        pattern=r'^[^"\r\n]$',
        description="Character before a quote that is part of a field. Unset: the quote is doubled.",
    )

    @model_validator(mode="after")
    def _columns_are_named(self) -> Self:
        if self.header == (self.names is not None):
            raise ValueError("set either header: true, or header: false and names: the columns in order")
        missing = [name for name in self.columns.names() if self.names is not None and name not in self.names]
        if missing:
            raise ValueError(f"columns names {missing}, which are not in names {list(self.names or ())}")
        return self

    def rows(self, content: BinaryIO, file: str) -> Iterator[Row | BrokenRow]:
        r"""The rows of one file, in order.

        Lines end at \n, \r\n or \r. Blank lines are no rows. A record whose quotes do not close, close in the middle
        of a field, or run beyond MAX_RECORD_CHARS is rejected by its first physical line, and reading goes on at the
        line after it: one stray quote costs one row, not the rest of the file.
        """
        with self.open_text(content, newline="") as text:
            lines = Lines(text)
            records = self._records(lines)
            names = self._header(lines, records, file) if self.names is None else self.names
            if names is None:
                return
            pick, width, row = self._picker(names, file), len(names), 0
            while True:
                lines.begin()
                try:
                    fields = next(records)
                except StopIteration:
                    return
                except (csv.Error, RecordTooLongError, QuoteStaysOpenError) as error:
                    row += 1
                    yield _give_up(lines, row, error)
                    continue
                if not fields:
                    continue
                row += 1
                if problem := _problem(lines, fields, width):
                    yield BrokenRow(row, lines.line, *problem, excerpt("".join(lines.taken)))
                else:
                    yield Row(row, lines.line, pick(fields))

    def _records(self, lines: Lines) -> Iterator[list[str]]:
        if self.quoting == "none":
            return _UnquotedRecords(lines, self.delimiter)
        # strict: a quote that closes before the end of its field is an error, not silently part of the text.
        return csv.reader(lines, delimiter=self.delimiter, escapechar=self.escape, strict=True)

    def _header(self, lines: Lines, records: Iterator[list[str]], file: str) -> Sequence[str] | None:
        """The column names, or None where the file holds no record at all."""
        try:
            for fields in records:
                lines.begin()
                if fields:
                    return fields
        except (csv.Error, RecordTooLongError) as error:
            raise SourceUnreadableError(
                f"the header of {file} in source {self.name} cannot be read",
                given=f"{excerpt(lines.taken[0])} ({error or 'too long'})",
                expected=f"column names separated by {self.delimiter!r}",
                remedy="correct the file, or delimiter, quoting, encoding and header of the source",
            ) from error
        return None

    def _picker(self, names: Sequence[str], file: str) -> Callable[[Sequence[str]], tuple[str, ...]]:
        """A function that takes the mapped columns out of the fields of a record."""
        self.require_columns(names, file)
        indexes = [names.index(name) for name in self.columns.names()]
        if len(indexes) == 1:
            only = indexes[0]
            return lambda fields: (fields[only],)
        return itemgetter(*indexes)


class CsvSource(DelimitedSource):
    """A source of csv files."""

    format: Literal["csv"]


class TsvSource(DelimitedSource):
    """A source of tsv files: tabs between fields, and quotes are text."""

    format: Literal["tsv"]
    delimiter: Delimiter = "\t"
    quoting: Quoting = "none"


class _UnquotedRecords:
    """The records of lines without quoting. Not a generator: it must live on after an error."""

    def __init__(self, lines: Lines, delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        line = next(self._lines).rstrip("\r\n")
        return line.split(self._delimiter) if line else []


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


def _give_up(lines: Lines, row: int, error: Exception) -> BrokenRow:
    """Rejects the first line of the record under way and lets reading go on after it."""
    first = lines.resume_after_first()
    if isinstance(error, RecordTooLongError) and len(first) > MAX_RECORD_CHARS:
        reason, detail = RejectReason.RECORD_TOO_LONG, f"a line of more than {MAX_RECORD_CHARS} characters"
    elif isinstance(error, QuoteStaysOpenError):
        reason, detail = RejectReason.BAD_QUOTING, "a quote that does not enclose a whole field"
    elif isinstance(error, RecordTooLongError):
        reason, detail = RejectReason.BAD_QUOTING, f"a quote that does not close within {MAX_RECORD_CHARS} characters"
    else:
        reason, detail = RejectReason.BAD_QUOTING, f"quotes that do not enclose a whole field ({error})"
    return BrokenRow(row, lines.line, reason, detail, excerpt(first))
