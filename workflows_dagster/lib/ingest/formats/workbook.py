"""xlsx and ods: the rows of one sheet, read by a process whose memory is bounded."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final, Literal

from pydantic import Field

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.rows import BrokenRow, RejectReason, Row, RowRejectedError, cell, excerpt
from workflows_dagster.lib.ingest.tabular import TabularSource

MEMORY_BYTES: Final = 1024**3
"""Most memory of the process that reads a workbook."""

_READER: Final = Path(__file__).with_name("workbook_rows.py")
_MOST_ROW_CHARS: Final = 4 * 1024**2


class WorkbookSource(TabularSource):
    """A source of workbooks, of each of which one sheet is read."""

    IS_ZIP: ClassVar[bool] = True

    format: Literal["xlsx", "ods"]
    sheet: str = Field(default="", description="Name of the sheet. Unset: the first.")

    def rows(self, content: BinaryIO, file: str) -> Iterator[Row | BrokenRow]:
        """The rows of one file, in order; `line` is the number of the row in the sheet. Blank ones are no rows.

        Raises:
            SourceUnreadableError: It is no workbook, lacks the sheet or a column, or needs too much memory.
        """
        rows = ((line, cells) for line, cells in self._sheet(content, file) if line > self.skip_lines and any(cells))
        names = self.names
        if names is None:
            header = next(rows, None)
            if header is None:
                return
            names = tuple("" if name is None else _shown(name) for name in header[1])
        pick, wanted = self.picker(names, file), self.columns.names()
        for row, (line, cells) in enumerate(rows, 1):
            padded = [*cells, *(None for _ in range(len(names) - len(cells)))]
            try:
                yield Row(row, line, [cell(value, name) for value, name in zip(pick(padded), wanted, strict=True)])
            except RowRejectedError as problem:
                reason, detail = problem.args
                yield BrokenRow(row, line, RejectReason(reason), detail, excerpt(str(cells)))

    def _sheet(self, content: BinaryIO, file: str) -> Iterator[tuple[int, list[Any]]]:
        """The number and the cells of each row."""
        with tempfile.NamedTemporaryFile() as copy:
            shutil.copyfileobj(content, copy)
            copy.flush()
            command = [sys.executable, "-P", str(_READER), copy.name, self.sheet, str(MEMORY_BYTES)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
                if process.stdout is None:
                    raise ValueError("a process without its output")
                try:
                    line = 0
                    while text := process.stdout.readline(_MOST_ROW_CHARS):
                        if not text.endswith("\n"):
                            break  # killed in the middle of a row, or a row of any length
                        said = json.loads(text)
                        if isinstance(said, list):
                            yield line, said
                            line += 1
                        elif problem := said.get("problem"):
                            raise self._unreadable(file, problem)
                        else:
                            line = said["first"]
                finally:
                    process.kill()
            if process.returncode or (not text.endswith("\n") and text):
                raise self._unreadable(file, f"a sheet that needs more than {MEMORY_BYTES // 1024**2:,} MiB of memory")

    def _unreadable(self, file: str, given: str) -> SourceUnreadableError:
        return SourceUnreadableError(
            f"{file} of source {self.name} cannot be read as a workbook",
            given=given,
            expected=f"an {self.format} workbook with a sheet of reviews",
            remedy="correct sheet of the source, or save the sheet as csv",
        )


def _shown(name: object) -> str:
    return cell(name, "the header") or ""
