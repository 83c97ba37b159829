"""The repositories that the contract is tested on, and ways to change them from outside."""

import base64
import contextlib
import itertools
import json
import os
import subprocess
import urllib.request
import zlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest

from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.lakefs.repository import LakeFSRepository
from workflows_dagster.lib.store.repository import Repository
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster_tests.lakefs_server.server import LoopbackLakeFS

_NUMBERS = itertools.count()

Files = Mapping[str, bytes]


class Backend(ABC):
    """One empty repository; tests know it by this interface alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @abstractmethod
    def repository(self) -> Repository:
        """A client of its own, as another process would have."""

    def store(self, work: str = "work", base: str = "main") -> VersionedStore:
        """A store on it; each name of a work folder is a machine."""
        return VersionedStore(self.repository(), self._folder / work, base)

    def stranger(self) -> Repository:
        """A client with credentials that are not accepted."""
        pytest.skip("a repository of files has no credentials")

    @property
    def secret(self) -> str:
        """What must not be in any message."""
        return "no secret of any kind"

    @abstractmethod
    def write_behind(self, name: str, content: bytes) -> None:
        """Commits a file to main without this project, as a person could."""

    def damage(self, content: bytes) -> None:
        """Changes every stored copy of this content, one byte each, as a disk does that nobody checks."""
        pytest.skip("the objects of a real server are out of reach")


class GitBackend(Backend):
    """The embedded repository."""

    @property
    def root(self) -> Path:
        return self._folder / "store.git"

    def repository(self) -> Repository:
        return GitRepository(self.root)

    def write_behind(self, name: str, content: bytes) -> None:
        self._git("read-tree", "main")
        blob = self._git("hash-object", "-w", "--stdin", given=content)
        self._git("update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
        commit = self._git("commit-tree", self._git("write-tree"), "-p", "main", "-m", "By hand")
        self._git("update-ref", "refs/heads/main", commit)

    def _git(self, *arguments: str, given: bytes = b"") -> str:
        who = {f"GIT_{role}_{what}": "somebody@else" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = {**os.environ, **who, "GIT_INDEX_FILE": str(self._folder / "index")}
        command = ["git", "--git-dir", str(self.root), *arguments]
        return subprocess.run(command, input=given, env=environment, capture_output=True, check=True).stdout.decode()[
            :-1
        ]

    def damage(self, content: bytes) -> None:
        kept = [path for path in (self.root / "lfs" / "objects").glob("??/??/*") if path.read_bytes() == content]
        small = [
            path
            for path in (self.root / "objects").glob("[0-9a-f][0-9a-f]/*")
            if zlib.decompress(path.read_bytes()).partition(b"\0")[2] == content
        ]
        assert kept or small
        changed = bytes([content[0] ^ 1]) + content[1:]
        for path in [*kept, *small]:
            path.chmod(0o644)
        for path in kept:
            path.write_bytes(changed)
        for path in small:
            path.write_bytes(zlib.compress(b"blob %d\0" % len(content) + changed))


class LakeFSBackend(Backend):
    """A repository of a lakeFS server."""

    def __init__(self, folder: Path, endpoint: str, key: str, secret: str, namespace: str, name: str) -> None:
        super().__init__(folder)
        self._endpoint = endpoint
        self._key, self._secret = key, secret
        self._namespace = namespace
        self._name = name

    @property
    def secret(self) -> str:
        return self._secret

    def repository(self) -> LakeFSRepository:
        return self._client(self._secret)

    def stranger(self) -> Repository:
        return self._client("not the secret")

    def write_behind(self, name: str, content: bytes) -> None:
        self._ask("POST", f"/branches/main/objects?path={quote(name, safe='')}", content)
        self._ask("POST", "/branches/main/commits", json.dumps({"message": "By hand"}).encode(), "application/json")

    def delete(self) -> None:
        with contextlib.suppress(OSError):
            self._ask("DELETE", "?force=true", b"")

    def _client(self, secret: str) -> LakeFSRepository:
        return LakeFSRepository(
            self._endpoint,
            self._key,
            secret,
            self._name,
            storage_namespace=self._namespace,
            create=True,
            attempts=3,
            pause_s=0.02,
        )

    def _ask(self, method: str, path: str, content: bytes, kind: str = "application/octet-stream") -> None:
        url = f"{self._endpoint.rstrip('/')}/api/v1/repositories/{self._name}{path}"
        token = base64.b64encode(f"{self._key}:{self._secret}".encode()).decode()
        headers = {"Authorization": f"Basic {token}", "Content-Type": kind}
        request = urllib.request.Request(url, content, headers, method=method)
        with urllib.request.urlopen(request, timeout=600) as answer:
            answer.read()


class LoopbackBackend(LakeFSBackend):
    """A repository of the server that is written for the tests."""

    def __init__(self, folder: Path, server: LoopbackLakeFS) -> None:
        name = f"contract-{uuid4().hex[:8]}"
        super().__init__(
            folder, server.endpoint, server.access_key_id, server.secret_access_key, f"local://{name}", name
        )
        self.server = server

    def damage(self, content: bytes) -> None:
        found = [path for path in (self._folder / "server" / "content").iterdir() if path.read_bytes() == content]
        assert found
        for path in found:
            path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


@contextmanager
def git_backend(folder: Path) -> Generator[Backend]:
    yield GitBackend(folder)


@contextmanager
def loopback_backend(folder: Path) -> Generator[Backend]:
    with LoopbackLakeFS(folder / "server") as server:
        yield LoopbackBackend(folder, server)


@contextmanager
def lakefs_backend(folder: Path) -> Generator[Backend]:
    name = f"contract-{uuid4().hex[:12]}"
    backend = LakeFSBackend(
        folder,
        os.environ["LAKEFS_TEST_ENDPOINT"],
        os.environ["LAKEFS_TEST_ACCESS_KEY_ID"],
        os.environ["LAKEFS_TEST_SECRET_ACCESS_KEY"],
        f"{os.environ['LAKEFS_TEST_STORAGE_NAMESPACE'].rstrip('/')}/{name}",
        name,
    )
    try:
        yield backend
    finally:
        backend.delete()


BACKENDS = {"git": git_backend, "lakefs-loopback": loopback_backend}
if "LAKEFS_TEST_ENDPOINT" in os.environ:
    BACKENDS["lakefs"] = lakefs_backend


def publish(store: VersionedStore, path: str, files: Files, message: str = "m", **metadata: str) -> Version:
    """Publishes files by their names."""
    with store.transaction(path, message, label=[path, str(next(_NUMBERS))], metadata=metadata) as transaction:
        for name, content in files.items():
            transaction.write(name, content)
    assert transaction.version is not None
    return transaction.version


def content(store: VersionedStore, path: str, ref: str | None = None) -> dict[str, bytes]:
    """The files of a path, as the store hands them out."""
    folder = store.folder(path, ref)
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()
    }


class Begun:
    """A transaction in which files were written, to be ended later."""

    def __init__(self, store: VersionedStore, path: str, files: Files) -> None:
        self._context = store.transaction(path, "m", label=[path, str(next(_NUMBERS))], metadata={})
        self.transaction = self._context.__enter__()
        for name, text in files.items():
            self.transaction.write(name, text)

    @property
    def branch(self) -> str:
        return self.transaction.branch

    def end(self, error: BaseException | None = None) -> Version | None:
        """Leaves it, by an error if one is given; raises what the transaction raises of its own."""
        self._context.__exit__(type(error) if error else None, error, None)
        return self.transaction.version


def failed(store: VersionedStore, path: str, files: Files, error: BaseException) -> str:
    """Leaves a transaction by an error once files were written; the name of its branch."""
    begun = Begun(store, path, files)
    begun.end(error)
    return begun.branch
