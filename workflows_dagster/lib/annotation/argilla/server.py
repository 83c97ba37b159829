"""The connection to an Argilla server, and its failures as errors that say what to do."""

import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from workflows_dagster.lib.annotation.libraries import load
from workflows_dagster.lib.errors import (
    AnnotationError,
    AnnotationPermissionError,
    AnnotationUnavailableError,
    AnnotationVersionError,
    ConfigurationError,
    WorkflowError,
)

OLDEST_VERSION: Final = (2, 8)
NEXT_MAJOR: Final = 3
_FEATURE: Final = "annotation with Argilla"
_PAUSE_S: Final = 0.5
_UNREACHED: Final = frozenset({502, 503, 504})
"""What a proxy answers when it does not reach the server."""

_Found = TypeVar("_Found")


class AnnotationMissingError(AnnotationError, LookupError):
    """The annotation server does not have, or no longer has, what was asked for."""


@dataclass(frozen=True)
class ArgillaServer:
    """An Argilla server, and how it is asked.

    Attributes:
        url: Its address.
        api_key: The key of its user; never shown.
        workspace: Name of the workspace of the rounds.
        create: Whether a missing workspace is created.
        timeout_s: Longest wait for one answer.
        attempts: How often a request is made that gets no answer, at least 1; refused requests are not repeated.
    """

    url: str
    api_key: str = field(repr=False)
    workspace: str
    create: bool = False
    timeout_s: float = 60.0
    attempts: int = 4

    def __post_init__(self) -> None:
        """Refuses what is no address of a server, without showing a password that it may hold."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise ConfigurationError(
                "ARGILLA_API_URL is not the address of a server",
                given=self.url.rpartition("@")[2],
                expected="http:// or https:// and a host, without a user or password",
                remedy="copy the address of the browser's start page; the key goes into ARGILLA_API_KEY",
            )

    @contextmanager
    def connect(self) -> Generator["Connection"]:
        """A connection for as long as the context lasts.

        Raises:
            AnnotationUnavailableError: No answer.
            AnnotationPermissionError: The key is refused.
            AnnotationVersionError: Something else answers, or another version.
            ConfigurationError: The workspace is missing and not to be created.
            MissingExtraError: The client is not installed.
        """
        with warnings.catch_warnings():
            # argilla 2.8 is written in a style of pydantic that pydantic 3 will drop.
            warnings.simplefilter("ignore", DeprecationWarning)
            argilla = load("argilla", _FEATURE)
        self.patiently(self._check_version)
        # The client checks it too, but leaves its socket open where the key is refused.
        self.patiently(self._check_key)
        client = self.patiently(
            lambda: argilla.Argilla(api_url=self.url, api_key=self.api_key, timeout=self.timeout_s, retries=0)
        )
        try:
            yield Connection(self, argilla, client, self._workspace(argilla, client))
        finally:
            client.http_client.close()

    def patiently(self, action: Callable[[], _Found]) -> _Found:
        """The result of an action, which is repeated while the server does not answer.

        Args:
            action: Asks the server; asking twice must do no more than asking once.
        """
        attempts = Retrying(
            retry=retry_if_exception_type(AnnotationUnavailableError),
            stop=stop_after_attempt(self.attempts),
            wait=wait_exponential(multiplier=_PAUSE_S),
            reraise=True,
        )
        return attempts(lambda: self._translated(action))

    def _translated(self, action: Callable[[], _Found]) -> _Found:
        """The result of an action; its failures are raised as errors of this project."""
        httpx = load("httpx", _FEATURE)
        client_error = load("argilla._exceptions._base", _FEATURE).ArgillaError
        try:
            return action()
        except (client_error, httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._error(error, httpx) from None

    def _error(self, error: BaseException, httpx: Any) -> WorkflowError:
        """The error of this project; it is raised without a cause, because the frames of the client hold the key."""
        # The client wraps what httpx raises in several ways, and loses the status in some.
        found = _first(error, (httpx.TransportError, httpx.HTTPStatusError))
        if isinstance(found, httpx.HTTPStatusError):
            return self._refusal(found.response.status_code, found.response.text[:500])
        if isinstance(found, httpx.TransportError) and not isinstance(found, httpx.UnsupportedProtocol):
            return self._unavailable(f"{type(found).__name__}: {found}")
        return AnnotationError(
            "Argilla could not do what was asked",
            given=f"{type(error).__name__}: {str(error)[:500]}",
            expected="an answer of the server",
            remedy=f"look into the log of {self.url}",
        )

    def _refusal(self, status: int, detail: str) -> WorkflowError:
        given = f"HTTP {status}: {detail}"
        if status == 401:
            return AnnotationPermissionError(
                "Argilla does not know the key",
                given=f"HTTP 401 of {self.url}",
                expected="the API key of a user of this server, with the role owner or admin",
                remedy="copy the key from Argilla under My settings into ARGILLA_API_KEY",
            )
        if status == 403:
            return AnnotationPermissionError(
                "Argilla does not let the user of this key do that",
                given=given,
                expected="a user with the role owner, or admin of the workspace",
                remedy="use the key of such a user, or have an owner make what is missing",
            )
        if status == 404:
            return AnnotationMissingError(
                "Argilla does not hold that",
                given=given,
                expected="a dataset or record that is there",
                remedy="materialize pilot_request again",
            )
        if status in _UNREACHED:
            return self._unavailable(given)
        return AnnotationError(
            "Argilla could not do what was asked",
            given=given,
            expected="an answer with a status below 400",
            remedy=f"look into the log of {self.url}; with status 500 and above the fault is on its side",
        )

    def _unavailable(self, given: str) -> AnnotationUnavailableError:
        return AnnotationUnavailableError(
            f"Argilla at {self.url} does not answer",
            given=given,
            expected=f"an answer within {self.timeout_s:g} s",
            remedy="start it (workflows-dagster argilla starts a local one) or check ARGILLA_API_URL, then try again: "
            "what was asked and answered so far is kept",
        )

    def _check_version(self) -> None:
        answer = self._get("/api/v1/version")
        if answer.status_code in _UNREACHED:
            answer.raise_for_status()
        version = _version(answer)
        if version is None or not OLDEST_VERSION <= version < (NEXT_MAJOR,):
            raise AnnotationVersionError(
                f"what answers at {self.url} is no Argilla that this project works with",
                given=f"version {'.'.join(map(str, version))}" if version else f"HTTP {answer.status_code}, no version",
                expected=f"argilla-server {'.'.join(map(str, OLDEST_VERSION))} or later, below {NEXT_MAJOR}",
                remedy="update the server, or correct ARGILLA_API_URL",
            )

    def _check_key(self) -> None:
        self._get("/api/v1/me", {"X-Argilla-Api-Key": self.api_key}).raise_for_status()

    def _get(self, path: str, headers: dict[str, str] | None = None) -> Any:
        return load("httpx", _FEATURE).get(self.url.rstrip("/") + path, headers=headers, timeout=self.timeout_s)

    def _workspace(self, argilla: Any, client: Any) -> Any:
        held = self.patiently(lambda: {workspace.name: workspace for workspace in client.workspaces.list()})
        if self.workspace in held:
            return held[self.workspace]
        if not self.create:
            raise ConfigurationError(
                "the workspace is not on the Argilla server, or not open to the user of this key",
                given=self.workspace,
                expected=f"one of {sorted(held)}",
                remedy="correct WORKFLOWS_DAGSTER_ARGILLA_WORKSPACE, have an owner add the user, or set "
                "WORKFLOWS_DAGSTER_ARGILLA_CREATE=true to have it made",
            )
        return self.patiently(lambda: argilla.Workspace(name=self.workspace, client=client).create())


@dataclass(frozen=True)
class Connection:
    """An open connection.

    Attributes:
        server: The server.
        argilla: The client's module.
        client: The client.
        workspace: The workspace of the rounds.
    """

    server: ArgillaServer
    argilla: Any
    client: Any
    workspace: Any

    def ask(self, action: Callable[[], _Found]) -> _Found:
        """The result of an action of the client; see `ArgillaServer.patiently`."""
        return self.server.patiently(action)

    def call(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """The JSON answer to a call that the client has no method for, or whose answer it shortens."""

        def call() -> Any:
            answer = self.client.http_client.request(method, f"/api/v1{path}", json=body, params=query)
            answer.raise_for_status()
            return answer.json()

        return self.ask(call)


def _version(answer: Any) -> tuple[int, ...] | None:
    """Major and minor version, or None if the answer has none."""
    try:
        return tuple(int(part) for part in str(answer.json()["version"]).split(".")[:2])
    except (ValueError, KeyError, TypeError):
        return None


def _first(error: BaseException | None, kinds: tuple[type[BaseException], ...]) -> Any:
    """The first error of these kinds in the chain of an error and its causes, or None."""
    while error is not None and not isinstance(error, kinds):
        error = error.__cause__ or error.__context__
    return error
