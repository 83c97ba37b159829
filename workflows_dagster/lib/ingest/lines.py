"""Physical lines of a text stream: numbered, bounded in length, and possible to hand back."""

import codecs
import io
from collections import deque
from typing import BinaryIO, Final

from workflows_dagster.lib.ingest.catalog import Source

MAX_RECORD_CHARS: Final = 131_072
"""Longest record that is read: the limit of Python's csv module for one field. No review comes near."""

UNDECODABLE_MARK: Final = "\udcff"
"""Stands for bytes that are not of the encoding. A lone surrogate: no decoder yields it of itself."""

_BYTE_ORDER_MARK: Final = "\ufeff"
_HANDLER: Final = "workflows_dagster.mark"


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return UNDECODABLE_MARK, error.end


class RecordTooLongError(Exception):
    """The record under way has passed MAX_RECORD_CHARS."""


class Lines:
    r"""Iterates over the physical lines of a stream, terminators kept.

    The lines of the record under way are held in `taken` until the next `begin`, so that a record that turns out
    to be broken can be handed back but for its first line. A byte order mark before the first line is dropped.

    Args:
        stream: Text stream opened by `open_text`.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._readline = stream.readline
        first = self._readline(MAX_RECORD_CHARS + 1 + len(_BYTE_ORDER_MARK))
        self._pending = deque([first.removeprefix(_BYTE_ORDER_MARK)])
        self._chars = 0
        self.taken: list[str] = []
        self.line = 1  # number of the first line of the record under way

    def begin(self) -> None:
        """Starts the next record."""
        self.line += len(self.taken)
        self.taken.clear()
        self._chars = 0

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
        return line

    def resume_after_first(self) -> str:
        """Gives up the record under way: its first line is returned, the others will be read again."""
        first, *others = self.taken
        self._pending.extendleft(reversed(others))
        self.taken = [first]
        if len(first) > MAX_RECORD_CHARS:
            self._skip_rest_of_line(first)
        return first

    def _skip_rest_of_line(self, part: str) -> None:
        while part and not part.endswith(("\n", "\r")):
            part = self._readline(MAX_RECORD_CHARS)


def open_text(stream: BinaryIO, source: Source, newline: str) -> io.TextIOWrapper:
    r"""Decodes a byte stream; only the terminators named by `newline` end a line, never U+0085 or U+2028.

    Args:
        stream: The decompressed bytes.
        source: Names the encoding and what to do with bytes that are not of it.
        newline: As in `open`: "" for \r, \n and \r\n, untranslated; "\n" for that alone.
    """
    codecs.register_error(_HANDLER, _mark)
    return io.TextIOWrapper(
        stream,
        encoding=source.encoding,
        errors=_HANDLER if source.undecodable == "reject" else "replace",
        newline=newline,
    )
