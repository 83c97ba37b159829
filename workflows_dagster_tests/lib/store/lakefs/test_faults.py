"""Whatever single request of a transaction goes wrong, and however: it is published once, whole."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workflows_dagster.lib.store.lakefs.repository import LakeFSRepository
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster_tests.lakefs_server.faults import Fault, Kind
from workflows_dagster_tests.lakefs_server.server import LoopbackLakeFS

FILES = {"a.parquet": b"a" * 200_000, "b/c.json": b"{}"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LoopbackLakeFS]:
    with LoopbackLakeFS(tmp_path / "server") as server:
        yield server


@pytest.fixture
def store(server: LoopbackLakeFS, tmp_path: Path) -> VersionedStore:
    repository = LakeFSRepository(
        server.endpoint,
        server.access_key_id,
        server.secret_access_key,
        "reviews",
        storage_namespace="local://reviews",
        create=True,
        timeout_s=300,
        attempts=4,
        pause_s=0.001,
        parallel=1,  # the requests come in the same order each time
    )
    return VersionedStore(repository, tmp_path / "work")


def publish(store: VersionedStore, path: str, **more: bytes) -> str:
    with store.transaction(path, path, label=(path,), metadata={}) as transaction:
        for name, content in (FILES | more).items():
            target = transaction.folder / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content)
    assert transaction.version is not None
    return transaction.version.commit


def read(store: VersionedStore, path: str, commit: str, work: Path) -> None:
    """As on a machine that has no copy yet."""
    folder = VersionedStore(store.repository, work).folder(path, commit)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES


def assert_published(store: VersionedStore, path: str, commit: str, versions: int) -> None:
    log = [version.commit for version in store.log(path)]
    assert (log[0], len(log)) == (commit, versions)
    assert store.repository.branches("tx-") == []


@pytest.mark.parametrize("kind", ["lost_answer", "reset", "status", "truncate"])
def test_publishing_and_reading_survive_any_one_fault(
    server: LoopbackLakeFS, store: VersionedStore, kind: Kind, tmp_path: Path
) -> None:
    publish(store, "first")
    server.requests.clear()
    read(store, "sample", publish(store, "sample"), tmp_path / "sample")
    count = len(server.requests)
    assert count > 10
    for number in range(count):
        path = f"faulty-{number}"
        server.faults.add(Fault(kind, skip=number, status=503, after_bytes=1))
        commit = publish(store, path)
        read(store, path, commit, tmp_path / path)
        assert server.faults.rules == [], f"request {number} of {count} did not come"
        assert_published(store, path, commit, versions=1)


def test_second_version_survives_any_one_lost_answer(server: LoopbackLakeFS, store: VersionedStore) -> None:
    publish(store, "path", note=b"0")
    server.requests.clear()
    publish(store, "path", note=b"1")
    count = len(server.requests)
    for number in range(count):
        server.faults.add(Fault("lost_answer", skip=number))
        commit = publish(store, "path", note=f"again {number}".encode())
        server.faults.clear()
        assert_published(store, "path", commit, versions=number + 3)


def test_first_use_survives_any_one_lost_answer(tmp_path: Path) -> None:
    # Making the repository and the first publication: each time on a new server.
    count, number = 1, 0
    while number < count:
        with LoopbackLakeFS(tmp_path / str(number)) as server:
            repository = LakeFSRepository(
                server.endpoint,
                server.access_key_id,
                server.secret_access_key,
                "reviews",
                storage_namespace="local://reviews",
                create=True,
                timeout_s=300,
                pause_s=0.001,
                parallel=1,
            )
            store = VersionedStore(repository, tmp_path / f"work-{number}", "jane")
            server.faults.add(Fault("lost_answer", skip=number))
            commit = publish(store, "path")
            count = max(count, len(server.requests) - 1)
            server.faults.clear()
            assert_published(store, "path", commit, versions=1)
            assert repository.branches("") == ["jane", "main"]
        number += 1
    assert count > 10


@pytest.mark.slow
def test_writers_at_once_with_every_seventh_answer_lost_all_land(server: LoopbackLakeFS, store: VersionedStore) -> None:
    publish(store, "first")
    server.faults.add(*[Fault("lost_answer", skip=6 * number) for number in range(1, 100)])
    with ThreadPoolExecutor(4) as pool:
        commits = list(pool.map(lambda number: publish(store, f"path-{number}"), range(24)))
    server.faults.clear()
    for number, commit in enumerate(commits):
        assert_published(store, f"path-{number}", commit, versions=1)
