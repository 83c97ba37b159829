"""Answers of lakeFS to what it does not do; the texts are those of the server."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Refused(Exception):
    """The server refuses a request.

    Attributes:
        status: HTTP status.
        message: What the body says.
        body: The whole body, where it is not `{"message": ...}`.
    """

    status: int
    message: str
    body: dict[str, Any] | None = None


def not_found(what: str = "") -> Refused:
    """404 as lakeFS words it: "not found", "branch not found"."""
    return Refused(404, f"{what} not found".strip())


def missing(where: str, name: str) -> Refused:
    """400 for a request that lacks what the API specification requires."""
    if where == "body":
        return Refused(
            400, f'request body has an error: doesn\'t match schema: Error at "/{name}": property "{name}" is missing'
        )
    return Refused(400, f'parameter "{name}" in {where} has an error: value is required but missing')


@contextmanager
def prefixed(words: str) -> Generator[None]:
    """Puts words before what a refusal says."""
    try:
        yield
    except Refused as error:
        raise Refused(error.status, f"{words}: {error.message}", error.body) from error
