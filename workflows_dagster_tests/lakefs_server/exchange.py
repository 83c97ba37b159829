"""A request as the handlers of the API see it, and their answers."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from typing import Any, Protocol
from urllib.parse import parse_qs

from workflows_dagster_tests.lakefs_server.refusal import Refused, missing

BLOCK_BYTES = 1 << 20
_DEFAULT_AMOUNT, _MOST = 100, 1000


class Interrupted(Exception):
    """The client went away before the end of its request."""


class Stream(Protocol):
    """The bytes that come over a connection."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


class Body(Protocol):
    """The body of a request."""

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at its end.

        Raises:
            Interrupted: It is not going to be complete.
        """
        ...


def blocks(body: Body) -> Iterator[bytes]:
    """A body in blocks."""
    while block := body.read(BLOCK_BYTES):
        yield block


class PlainBody:
    """A body of known length."""

    def __init__(self, stream: Stream, length: int) -> None:
        self._stream, self._left = stream, length

    def read(self, size: int) -> bytes:
        wanted = min(size, self._left)
        block = self._stream.read(wanted)
        if len(block) < wanted:
            raise Interrupted
        self._left -= len(block)
        return block


class ChunkedBody:
    """A body of unknown length, which comes in chunks."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self._left, self._ended = stream, 0, False

    def read(self, size: int) -> bytes:
        if not self._left and not self._ended:
            self._left = self._length_of_next()
            self._ended = not self._left
            if self._ended:
                self._expect(b"\r\n")
        wanted = min(size, self._left)
        block = self._stream.read(wanted)
        if len(block) < wanted:
            raise Interrupted
        self._left -= len(block)
        if block and not self._left:
            self._expect(b"\r\n")
        return block

    def _length_of_next(self) -> int:
        line = self._stream.readline(100)
        if not line.endswith(b"\n"):
            raise Interrupted
        return int(line.split(b";")[0], 16)

    def _expect(self, line: bytes) -> None:
        if self._stream.readline(100) != line:
            raise Interrupted


@dataclass(frozen=True)
class Request:
    """A request.

    Attributes:
        names: What the path names, as repository and branch.
        query: Parameters.
        headers: As sent.
        body: To be read once.
    """

    names: dict[str, str]
    query: dict[str, list[str]]
    headers: Message
    body: Body

    def text(self, name: str, default: str = "") -> str:
        """A parameter."""
        return self.query.get(name, [default])[0]

    def required(self, name: str) -> str:
        """A parameter that must be there."""
        if name not in self.query:
            raise missing("query", name)
        if not self.query[name][0]:
            raise Refused(400, f'parameter "{name}" in query has an error: empty value is not allowed')
        return self.query[name][0]

    def flag(self, name: str) -> bool:
        """A parameter that is true or false."""
        return self.text(name).lower() == "true"

    @property
    def amount(self) -> int:
        """How many results a page holds."""
        text = self.text("amount", str(_DEFAULT_AMOUNT))
        if not text.lstrip("-").isdecimal():
            raise Refused(
                400, f'parameter "amount" in query has an error: value {text}: an invalid integer: invalid syntax'
            )
        if int(text) > _MOST or int(text) < -1:
            raise Refused(400, f'parameter "amount" in query has an error: number must be at most {_MOST}')
        return int(text) if int(text) > 0 else _DEFAULT_AMOUNT

    def json(self, *required: str) -> dict[str, Any]:
        """The body, an object with some fields that must be there."""
        text = b"".join(blocks(self.body))
        try:
            fields = json.loads(text or b"{}")
        except ValueError as error:
            raise Refused(400, f"request body has an error: failed to decode request body: {error}") from error
        if not isinstance(fields, dict):
            raise Refused(400, "request body has an error: doesn't match schema: value must be an object")
        for name in required:
            if name not in fields:
                raise missing("body", name)
        return fields


def query_of(text: str) -> dict[str, list[str]]:
    """Parameters of a query string."""
    return parse_qs(text, keep_blank_values=True)


@dataclass(frozen=True)
class Response:
    """An answer.

    Attributes:
        status: HTTP status.
        headers: Headers besides the length.
        content: The body.
        length: Of the body, also where it is not sent (HEAD).
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict[str, str])
    content: Iterable[bytes] = ()
    length: int = 0


def answer(status: int, body: object = None) -> Response:
    """An answer of JSON, or without a body."""
    if body is None:
        return Response(status)
    text = json.dumps(body, separators=(",", ":")).encode() + b"\n"
    return Response(
        status, {"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"}, (text,), len(text)
    )


def refusal(error: Refused) -> Response:
    """The answer that refuses."""
    return answer(error.status, error.body if error.body is not None else {"message": error.message})


def page(results: list[dict[str, Any]], amount: int, key: str) -> Response:
    """A page: of one result more than it holds, the last only says that there are more."""
    shown, more = results[:amount], len(results) > amount
    pagination = {
        "has_more": more,
        "next_offset": shown[-1][key] if more and shown else "",
        "results": len(shown),
        "max_per_page": _MOST,
    }
    return answer(200, {"pagination": pagination, "results": shown})
