"""Requests about one lakeFS repository. Each has a timeout, and is retried when the transport or the server fails."""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import urllib3
from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)
from tenacity.retry import retry_base

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.store.lakefs.errors import is_transient, not_lakefs, refused, unavailable

if TYPE_CHECKING:
    import lakefs
    from lakefs_sdk.client import LakeFSClient

_LOG = logging.getLogger(__name__)
_LONGEST_PAUSE_S = 8.0
_IDLE_CONNECTIONS = 64
_API = "/api/v1"

PAGE = 1000
"""The most results that one request lists, and the most files that one request removes."""

T = TypeVar("T")


@dataclass(frozen=True)
class LakeFSConnection:
    """Address, credentials and patience of a client; plain values, so that it can be sent to other processes.

    Attributes:
        endpoint: Address of the server, with or without /api/v1.
        access_key_id: Key that names the user.
        secret_access_key: Its secret.
        repository: Name of the repository.
        timeout_s: Longest wait for a connection, and for the next byte of an answer.
        attempts: How often a request is made before the server counts as unavailable.
        pause_s: Wait after the first failed attempt; doubled after each further one.
    """

    endpoint: str
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    repository: str
    timeout_s: float = 60.0
    attempts: int = 5
    pause_s: float = 0.25

    @property
    def address(self) -> str:
        """Address of the server's UI: no slash at the end, no /api/v1."""
        return _address(self.endpoint)

    @property
    def page(self) -> str:
        """Address of the repository in the UI."""
        return f"{self.address}/repositories/{quote(self.repository, safe='')}"

    def objects_url(self, kind: Literal["branches", "refs"], ref: str, name: str) -> str:
        """Address in the API of one file."""
        return (
            f"{self.address}{_API}/repositories/{quote(self.repository, safe='')}/{kind}/{quote(ref, safe='')}/objects"
            f"?{urlencode({'path': name})}"
        )

    @property
    def client(self) -> "lakefs.Client":
        """The wrapper's client; one for each process and server."""
        return _client(self.address + _API, self.access_key_id, self.secret_access_key, self.timeout_s, os.getpid())

    @property
    def sdk(self) -> "LakeFSClient":
        """The generated client, for what the wrapper lacks."""
        return self.client.sdk_client

    @property
    def pool(self) -> urllib3.PoolManager:
        """The client's connections, for bodies that must not be held in memory."""
        return self.sdk.objects_api.api_client.rest_client.pool_manager

    @property
    def authorization(self) -> dict[str, str]:
        """The header that authenticates a request made on `pool`."""
        return {"Authorization": str(self.client.config.get_basic_auth_token())}

    def call(self, what: str, request: Callable[[], T]) -> T:
        """The answer to one request.

        Args:
            what: The request in words that follow "lakeFS could not", for messages.
            request: Makes it, by the wrapper, the generated client or `pool`. It is called again after transient
                errors, so a second call must do no harm where only the answer to the first one was lost.

        Raises:
            StoreUnavailableError: No attempt got an answer.
            StorePermissionError, NotPublishedError, ConflictError, QualityGateError, StoreError: The server refused;
                a `BadRequestError` where it answered 400.
        """
        from lakefs.exceptions import ServerException, api_exception_handler

        def attempt() -> T:
            try:
                with api_exception_handler():
                    return request()
            except ServerException as error:
                # Without the generated client's exception, which says the same and whose traceback is pages long.
                raise error from None

        address = self.address
        try:
            return self.retrying(retry_if_exception(is_transient), what)(attempt)
        except RetryError as error:
            last = error.last_attempt.exception()
            raise unavailable(
                what, address=address, attempts=self.attempts, timeout_s=self.timeout_s, last=last
            ) from last
        except ServerException as error:
            raise refused(what, error, page=self.page) from error
        except ValueError as error:
            # What the generated client raises for an answer of 2xx that is not of the API's schema.
            raise not_lakefs(what, address=address) from error

    def retrying(self, retry: retry_base, what: str) -> Retrying:
        """Retries a call as long as `retry` says so, with pauses that double; `what` is for the log, as in `call`."""

        def log(state: RetryCallState) -> None:
            last = state.outcome and state.outcome.exception()
            _LOG.warning(
                "lakeFS at %s could not %s, attempt %d of %d: %s",
                self.address,
                what,
                state.attempt_number,
                self.attempts,
                last,
            )

        return Retrying(
            retry=retry,
            stop=stop_after_attempt(self.attempts),
            # Partly random, so that writers which failed together do not come back together.
            wait=wait_exponential(self.pause_s, _LONGEST_PAUSE_S) + wait_random(0, self.pause_s),
            before_sleep=log,
        )

    def pages(self, what: str, request: Callable[[str], Any]) -> Iterator[Any]:
        """The results of all pages of a listing; `request` gets the name that the page begins after."""
        after = ""
        while True:
            page = self.call(what, partial(request, after))
            yield from page.results
            if not page.pagination.has_more:
                return
            after = page.pagination.next_offset


class _TimedPool(urllib3.PoolManager):
    """Gives every request a timeout, as most methods of the wrapper take none."""

    def __init__(self, timeout_s: float) -> None:
        # urllib3's own retries would multiply with those of `call`.
        super().__init__(num_pools=2, maxsize=_IDLE_CONNECTIONS, retries=False)
        self._wait = urllib3.Timeout(connect=timeout_s, read=timeout_s)

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> urllib3.BaseHTTPResponse:
        if kw.get("timeout") is None:
            kw["timeout"] = self._wait
        return super().urlopen(method, url, redirect=redirect, **kw)


@lru_cache(maxsize=8)
def _client(
    api_url: str, access_key_id: str, secret_access_key: str, timeout_s: float, process_id: int
) -> "lakefs.Client":
    """The client of one process; `process_id` keeps a forked process from sharing its connections."""
    import lakefs

    client = lakefs.Client(host=api_url, username=access_key_id, password=secret_access_key)
    rest = client.sdk_client.objects_api.api_client.rest_client
    rest.pool_manager = _TimedPool(timeout_s)
    return client


def _address(endpoint: str) -> str:
    address = endpoint.strip().rstrip("/").removesuffix(_API).rstrip("/")
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ConfigurationError(
            "the address of the lakeFS server cannot be used",
            # What stands before an @ may be a password.
            given=endpoint if "@" not in endpoint else "an address that holds a user name or password",
            expected="http://HOST:PORT or https://HOST, the credentials given separately",
            remedy="correct LAKEFS_ENDPOINT",
        )
    return address
