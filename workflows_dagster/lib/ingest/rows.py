"""The rows of a source file as every format yields them: whole or broken, in the order of the file."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple

EXCERPT_CHARS: Final = 200
MAX_CELL_CHARS: Final = 131_072
"""Longest cell that is kept: the limit of Python's csv module for one field. No review comes near."""


class RejectReason(StrEnum):
    """Why a row is not in raw_reviews: the closed list. The detail of a reject says what was given and expected."""

    UNDECODABLE = "undecodable"
    NUL_BYTE = "nul_byte"
    BAD_QUOTING = "bad_quoting"
    TOO_FEW_FIELDS = "too_few_fields"
    TOO_MANY_FIELDS = "too_many_fields"
    RECORD_TOO_LONG = "record_too_long"
    BROKEN_JSON = "broken_json"
    NOT_AN_OBJECT = "not_an_object"
    WRONG_TYPE = "wrong_type"
    MISSING_TEXT = "missing_text"
    INVALID_STARS = "invalid_stars"
    UNKNOWN_LABEL = "unknown_label"


class Row(NamedTuple):
    """A row that could be read.

    Attributes:
        row: 1-based number of the data row in its file.
        line: 1-based physical line where it starts, None for binary formats.
        cells: Values as text, in the order of the mapped columns; None where there is none.
    """

    row: int
    line: int | None
    cells: Sequence[str | None]


class BrokenRow(NamedTuple):
    """A row that could not be read."""

    row: int
    line: int | None
    reason: RejectReason
    detail: str
    excerpt: str


class RowRejectedError(Exception):
    """A row that cannot be kept; its arguments are the reason and the detail."""


def excerpt(text: str) -> str:
    """The first characters of a broken row, in a form that can be stored."""
    return text[:EXCERPT_CHARS].encode("utf-8", "replace").decode()


def value_at(record: Mapping[str, Any], name: str) -> Any:
    """The value of a column: of exactly that name, else inside the objects that its dots lead into; None if neither."""
    if name in record or "." not in name:
        return record.get(name)
    value: Any = record
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def cell(value: Any, name: str) -> str | None:
    """A typed value as text, the way a csv export would write it.

    Args:
        value: From JSON or Arrow.
        name: Name of its column.

    Raises:
        RowRejectedError: The value has a type that is no cell, or cannot be stored.
    """
    match value:
        case None:
            return None
        case str() | bytes() if len(value) > MAX_CELL_CHARS:
            detail = f"{name} has {len(value):,} characters: expected at most {MAX_CELL_CHARS:,}"
            raise RowRejectedError(RejectReason.RECORD_TOO_LONG, detail)
        case str():
            return value if value.isascii() else _without_surrogates(value, name)
        case bytes():
            return _decoded(value, name)
        case bool():
            return str(value).lower()
        case float() if math.isnan(value):
            return None
        case float() if value.is_integer():
            return str(int(value))  # pandas writes an id column that once held a null as 17.0
        case datetime():
            return value.replace(tzinfo=value.tzinfo or UTC).isoformat()
        case int() | float() | date() | Decimal():
            return str(value)
        case _:
            detail = f"{name} is of type {type(value).__name__}: expected text, a number, a date or nothing"
            raise RowRejectedError(RejectReason.WRONG_TYPE, detail)


def _decoded(value: bytes, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        detail = f"{name} holds bytes that are not UTF-8"
        raise RowRejectedError(RejectReason.UNDECODABLE, detail) from error


def _without_surrogates(value: str, name: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        # JSON may spell a lone surrogate, which no encoding can store.
        detail = f"{name} holds a lone surrogate: expected whole characters"
        raise RowRejectedError(RejectReason.UNDECODABLE, detail) from error
    return value
