"""jsonl: one JSON object on each line."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final, Literal

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.rows import BrokenRow, RejectReason, Row, RowRejectedError, cell, excerpt, value_at
from workflows_dagster.lib.ingest.text import (
    MAX_RECORD_CHARS,
    UNDECODABLE_MARK,
    Lines,
    RecordTooLongError,
    TextSource,
)

_LINES_BEFORE_DOUBT: Final = 1_000
_SHOWN_CHARS: Final = 60
_OPENINGS: Final = ("[", "{", "[{")


class JsonlSource(TextSource):
    """A source of jsonl files."""

    format: Literal["jsonl"]

    def rows(self, content: BinaryIO, file: str) -> Iterator[Row | BrokenRow]:
        r"""The rows of one file, in order. Lines end at \n, \r\n or \r; blank ones are no rows.

        An object may lack a mapped column: JSON leaves out what is empty.
        """
        with self.open_text(content, newline="") as text:
            lines, wanted, row, read, first = Lines(text), self.columns.names(), 0, 0, ""
            while True:
                lines.begin()
                broken: BrokenRow | None = None
                try:
                    line = next(lines)
                except StopIteration:
                    break
                except RecordTooLongError:
                    detail = f"a line of more than {MAX_RECORD_CHARS} characters"
                    line = lines.resume_after_first()
                    broken = BrokenRow(row + 1, lines.line, RejectReason.RECORD_TOO_LONG, detail, excerpt(line))
                if not line.strip():
                    continue
                row, first = row + 1, first or line
                if not read and (row == _LINES_BEFORE_DOUBT or line.strip() in _OPENINGS):
                    self._refuse_other_layout(first, file)
                if broken is None:
                    try:
                        fields = _parse(line)
                        yield Row(row, lines.line, [cell(value_at(fields, name), name) for name in wanted])
                        read += 1
                        continue
                    except RowRejectedError as problem:
                        reason, detail = problem.args
                        broken = BrokenRow(row, lines.line, reason, detail, excerpt(line))
                yield broken
            if not read:
                self._refuse_other_layout(first, file)

    def _refuse_other_layout(self, first: str, file: str) -> None:
        """Refuses a file of which no line could be read, where its first line shows what it is."""
        start = first.strip()
        if start.startswith("[") or start in _OPENINGS:
            given, remedy = "JSON over several lines, or one array", "set format: json"
        elif start.startswith("{'"):
            given, remedy = "lines of Python dicts", "write each with json.dumps: JSON has double quotes"
        else:
            return
        raise SourceUnreadableError(
            f"{file} of source {self.name} is not what the source says",
            given=f"{given}: {excerpt(start)[:_SHOWN_CHARS]}",
            expected="one JSON object on each line",
            remedy=remedy,
        )


def _parse(line: str) -> Mapping[str, Any]:
    if UNDECODABLE_MARK in line:
        raise RowRejectedError(RejectReason.UNDECODABLE, "bytes that are not of the source's encoding")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        detail = f"not JSON: {error}" if isinstance(error, ValueError) else "nested too deeply"
        raise RowRejectedError(RejectReason.BROKEN_JSON, detail) from error
    if not isinstance(value, dict):
        raise RowRejectedError(RejectReason.NOT_AN_OBJECT, f"{type(value).__name__}: expected an object")
    return value
