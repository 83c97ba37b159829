"""Text files: the options of their encoding, and their physical lines, numbered and bounded in length."""

import codecs
import io
import itertools
from collections import deque
from typing import BinaryIO, Final, Literal

from pydantic import Field, field_validator

from workflows_dagster.lib.ingest.rows import MAX_CELL_CHARS
from workflows_dagster.lib.ingest.source import Source

MAX_RECORD_CHARS: Final = MAX_CELL_CHARS
"""Longest record that is read."""

UNDECODABLE_MARK: Final = "\udcff"
"""Stands for bytes that are not of the encoding. A lone surrogate: no decoder yields it of itself."""

_BYTE_ORDER_MARK: Final = "\ufeff"
_HANDLER: Final = "workflows_dagster.mark"


class TextSource(Source):
    """A source whose files are text."""

    encoding: str = Field(default="utf-8", description="Encoding of the files; a byte order mark is dropped.")
    undecodable: Literal["reject", "replace"] = Field(
        default="reject", description="Rows with bytes that are not of the encoding: rejected, or kept with U+FFFD."
    )

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str) -> str:
        try:
            "".encode(encoding)
        except LookupError as error:
            raise ValueError(f"no codec is called {encoding!r}: expected e.g. utf-8, cp1252 or utf-16") from error
        return encoding

    def open_text(self, content: BinaryIO, newline: str) -> io.TextIOWrapper:
        r"""Decodes a file; only the terminators named by `newline` end a line, never U+0085 or U+2028.

        Args:
            content: The decompressed bytes.
            newline: As in `open`: "" for \r, \n and \r\n, untranslated; "\n" for that alone.
        """
        codecs.register_error(_HANDLER, _mark)
        errors = _HANDLER if self.undecodable == "reject" else "replace"
        return io.TextIOWrapper(content, encoding=self.encoding, errors=errors, newline=newline)


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODABLE_MARK, error.end


class RecordTooLongError(Exception):
    """The record under way has passed MAX_RECORD_CHARS."""


class QuoteStaysOpenError(Exception):
    """The record under way has run into a line that an earlier record ran through with an open quote, in vain."""


class Lines:
    """Iterates over the physical lines of a stream, terminators kept.

    The lines of the record under way are held in `taken` until the next `begin`. Where the record turns out to be
    broken, all of them but the first can so be read again. A byte order mark before the first line is dropped.

    Args:
        stream: Opened by `TextSource.open_text`.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._readline = stream.readline
        first = self._readline(MAX_RECORD_CHARS + 1 + len(_BYTE_ORDER_MARK))
        self._pending = deque([first.removeprefix(_BYTE_ORDER_MARK)])
        self._chars = 0
        self._hopeless = 0  # number of the last line that a record which was given up ran into
        self.taken: list[str] = []
        self.line = 1  # number of the first line of the record under way

    def begin(self) -> None:
        """Starts the next record."""
        self.line += len(self.taken)
        self.taken.clear()
        self._chars = 0

    def ahead(self, most_lines: int, most_chars: int) -> list[str]:
        """The lines to come, up to so many; they are still to be read."""
        chars = sum(map(len, self._pending))
        while len(self._pending) < most_lines and chars < most_chars:
            line = self._readline(MAX_RECORD_CHARS + 1)
            if not line:
                break
            self._pending.append(line)
            chars += len(line)
        return list(itertools.islice(self._pending, most_lines))

    def skip(self, count: int) -> None:
        """Passes over so many physical lines, however long they are."""
        for _ in range(count):
            self.begin()
            try:
                next(self)
            except StopIteration:
                return
            except RecordTooLongError:
                self.resume_after_first()

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._pending.popleft() if self._pending else self._readline(MAX_RECORD_CHARS + 1)
        if not line:
            raise StopIteration
        self.taken.append(line)
        self._chars += len(line)
        if self._chars > MAX_RECORD_CHARS:
            raise RecordTooLongError
        # A record goes on into a further line only within quotes. Where an earlier one did so in vain, this one would
        # take the same course: it is given up at once, so that each line is read a bounded number of times.
        if len(self.taken) > 1 and self.line + len(self.taken) - 1 <= self._hopeless:
            raise QuoteStaysOpenError
        return line

    def resume_after_first(self) -> str:
        """Gives up the record under way: returns its first line, and the lines after it will be read again."""
        first, *others = self.taken
        self._hopeless = max(self._hopeless, self.line + len(others))
        self._pending.extendleft(reversed(others))
        self.taken = [first]
        if len(first) > MAX_RECORD_CHARS:
            part = first
            while part and not part.endswith(("\n", "\r")):
                part = self._readline(MAX_RECORD_CHARS)
        return first
