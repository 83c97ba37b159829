"""jsonl: one JSON object on each line."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Literal

from workflows_dagster.lib.ingest.rows import BrokenRow, RejectReason, Row, RowRejectedError, cell, excerpt
from workflows_dagster.lib.ingest.text import (
    MAX_RECORD_CHARS,
    UNDECODABLE_MARK,
    Lines,
    RecordTooLongError,
    TextSource,
)


class JsonlSource(TextSource):
    """A source of jsonl files."""

    format: Literal["jsonl"]

    def rows(self, content: BinaryIO, file: str) -> Iterator[Row | BrokenRow]:
        r"""The rows of one file, in order. Lines end at \n alone; blank ones are no rows.

        An object may lack a mapped column: JSON leaves out what is empty.
        """
        with self.open_text(content, newline="\n") as text:
            lines, wanted, row = Lines(text), self.columns.names(), 0
            while True:
                lines.begin()
                try:
                    line = next(lines)
                except StopIteration:
                    return
                except RecordTooLongError:
                    row += 1
                    detail = f"a line of more than {MAX_RECORD_CHARS} characters"
                    first = lines.resume_after_first()
                    yield BrokenRow(row, lines.line, RejectReason.RECORD_TOO_LONG, detail, excerpt(first))
                    continue
                if not line.strip():
                    continue
                row += 1
                try:
                    fields = _parse(line)
                    yield Row(row, lines.line, [cell(fields.get(name), name) for name in wanted])
                except RowRejectedError as problem:
                    reason, detail = problem.args
                    yield BrokenRow(row, lines.line, reason, detail, excerpt(line))


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
