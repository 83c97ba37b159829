"""Troubles of the wire, in the middle of a publication: it is there whole and once, or not at all with a named error.

`lakefs/test_faults` breaks every single request in turn; here is what each trouble means to who publishes and reads.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workflows_dagster.lib.errors import (
    ConflictError,
    QualityGateError,
    StoreError,
    StoreUnavailableError,
    WorkflowError,
)
from workflows_dagster.lib.store.lakefs.repository import LakeFSRepository
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster_tests.lakefs_server.faults import Fault
from workflows_dagster_tests.lakefs_server.server import LoopbackLakeFS
from workflows_dagster_tests.lib.store.backends import content, publish

KEYS = ("AKIAWIREEXAMPLE", "wire-secret-for-tests")
FOR_EVER = 1000
OLD = {"x": b"old", "same": b"s" * 1000}
NEW = {"x": b"new" * 100_000, "deep/y": b"y", "same": b"s" * 1000}

UPLOAD = ("POST", "/objects[?]")
COMMIT = ("POST", "/branches/tx-[^/]*/commits")
MERGE = ("POST", "/merge/main")
NEW_BRANCH = ("POST", "/branches$")
OLD_BRANCH = ("DELETE", "/branches/tx-")
READ = ("GET", "/objects[?]path=a%2Fx")


@pytest.fixture
def server(tmp_path: Path) -> Generator[LoopbackLakeFS]:
    with LoopbackLakeFS(tmp_path / "server", *KEYS) as server:
        yield server


def client(endpoint: str, folder: Path, *, timeout_s: float = 300, attempts: int = 3) -> VersionedStore:
    repository = LakeFSRepository(
        endpoint,
        *KEYS,
        "reviews",
        "local://reviews",
        create=True,
        timeout_s=timeout_s,
        attempts=attempts,
        pause_s=0.001,
    )
    return VersionedStore(repository, folder)


def fault(kind: str, request: tuple[str, str], *, times: int = 1, **more: object) -> Fault:
    return Fault(kind, *request, times=times, **more)  # pyright: ignore[reportArgumentType]  # checked by Fault itself


GOES_WELL = {
    "500 twice, then fine": [fault("status", MERGE, times=2)],
    "503 twice at an upload": [fault("status", UPLOAD, times=2, status=503)],
    "429 twice, then fine": [fault("status", COMMIT, times=2, status=429)],
    "connection reset before the answer": [fault("reset", UPLOAD)],
    "connection reset in the middle of an upload": [fault("reset_in_body", UPLOAD, after_bytes=1000)],
    "lost answer of the branch": [fault("lost_answer", NEW_BRANCH)],
    "lost answer of an upload": [fault("lost_answer", UPLOAD)],
    "lost answer of the commit": [fault("lost_answer", COMMIT)],
    "lost answer of the merge": [fault("lost_answer", MERGE)],
    "lost answer of the merge, then 500 for a while": [
        fault("lost_answer", MERGE),
        fault("status", MERGE, times=2),
    ],
    "branch that cannot be removed": [fault("status", OLD_BRANCH, times=FOR_EVER)],
    "one of everything": [
        fault("lost_answer", NEW_BRANCH),
        fault("reset_in_body", UPLOAD, after_bytes=10),
        fault("lost_answer", COMMIT),
        fault("lost_answer", MERGE),
        fault("lost_answer", OLD_BRANCH),
    ],
}

GOES_WRONG: dict[str, tuple[list[Fault], type[WorkflowError]]] = {
    "500 for ever at the branch": ([fault("status", NEW_BRANCH, times=FOR_EVER)], StoreUnavailableError),
    "500 for ever at an upload": ([fault("status", UPLOAD, times=FOR_EVER)], StoreUnavailableError),
    "500 for ever at the commit": ([fault("status", COMMIT, times=FOR_EVER)], StoreUnavailableError),
    "500 for ever at the merge": ([fault("status", MERGE, times=FOR_EVER)], StoreUnavailableError),
    "429 for ever": ([fault("status", COMMIT, times=FOR_EVER, status=429)], StoreUnavailableError),
    "resets for ever in an upload": (
        [fault("reset_in_body", UPLOAD, times=FOR_EVER, after_bytes=1000)],
        StoreUnavailableError,
    ),
    "409 at the merge": ([fault("status", MERGE, status=409)], ConflictError),
    "412 at the commit": ([fault("status", COMMIT, status=412)], QualityGateError),
    "412 at the merge": ([fault("status", MERGE, status=412)], QualityGateError),
    "423 at the merge": ([fault("status", MERGE, status=423)], StoreError),
    "page of a proxy": ([fault("status", MERGE, status=418, body="<html>no</html>")], StoreError),
}


def assert_published_once(store: VersionedStore, reader: VersionedStore) -> None:
    assert content(reader, "a") == NEW
    assert len(list(reader.log("a"))) == 2
    assert reader.version("a") == store.version("a")


@pytest.mark.parametrize("trouble", GOES_WELL)
def test_trouble_that_passes_does_not_keep_it_from_being_published(
    server: LoopbackLakeFS, tmp_path: Path, trouble: str
) -> None:
    store = client(server.endpoint, tmp_path / "work")
    publish(store, "a", OLD)
    server.faults.add(*GOES_WELL[trouble])
    publish(store, "a", NEW)
    server.faults.clear()
    assert_published_once(store, client(server.endpoint, tmp_path / "reader"))
    store.sweep(older_than_s=-1)
    assert store.repository.branches("") == ["main"]


@pytest.mark.parametrize("trouble", GOES_WRONG)
def test_trouble_that_stays_is_named_and_nothing_is_published(
    server: LoopbackLakeFS, tmp_path: Path, trouble: str
) -> None:
    faults, error = GOES_WRONG[trouble]
    store = client(server.endpoint, tmp_path / "work")
    reader = client(server.endpoint, tmp_path / "reader")
    before = publish(store, "a", OLD)
    main = store.repository.resolve("main")
    server.faults.add(*faults)
    with pytest.raises(error) as raised:
        publish(store, "a", NEW)
    server.faults.clear()
    assert "What was written is" in " ".join(raised.value.__notes__)
    assert KEYS[1] not in "".join([str(raised.value), *raised.value.__notes__])
    assert reader.repository.resolve("main") == main
    assert (reader.version("a"), content(reader, "a")) == (before, OLD)
    publish(store, "a", NEW)
    assert_published_once(store, reader)
    store.sweep(older_than_s=-1)
    assert store.repository.branches("") == ["main"]
    assert list((tmp_path / "work" / "staging").iterdir()) == []


def test_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
    store = client(endpoint, tmp_path / "work")
    for ask in (lambda: publish(store, "a", OLD), lambda: store.version("a"), lambda: store.sweep(0)):
        with pytest.raises(StoreUnavailableError, match=r"3 attempts at http://127\.0\.0\.1:\d+ failed") as raised:
            ask()
        assert KEYS[1] not in str(raised.value)
    assert not (tmp_path / "work" / "staging").exists()


@pytest.mark.parametrize("request_", [UPLOAD, COMMIT, MERGE])
def test_answer_that_comes_too_late_is_asked_for_again(
    server: LoopbackLakeFS, tmp_path: Path, request_: tuple[str, str]
) -> None:
    store = client(server.endpoint, tmp_path / "work", timeout_s=0.5, attempts=30)
    publish(store, "a", OLD)
    server.faults.add(fault("delay", request_, delay_s=1.2))
    publish(store, "a", NEW)
    assert_published_once(store, client(server.endpoint, tmp_path / "reader"))


def test_merge_whose_answers_never_come_counts_if_it_was_carried_out(server: LoopbackLakeFS, tmp_path: Path) -> None:
    store = client(server.endpoint, tmp_path / "work")
    publish(store, "a", OLD)
    server.faults.add(fault("lost_answer", MERGE, times=FOR_EVER))
    publish(store, "a", NEW)
    assert_published_once(store, client(server.endpoint, tmp_path / "reader"))


def test_tag_whose_answer_is_lost_is_there_once(server: LoopbackLakeFS, tmp_path: Path) -> None:
    store = client(server.endpoint, tmp_path / "work")
    commit = publish(store, "a", OLD).commit
    server.faults.add(fault("lost_answer", ("POST", "/tags$")))
    store.tag("v1", commit)
    assert store.tags() == {"v1": commit}


def test_download_that_ends_early_is_fetched_again(server: LoopbackLakeFS, tmp_path: Path) -> None:
    publish(client(server.endpoint, tmp_path / "work"), "a", NEW)
    reader = client(server.endpoint, tmp_path / "reader")
    server.faults.add(fault("truncate", READ, after_bytes=1000))
    assert content(reader, "a") == NEW


def test_download_that_always_ends_early_is_never_handed_out(server: LoopbackLakeFS, tmp_path: Path) -> None:
    publish(client(server.endpoint, tmp_path / "work"), "a", NEW)
    reader = client(server.endpoint, tmp_path / "reader")
    server.faults.add(fault("truncate", READ, times=FOR_EVER, after_bytes=1000))
    for read in (lambda: reader.folder("a"), lambda: reader.file("a", "x")):
        with pytest.raises(StoreError, match="a/x"):
            read()
    server.faults.clear()
    assert content(reader, "a") == NEW


@contextmanager
def served(root: Path, port: int) -> Generator[tuple[subprocess.Popen[str], str]]:
    """The server in a process of its own."""
    keys = dict(zip(("LAKEFS_ACCESS_KEY_ID", "LAKEFS_SECRET_ACCESS_KEY"), KEYS, strict=True))
    command = [sys.executable, "-m", "workflows_dagster_tests.lakefs_server", "--root", str(root), "--port", str(port)]
    with subprocess.Popen(command, env={**os.environ, **keys}, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("patient", [False, True])
@pytest.mark.parametrize("request_", [UPLOAD, COMMIT, MERGE], ids=["upload", "commit", "merge"])
def test_server_killed_in_the_middle_of_a_publication(tmp_path: Path, request_: tuple[str, str], patient: bool) -> None:
    """It is killed while it waits with the named request, and started again on what it left."""
    with served(tmp_path / "server", 0) as (process, endpoint):
        port = int(endpoint.rpartition(":")[2])
        store = client(endpoint, tmp_path / "work", attempts=30 if patient else 2)
        before = publish(store, "a", OLD)
        rule = f'{{"kind": "delay", "method": "{request_[0]}", "path": "{request_[1]}", "delay_s": 30}}'
        _got(f"{endpoint}/_faults", rule.encode())
        errors: list[WorkflowError] = []
        writer = threading.Thread(target=_publish_new, args=(store, errors))
        writer.start()
        while writer.is_alive() and b'"delay"' not in _got(f"{endpoint}/_requests"):
            writer.join(0.02)
        assert writer.is_alive(), errors
        process.send_signal(signal.SIGKILL)
        process.wait()
        if not patient:
            writer.join()
    with served(tmp_path / "server", port) as (_, endpoint):
        writer.join()
        reader = client(endpoint, tmp_path / "reader")
        if not patient:
            assert [type(error) for error in errors] == [StoreUnavailableError]
            assert (reader.version("a"), content(reader, "a")) == (before, OLD)
            publish(store, "a", NEW)
        else:
            assert errors == []
        assert_published_once(store, reader)
        store.sweep(older_than_s=-1)
        assert store.repository.branches("") == ["main"]


def _got(url: str, body: bytes | None = None) -> bytes:
    with urllib.request.urlopen(url, body, timeout=600) as answer:
        return answer.read()


def _publish_new(store: VersionedStore, errors: list[WorkflowError]) -> None:
    try:
        publish(store, "a", NEW)
    except WorkflowError as error:
        errors.append(error)
