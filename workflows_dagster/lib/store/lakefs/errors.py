"""The store's errors for what lakeFS answers; pkg/api/controller.go of the server chooses the status codes."""

import re
from typing import TYPE_CHECKING, cast

import urllib3

from workflows_dagster.lib.errors import (
    ConflictError,
    NotPublishedError,
    QualityGateError,
    StoreError,
    StorePermissionError,
    StoreUnavailableError,
    WorkflowError,
)

if TYPE_CHECKING:
    from lakefs.exceptions import ServerException

_TRANSIENT = {
    0,  # the TLS handshake failed: no answer at all
    408,
    429,  # too many writers of one branch, or a rate limit
    500,  # "branch is currently locked, try again later"
    502,
    503,  # the key-value store behind lakeFS throttles
    504,
}


class BadRequestError(StoreError):
    """The server answered 400, as it does to a commit or merge that would change nothing."""


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later, as the transport or the server failed and not the request."""
    from lakefs.exceptions import ServerException

    if isinstance(error, ServerException):
        return error.status_code in _TRANSIENT
    return isinstance(error, urllib3.exceptions.HTTPError)


def answer_text(error: "ServerException") -> str:
    """The status and the message of an answer, one line."""
    # A proxy may answer with any JSON.
    body = cast("object", error.body)
    message = cast("dict[str, object]", body).get("message") if isinstance(body, dict) else None
    text = " ".join(str(message or error.reason or "no message").split())
    return f"HTTP {error.status_code}: {text}"


def unavailable(
    what: str, *, address: str, attempts: int, timeout_s: float, last: BaseException | None
) -> StoreUnavailableError:
    """The error when all attempts failed."""
    from lakefs.exceptions import ServerException

    return StoreUnavailableError(
        f"lakeFS could not {what}: {attempts} attempts at {address} failed",
        given=answer_text(last) if isinstance(last, ServerException) else f"{type(last).__name__}: {last}",
        expected=f"an answer without a pause of more than {timeout_s:g} s",
        remedy="check LAKEFS_ENDPOINT and that the server is up and reachable from here, then run the step again",
    )


def not_lakefs(what: str, *, address: str) -> StoreError:
    """The error for an answer that does not follow the API of lakeFS."""
    return StoreError(
        f"{address} answered, but not as lakeFS does, when asked to {what}",
        given=address,
        expected="the address of a lakeFS server, as http://host:8000",
        remedy="check LAKEFS_ENDPOINT",
    )


def refused(what: str, error: "ServerException", *, page: str) -> WorkflowError:
    """The error for a refusal."""
    answer = answer_text(error)
    match error.status_code:
        case 401 | 403:
            return StorePermissionError(
                f"lakeFS did not let these credentials {what}",
                given=f"{answer} from {page}",
                expected="an access key that may do this; docs/lakefs.md lists the actions needed",
                remedy="check LAKEFS_ACCESS_KEY_ID and LAKEFS_SECRET_ACCESS_KEY, and the policies of their user",
            )
        case 404 | 410:
            return NotPublishedError(
                f"lakeFS could not {what}: there is no such thing, or garbage collection removed it",
                given=f"{answer} from {page}",
                expected="a repository, ref and file that exist",
                remedy="check the names, and the retention rules of the repository (docs/lakefs.md)",
            )
        case 409:
            return ConflictError(
                f"lakeFS could not {what}: something else is there already",
                given=f"{answer} from {page}",
                expected="a name that is free",
                remedy="run the step again",
            )
        case 412:
            return QualityGateError(
                f"a hook of the repository refused to {what}",
                given=f"{answer} from {page}",
                expected="data that the hooks of the repository accept",
                remedy=f"see {_hook_page(answer, page)}, correct the data, run the step again",
            )
        case _:
            kind = BadRequestError if error.status_code == 400 else StoreError
            return kind(
                f"lakeFS refused to {what}",
                given=f"{answer} from {page}",
                expected="a request that lakeFS accepts",
                remedy="read the answer above; the log of the lakeFS server says more",
            )


def _hook_page(answer: str, page: str) -> str:
    run = re.search(r"run id '(\w+)'", answer)
    return f"{page}/actions/{run[1]}" if run else f"{page}/actions"
