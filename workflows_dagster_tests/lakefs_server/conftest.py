"""Servers for the tests of the server: it, and a real one where LAKEFS_TEST_ENDPOINT names one."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from workflows_dagster_tests.lakefs_server.caller import Caller
from workflows_dagster_tests.lakefs_server.server import LoopbackLakeFS

SERVERS = ["loopback", "lakefs"] if "LAKEFS_TEST_ENDPOINT" in os.environ else ["loopback"]

NewRepository = Callable[[str], Caller]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LoopbackLakeFS]:
    """A server of the test's own, for its faults and requests."""
    with LoopbackLakeFS(tmp_path / "server") as server:
        yield server


@pytest.fixture
def caller(server: LoopbackLakeFS) -> Caller:
    """A repository of that server."""
    return _made(server.endpoint, server.access_key_id, server.secret_access_key, "local:/")


@pytest.fixture(scope="session")
def new_repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewRepository]:
    """Makes a repository on one of `SERVERS`."""
    with LoopbackLakeFS(tmp_path_factory.mktemp("server")) as shared:

        def new(server: str) -> Caller:
            if server == "loopback":
                return _made(shared.endpoint, shared.access_key_id, shared.secret_access_key, "local:/")
            return _made(
                os.environ["LAKEFS_TEST_ENDPOINT"].rstrip("/"),
                os.environ["LAKEFS_TEST_ACCESS_KEY_ID"],
                os.environ["LAKEFS_TEST_SECRET_ACCESS_KEY"],
                os.environ["LAKEFS_TEST_STORAGE_NAMESPACE"].rstrip("/"),
            )

        yield new


@pytest.fixture(params=SERVERS)
def either(request: pytest.FixtureRequest, new_repository: NewRepository) -> Caller:
    """A repository of a server: what a test says of it, it says of lakeFS too."""
    return new_repository(request.param)


def _made(endpoint: str, key: str, secret: str, namespace: str) -> Caller:
    name = f"trial-{uuid4().hex[:12]}"
    caller = Caller(endpoint, key, secret, name)
    caller.done("POST", "//repositories", json_={"name": name, "storage_namespace": f"{namespace}/{name}"})
    return caller
