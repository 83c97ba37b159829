"""A real Argilla server for tests: one for the session, on a home of its own, with an owner and three annotators.

A folder of tests gets it by one line in its conftest.py (not in test modules: each import there starts another one):

    from workflows_dagster_tests.argilla_server_fixture import argilla_server as argilla_server

    @pytest.mark.slow
    def test_something(argilla_server: LocalArgilla) -> None:
        owner = api(argilla_server, "owner")                  # the bare REST API, by name of the account
        client = argilla.Argilla(api_url=argilla_server.url, api_key=argilla_server.credentials.owner.api_key)

It is shared: a test makes datasets under names of its own. A server to kill is `local_argilla(tmp_path, port=0)`.
The first run installs the server from PyPI, once; where uv or PyPI cannot be had, the tests are skipped.
"""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest

from workflows_dagster.lib.errors import ConfigurationError, WorkerFailedError
from workflows_dagster.local_argilla.launch import LocalArgilla, local_argilla, prepare_interpreter


@pytest.fixture(scope="session")
def argilla_environment() -> None:
    """Makes sure that a server can be started."""
    try:
        prepare_interpreter(lambda _line: None)
    except (ConfigurationError, WorkerFailedError) as error:
        pytest.skip(f"the Argilla server cannot be installed here: {error}")


@pytest.fixture(scope="session")
def argilla_server(argilla_environment: None, tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalArgilla]:
    """A server that answers, with accounts owner, annotator_1, annotator_2 and annotator_3."""
    with local_argilla(tmp_path_factory.mktemp("argilla"), port=0) as server:
        yield server


class ApiError(Exception):
    """An answer other than success.

    Args:
        status: HTTP status.
        detail: The body.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


@dataclass(frozen=True)
class Api:
    """The REST API of an Argilla, as one of its users."""

    url: str
    key: str

    def call(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """The JSON that the server answers; raises ApiError where it refuses."""
        address = f"{self.url}/api/v1{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        headers = {"X-Argilla-Api-Key": self.key, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=600) as answer:
                found = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(error.code, error.read().decode()) from error
        return json.loads(found) if found else None

    def get(self, path: str, **query: object) -> Any:
        """Reads."""
        return self.call("GET", path, **query)

    def post(self, path: str, body: object, **query: object) -> Any:
        """Makes something, or searches."""
        return self.call("POST", path, body, **query)

    def answer(self, record_id: str, values: dict[str, Any] | None, status: str = "submitted") -> Any:
        """Responds to a record."""
        given = {question: {"value": value} for question, value in (values or {}).items()}
        return self.post(f"/records/{record_id}/responses", {"status": status, "values": given or None})


def api(server: LocalArgilla, username: str) -> Api:
    """The API as one account sees it."""
    accounts = {account.username: account for account in server.credentials.accounts}
    return Api(server.url, accounts[username].api_key)
