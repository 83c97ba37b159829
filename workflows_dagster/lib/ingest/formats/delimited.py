"""csv and tsv, read record by record: a broken row costs itself, and never hides the rows after it."""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, BinaryIO, Final, Literal

from pydantic import Field

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.rows import BrokenRow, RejectReason, Row, excerpt
from workflows_dagster.lib.ingest.tabular import TabularSource
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
    Literal["standard", "none", "infer"],
    Field(
        description="standard: RFC 4180, double quotes may enclose a field. none: quotes are text. infer: told by the "
        "first lines of each file."
    ),
]
_SEPARATOR: Final = re.compile(r'"?sep=(.)"?[\r\n]*$', re.IGNORECASE)
_SAMPLE_LINES: Final = 1_000
_SAMPLE_CHARS: Final = 262_144


class DelimitedSource(TextSource, TabularSource):
    """A source of files with one record after the other, its fields separated by one character."""

    delimiter: Delimiter = ","
    quoting: Quoting = "standard"
    escape: str | None = Field(
        default=None,
        pattern=r'^[^"\r\n]$',
        description="Character before a quote that is part of a field. Unset: the quote is doubled.",
    )

    def rows(self, content: BinaryIO, file: str) -> Iterator[Row | BrokenRow]:
        r"""The rows of one file, in order.

        Lines end at \n, \r\n or \r. Blank lines are no rows. A record whose quotes do not close, close in the middle
        of a field, or run beyond MAX_RECORD_CHARS is rejected by its first physical line, and reading goes on at the
        line after it: one stray quote costs one row, not the rest of the file. A first line such as `sep=;` names the
        delimiter of its file, as Excel does.
        """
        with self.open_text(content, newline="") as text:
            lines = Lines(text)
            lines.skip(self.skip_lines)
            delimiter = self.delimiter
            if named := _SEPARATOR.match("".join(lines.ahead(1, 1))):
                delimiter = named[1]
                lines.skip(1)
            quoted = self.quoting == "standard" or (self.quoting == "infer" and self._looks_quoted(lines, delimiter))
            records = self._records(lines, delimiter, quoted)
            names = self._header(lines, records, file, delimiter) if self.names is None else self.names
            if names is None:
                return
            pick, width, row = self.picker(names, file), len(names), 0
            in_halves = False
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
                problem = _problem(lines, fields, width)
                if self.quoting == "infer" and not quoted:
                    if in_halves and problem is None and fields[0].endswith('"') and not fields[0].startswith('"'):
                        problem = RejectReason.BAD_QUOTING, "the end of a field in quotes: set quoting: standard"
                    in_halves = problem is not None and (in_halves or fields[0].startswith('"'))
                if problem:
                    yield BrokenRow(row, lines.line, *problem, excerpt("".join(lines.taken)))
                else:
                    yield Row(row, lines.line, pick(fields))

    def _idle_escapes_doubled(self, lines: Lines, delimiter: str) -> Iterator[str]:
        """The lines with an escape that escapes nothing, as in a path, made part of its field: csv drops it."""
        if self.escape is None:
            return lines
        escape, special = re.escape(self.escape), re.escape(f'"{delimiter}{self.escape}\r\n')
        idle = re.compile(f"{escape}([{special}])|{escape}")
        return map(lambda line: idle.sub(lambda found: found[0] * (1 if found[1] else 2), line), lines)

    def _looks_quoted(self, lines: Lines, delimiter: str) -> bool:
        """Whether quotes enclose fields, by the first lines: a file of quoted fields has sound records only as such."""
        sample = lines.ahead(_SAMPLE_LINES, _SAMPLE_CHARS)
        plain = [line.rstrip("\r\n").split(delimiter) for line in sample if line.strip("\r\n")]
        if not any(field.startswith('"') for fields in plain for field in fields):
            return False
        width = len(self.names or plain[0])
        quoted: list[list[str]] = []
        try:
            quoted.extend(fields for fields in csv.reader(sample, delimiter=delimiter, strict=True) if fields)
        except csv.Error as error:
            # The last record may go on beyond the sample.
            if "unexpected end of data" not in str(error) or len(sample) < _SAMPLE_LINES:
                return False
        if any(len(fields) != width for fields in quoted):
            return False
        if any(len(fields) != width for fields in plain):
            return True
        bodies = plain[1:] if self.header else plain
        enclosed = [
            [len(field) > 1 and field[0] == field[-1] == '"' for field in column]
            for column in zip(*bodies, strict=True)
        ]
        doubled = any('""' in field[1:-1] and field[0] == field[-1] == '"' for row in bodies for field in row if field)
        return doubled or any(len(column) > 1 and all(column) for column in enclosed)

    def _records(self, lines: Lines, delimiter: str, quoted: bool) -> Iterator[list[str]]:
        if not quoted:
            return _UnquotedRecords(lines, delimiter)
        # strict: a quote that closes before the end of its field is an error, not silently part of the text.
        return csv.reader(
            self._idle_escapes_doubled(lines, delimiter), delimiter=delimiter, escapechar=self.escape, strict=True
        )

    def _header(self, lines: Lines, records: Iterator[list[str]], file: str, delimiter: str) -> Sequence[str] | None:
        """The column names, or None where the file holds no record at all."""
        try:
            for fields in records:
                lines.begin()
                if fields:
                    return fields
        except (csv.Error, RecordTooLongError, QuoteStaysOpenError) as error:
            raise SourceUnreadableError(
                f"the header of {file} in source {self.name} cannot be read",
                given=f"{excerpt(lines.taken[0])} ({error or 'too long'})",
                expected=f"column names separated by {delimiter!r}",
                remedy="correct the file, or delimiter, quoting, encoding and header of the source",
            ) from error
        return None


class CsvSource(DelimitedSource):
    """A source of csv files."""

    format: Literal["csv"]


class TsvSource(DelimitedSource):
    """A source of tsv files: tabs between fields; quotes enclose fields in some and are text in others."""

    format: Literal["tsv"]
    delimiter: Delimiter = "\t"
    quoting: Quoting = "infer"


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
