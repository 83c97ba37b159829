"""json: one array of objects, at the top of a file or under a key, or objects one after the other."""

import io
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, BinaryIO, Final, Literal

from pydantic import Field

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.rows import BrokenRow, RejectReason, Row, RowRejectedError, cell, excerpt, value_at
from workflows_dagster.lib.ingest.text import UNDECODABLE_MARK, TextSource

MAX_RECORD_CHARS: Final = 4 * 1024**2
"""Most characters between the ends of two records: what is held in memory of a file."""

MAX_LEVELS: Final = 100
TOO_LARGE: Final = object()
"""Stands for a record that was passed over because of its size."""

_PART_CHARS: Final = 32
"""What a part of a record is counted as, besides its text."""

_CHUNK_CHARS: Final = 65_536
_STORABLE_MARK: Final = "\ufdd0"
"""Stands for UNDECODABLE_MARK where only whole characters may stand: no text has it, by definition."""

_TOP: Final = ""
_KEYS_SHOWN, _KEY_CHARS = 20, 40


class JsonSource(TextSource):
    """A source of files that are one JSON document."""

    format: Literal["json"]
    records: str | None = Field(
        default=None,
        description="Key of the array that holds the records, in a nested document with dots: data.reviews. Unset: the "
        "document is the array, or objects one after the other.",
    )

    def rows(self, content: BinaryIO, file: str) -> Iterator[Row | BrokenRow]:
        """The rows of one file, in order. An object may lack a mapped column: JSON leaves out what is empty.

        Raises:
            SourceUnreadableError: It is not JSON up to its end, or holds no array where it should.
        """
        wanted = self.columns.names()
        with self.open_text(content, newline="") as text:
            for row, record in enumerate(self._records(text, file), 1):
                try:
                    yield Row(row, None, self._cells(record, wanted))
                except RowRejectedError as problem:
                    reason, detail = problem.args
                    yield BrokenRow(row, None, reason, detail, excerpt("" if record is TOO_LARGE else str(record)))

    def _cells(self, record: Any, wanted: Sequence[str]) -> list[str | None]:
        if record is TOO_LARGE:
            detail = f"a record of more than {MAX_RECORD_CHARS:,} characters or {MAX_LEVELS} levels"
            raise RowRejectedError(RejectReason.RECORD_TOO_LONG, detail)
        if not isinstance(record, Mapping):
            detail = f"{type(record).__name__}: expected an object"
            raise RowRejectedError(RejectReason.NOT_AN_OBJECT, detail)
        return [_sound(cell(value_at(record, name), name)) for name in wanted]

    def _records(self, text: io.TextIOWrapper, file: str) -> Iterator[Any]:
        """The records, each once it is whole."""
        target = [_TOP, *(self.records.split(".") if self.records else ())]
        path: list[str] = []  # of the open objects and lists above the records: the key of each
        key, inside, found, keys = _TOP, False, False, dict[str, None]()
        build: _Builder | None = None
        found_first = False
        for event, value in self._events(text, file):
            if event == "map_key" and len(keys) < _KEYS_SHOWN and len(path) <= 1:
                keys.setdefault(value[:_KEY_CHARS])
            if build is not None:
                if not build.take(event, value):
                    continue
                if not path and not found_first:
                    self._refuse_document(build.value, list(keys), file)
                found_first = True
                yield build.value
                build = None
            elif event == "map_key":
                key = value
            elif inside and event != "end_array":
                build = _Builder(event, value)
                if build.whole:
                    yield build.value
                    build = None
            elif event.startswith("start"):
                here = [*path, key]
                found = found or here == target
                if here == target and event == "start_map" and self.records is None:
                    build = _Builder(event, value)
                    continue
                inside = here == target and event == "start_array"
                path, key = here, _TOP
            elif event.startswith("end"):
                path, inside = path[:-1], False
            if len(path) > MAX_LEVELS:
                raise self._refused(file, "more levels than any review has", "JSON")
        if not found:
            given = f"no array under {self.records}" if self.records else "neither an array nor an object"
            if keys:
                given = f"{given}; the keys are {', '.join(keys)}"
            raise self._refused(file, given, "an array of objects, under the key that records names")

    def _refuse_document(self, record: Any, keys: Sequence[str], file: str) -> None:
        """Refuses an object at the top of a file that is no record, but holds the array of them."""
        lacks_text = record is TOO_LARGE or value_at(record, self.columns.text) is None
        if lacks_text and (record is TOO_LARGE or any(isinstance(value, list | dict) for value in record.values())):
            given = f"one object with {', '.join(keys)}"
            raise self._refused(
                file, given, "an array of objects; if it lies under one of these keys, set records: KEY"
            )

    def _events(self, text: io.TextIOWrapper, file: str) -> Iterator[tuple[str, Any]]:
        """What the parser meets, in order, piece by piece."""
        import ijson

        events = ijson.sendable_list()
        parser = ijson.basic_parse_coro(events, multiple_values=True)
        since_event = 0
        try:
            while chunk := text.read(_CHUNK_CHARS):
                parser.send(chunk.replace(UNDECODABLE_MARK, _STORABLE_MARK).removeprefix("\ufeff").encode("utf-8"))
                since_event = 0 if events else since_event + len(chunk)
                if since_event > MAX_RECORD_CHARS:
                    raise self._refused(file, "a value of more than 4,194,304 characters", "reviews")
                yield from events
                events.clear()
            parser.close()
            yield from events
        # SystemError: ijson meets an integer of thousands of digits, which Python refuses, without care.
        except (ijson.JSONError, ValueError, OverflowError, SystemError) as error:
            if isinstance(error, SourceUnreadableError):
                raise
            given = " ".join(str(error).split())[:300]
            raise self._refused(file, f"not JSON up to its end: {given}", "one whole JSON document") from error

    def _refused(self, file: str, given: str, expected: str) -> SourceUnreadableError:
        return SourceUnreadableError(
            f"{file} of source {self.name} cannot be read as JSON",
            given=given,
            expected=expected,
            remedy="correct the file, or format and records of the source",
        )


class _Builder:
    """One record, made of the events of its parts; TOO_LARGE where they are more than any review has."""

    def __init__(self, event: str, value: Any) -> None:
        self._open: list[Any] = []
        self._keys: list[str] = []
        self._left = MAX_RECORD_CHARS
        self.value: Any = None
        self.whole = self.take(event, value)

    def take(self, event: str, value: Any) -> bool:
        """Adds a part; returns whether the record is whole."""
        self._left -= _PART_CHARS + (len(value) if isinstance(value, str) else 0)
        if event == "map_key":
            self._keys[-1] = value
            return False
        if event in ("end_map", "end_array"):
            self._open.pop()
            self._keys.pop()
            return not self._open
        if isinstance(value, Decimal):
            value = float(value)  # as the other formats have it
        made: Any = {} if event == "start_map" else [] if event == "start_array" else value
        if self._left < 0 or len(self._open) > MAX_LEVELS:
            self.value = TOO_LARGE
        elif not self._open:
            self.value = made
        elif isinstance(self._open[-1], dict):
            self._open[-1][self._keys[-1]] = made
        else:
            self._open[-1].append(made)
        if event in ("start_map", "start_array"):
            self._open.append(made)
            self._keys.append("")
        return not self._open


def _sound(value: str | None) -> str | None:
    if value is not None and _STORABLE_MARK in value:
        raise RowRejectedError(RejectReason.UNDECODABLE, "bytes that are not of the source's encoding")
    return value
