"""The part of an upload form that holds the content, read in bounded memory."""

from collections.abc import Iterator
from email.message import Message
from email.parser import BytesHeaderParser

from workflows_dagster_tests.lakefs_server.exchange import BLOCK_BYTES, Body
from workflows_dagster_tests.lakefs_server.refusal import Refused

_LONGEST_HEADER = 1 << 14


class Form:
    """A body of type multipart/form-data.

    Args:
        body: The body.
        boundary: What stands between its parts.
    """

    def __init__(self, body: Body, boundary: str) -> None:
        self._body = body
        self._mark = b"\r\n--" + boundary.encode()
        # So the first mark, which begins the body, is found as the others are.
        self._read = b"\r\n"

    def open(self, name: str) -> Message:
        """Goes to a part; returns its headers."""
        for _ in self._until_mark():
            pass
        while not self._starts_with(b"--"):
            headers = self._headers()
            if headers.get_param("name", header="content-disposition") == name:
                return headers
            for _ in self._until_mark():
                pass
        raise Refused(500, f"multipart upload missing key '{name}': http: no such file")

    def content(self) -> Iterator[bytes]:
        """Content of the part that was gone to; the rest of the body is left unread."""
        return self._until_mark()

    def _until_mark(self) -> Iterator[bytes]:
        while self._mark not in self._read:
            # The end of what was read may be the beginning of a mark.
            safe = max(0, len(self._read) - len(self._mark))
            if safe:
                yield self._read[:safe]
                self._read = self._read[safe:]
            self._more()
        content, _, self._read = self._read.partition(self._mark)
        if content:
            yield content

    def _headers(self) -> Message:
        while b"\r\n\r\n" not in self._read:
            if len(self._read) > _LONGEST_HEADER:
                raise Refused(500, "multipart: message too large")
            self._more()
        text, _, self._read = self._read.partition(b"\r\n\r\n")
        return BytesHeaderParser().parsebytes(text.lstrip(b"\r\n"))

    def _starts_with(self, text: bytes) -> bool:
        while len(self._read) < len(text):
            self._more()
        return self._read.startswith(text)

    def _more(self) -> None:
        block = self._body.read(BLOCK_BYTES)
        if not block:
            raise Refused(500, "multipart: NextPart: EOF")
        self._read += block
