"""What clients rely on: of the server of the tests, and of a real one where LAKEFS_TEST_ENDPOINT names one."""

import json
import os
import socket
import tempfile
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster_tests.lakefs_server.api import Request, respond
from workflows_dagster_tests.lakefs_server.faults import Fault
from workflows_dagster_tests.lakefs_server.server import LoopbackLakeFS
from workflows_dagster_tests.lakefs_server.state import Entry, Lake, Refused, Repository

BINARY = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True)
class Caller:
    """Makes plain requests about one repository."""

    endpoint: str
    keys: str
    repository: str

    def __post_init__(self) -> None:
        self.call("POST", "//repositories", {"name": self.repository, "storage_namespace": self._namespace})

    @property
    def _namespace(self) -> str:
        return f"{os.environ.get('LAKEFS_TEST_STORAGE_NAMESPACE', 'local:/').rstrip('/')}/{self.repository}"

    def call(
        self, method: str, path_: str, body: Any = None, headers: dict[str, str] | None = None, **query: Any
    ) -> tuple[int, Any]:
        """Status and body of the answer; a path of two slashes is one of the server."""
        place = path_[1:] if path_.startswith("//") else f"/repositories/{self.repository}{path_}"
        sent = urllib3.make_headers(basic_auth=self.keys) | {"Content-Type": "application/json"} | (headers or {})
        url = f"{self.endpoint}/api/v1{place}?{urlencode(query)}"
        content = body if isinstance(body, bytes | None) else json.dumps(body)
        got = urllib3.request(method, url, body=content, headers=sent, retries=False, timeout=600)
        is_json = got.headers.get("Content-Type") == "application/json"
        return got.status, json.loads(got.data) if is_json and got.data else got.data

    def done(self, method: str, path_: str, body: Any = None, **query: Any) -> Any:
        """The answer to a request that has to succeed."""
        status, found = self.call(method, path_, body, **query)
        assert status < 300, (method, path_, status, found)
        return found

    def upload(self, branch: str, path: str, content: bytes = b"x", **metadata: str) -> None:
        headers = BINARY | {f"X-Lakefs-Meta-{name}": text for name, text in metadata.items()}
        assert self.call("POST", f"/branches/{branch}/objects", content, headers, path=path)[0] == 201

    def commit(self, branch: str) -> str:
        return self.done("POST", f"/branches/{branch}/commits", {"message": "m"})["id"]

    def branch(self, name: str) -> None:
        self.done("POST", "/branches", {"name": name, "source": "main"})

    def publish(self, branch: str, path: str, content: bytes) -> str:
        """Commits a file on a new branch of main; the commit's id."""
        self.branch(branch)
        self.upload(branch, path, content)
        return self.commit(branch)

    def merge(self, branch: str) -> tuple[int, Any]:
        return self.call("POST", f"/refs/{branch}/merge/main", {})

    def read(self, ref: str, path: str, **headers: str) -> tuple[int, Any]:
        return self.call("GET", f"/refs/{ref}/objects", headers=headers, path=path)

    def paths(self, ref: str = "main") -> list[str]:
        return [each["path"] for each in self.done("GET", f"/refs/{ref}/objects/ls")["results"]]


@pytest.fixture
def server(tmp_path: Path) -> Generator[LoopbackLakeFS]:
    with LoopbackLakeFS(tmp_path / "server") as server:
        yield server


@pytest.fixture(params=["loopback", "lakefs"] if "LAKEFS_TEST_ENDPOINT" in os.environ else ["loopback"])
def caller(request: pytest.FixtureRequest, server: LoopbackLakeFS) -> Generator[Caller]:
    """An empty repository of each server."""
    name = f"trial-{uuid4().hex[:12]}"
    if request.param == "loopback":
        yield Caller(server.endpoint, f"{server.access_key_id}:{server.secret_access_key}", name)
        return
    keys = f"{os.environ['LAKEFS_TEST_ACCESS_KEY_ID']}:{os.environ['LAKEFS_TEST_SECRET_ACCESS_KEY']}"
    caller = Caller(os.environ["LAKEFS_TEST_ENDPOINT"].rstrip("/"), keys, name)
    yield caller
    caller.call("DELETE", "", force="true")


@pytest.fixture
def loopback(server: LoopbackLakeFS) -> Caller:
    """A repository of the server whose faults the test orders."""
    return Caller(server.endpoint, f"{server.access_key_id}:{server.secret_access_key}", "trial")


REFUSALS: dict[str, tuple[tuple[Any, ...], dict[str, str], int, str]] = {
    "repository that is not there": (("GET", "//repositories/not-there"), {}, 404, "repository not found"),
    "wrong key": (("GET", "", None, {"authorization": "Basic eDp5"}), {}, 401, "error authenticating request"),
    "branch that is there": (("POST", "/branches", {"name": "clean", "source": "main"}), {}, 409, "not unique"),
    "branch with a dot": (("POST", "/branches", {"name": "a.b", "source": "main"}), {}, 400, "validation error"),
    "branch with a dash first": (("POST", "/branches", {"name": "-b", "source": "main"}), {}, 400, "validation error"),
    "branch of nothing": (("POST", "/branches", {"name": "b", "source": "nope"}), {}, 404, "'nope': not found"),
    "branch that is not there": (("GET", "/branches/nope"), {}, 404, "branch not found"),
    "missing branch removed": (("DELETE", "/branches/nope"), {}, 404, "branch not found"),
    "upload to no branch": (("POST", "/branches/nope/objects", b"x", BINARY), {"path": "a"}, 404, "not found"),
    "upload to a long path": (("POST", "/branches/clean/objects", b"x", BINARY), {"path": "p" * 1025}, 400, "1025"),
    "object that is not there": (("GET", "/refs/main/objects"), {"path": "nope"}, 404, "not found"),
    "object past its end": (("GET", "/refs/main/objects", None, {"Range": "bytes=9-"}), {"path": "a"}, 416, "Range"),
    "page too long": (("GET", "/branches"), {"amount": "1001"}, 400, "number must be at most 1000"),
    "commit of nothing": (("POST", "/branches/clean/commits", {"message": "m"}), {}, 400, "commit: no changes"),
    "commit on no branch": (("POST", "/branches/nope/commits", {"message": "m"}), {}, 404, "not found"),
    "commit that is not there": (("GET", f"/commits/{'0' * 64}"), {}, 404, "not found"),
    "log of nothing": (("GET", "/refs/nope/commits"), {}, 404, "not found"),
    "merge of nothing": (("POST", "/refs/nope/merge/main", {}), {}, 404, "not found"),
    "merge into nothing": (("POST", "/refs/clean/merge/nope", {}), {}, 404, "branch not found"),
    "merge without changes": (("POST", "/refs/clean/merge/main", {}), {}, 400, "update branch main: no changes"),
    "merge into uncommitted files": (("POST", "/refs/ours/merge/dirty", {}), {}, 400, "uncommitted changes"),
    "tag that is there": (("POST", "/tags", {"id": "v1", "ref": "main"}), {}, 409, "tag already exists: not unique"),
    "tag with a slash": (("POST", "/tags", {"id": "a/b", "ref": "main"}), {}, 400, "validation error"),
    "tag that is not there": (("GET", "/tags/nope"), {}, 404, "tag not found"),
    "too many removed": (
        ("POST", "/branches/clean/objects/delete", {"paths": ["x"] * 1001}), {}, 400, "max paths is set to 1000"
    ),
}  # fmt: skip


def test_refusal_has_the_status_and_the_words_of_lakefs(caller: Caller) -> None:
    caller.upload("main", "a")
    caller.commit("main")
    caller.branch("clean")
    caller.branch("dirty")
    caller.upload("dirty", "uncommitted")
    caller.publish("ours", "a", b"ours")
    caller.done("POST", "/tags", {"id": "v1", "ref": "main"})
    for name, (request, query, status, words) in REFUSALS.items():
        found, body = caller.call(*request, **query)
        assert (found, words in body["message"]) == (status, True), (name, body)
    about = caller.done("GET", "")
    again = {"name": caller.repository, "storage_namespace": f"{about['storage_namespace']}-other"}
    assert caller.call("POST", "//repositories", again) == (409, {"message": "error creating repository: not unique"})


def test_removal_of_what_is_not_there_succeeds(caller: Caller) -> None:
    caller.done("DELETE", "/branches/main/objects", path="nope")
    for branch in ("main", "nope"):
        assert caller.done("POST", f"/branches/{branch}/objects/delete", {"paths": ["nope"]}) == {"errors": []}


def test_same_content_is_a_change_only_with_other_metadata(caller: Caller) -> None:
    caller.upload("main", "a", transaction="1")
    caller.commit("main")
    caller.upload("main", "a", transaction="1")
    assert caller.call("POST", "/branches/main/commits", {"message": "again"})[0] == 400
    caller.upload("main", "a", transaction="2")
    caller.commit("main")


def test_merge_makes_a_merge_commit_once(caller: Caller) -> None:
    head = caller.done("GET", "/branches/main")["commit_id"]
    commit = caller.publish("side", "a", b"1")
    _, found = caller.merge("side")
    assert caller.done("GET", f"/commits/{found['reference']}")["parents"] == [head, commit]
    assert caller.merge("side") == (400, {"message": "update branch main: no changes"})
    assert caller.done("GET", f"/refs/{commit}/merge/main")["base_commit_id"] == commit


def test_conflict_is_answered_by_a_result_without_a_commit(caller: Caller) -> None:
    for branch in ("one", "other", "same"):
        caller.publish(branch, "a", b"1" if branch == "same" else branch.encode())
    caller.publish("equal", "a", b"1")
    assert caller.merge("same")[0] == 200
    assert caller.merge("one") == (409, {"reference": ""})
    assert caller.merge("equal")[0] == 200
    assert caller.read("main", "a") == (200, b"1")


def test_of_writers_of_one_path_at_once_one_wins(caller: Caller) -> None:
    for writer in range(8):
        caller.publish(f"tx-{writer}", "asset", str(writer).encode())
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda writer: caller.merge(f"tx-{writer}")[0], range(8)))
    assert sorted(statuses) == [200] + [409] * 7
    assert caller.read("main", "asset") == (200, str(statuses.index(200)).encode())


def test_log_of_a_path_leaves_merge_commits_out(caller: Caller) -> None:
    first = caller.publish("one", "asset/a", b"1")
    caller.merge("one")
    second = caller.publish("two", "other", b"2")
    caller.merge("two")
    third = caller.publish("three", "asset/a", b"3")
    caller.merge("three")

    def log(**query: str) -> list[str]:
        return [each["id"] for each in caller.done("GET", "/refs/main/commits", **query)["results"]]

    assert log(objects="asset/a") == log(prefixes="asset/") == [third, first]
    assert log(objects="asset/a", amount="1", limit="true") == [third]
    assert log(objects="asset/a", after=third) == [first]
    assert log(prefixes="ass", objects="other") == [third, second, first]
    assert log(objects="asset") == []
    assert len(log()) == 7


def test_uncommitted_object_is_seen_on_its_branch_alone(caller: Caller) -> None:
    caller.upload("main", "a")
    caller.branch("side")
    assert [caller.read(ref, "a")[0] for ref in ("main", "side")] == [200, 404]
    commit = caller.commit("main")
    caller.upload("main", "a", b"newer")
    assert [caller.read(ref, "a")[1] for ref in (commit, "main")] == [b"x", b"newer"]


@pytest.mark.parametrize(("asked", "part"), [("bytes=2-4", b"234"), ("bytes=8-", b"89"), ("bytes=0-99", b"0123456789")])
def test_range_gives_part_of_an_object(caller: Caller, asked: str, part: bytes) -> None:
    caller.upload("main", "digits", b"0123456789")
    assert caller.read("main", "digits", Range=asked) == (206, part)


# What follows is about the server of the tests alone.


@pytest.mark.parametrize(
    ("fault", "done"),
    [
        (Fault("reset", "POST"), False),
        (Fault("reset_in_body", "POST", after_bytes=10), False),
        (Fault("lost_answer", "POST"), True),
        (Fault("truncate", "POST", after_bytes=1), True),
        (Fault("delay", "POST", delay_s=0.01), True),
        (Fault("status", "POST", status=503), False),
    ],
)
def test_fault_is_seen_once_and_the_request_carried_out_or_not(
    server: LoopbackLakeFS, loopback: Caller, fault: Fault, done: bool
) -> None:
    server.faults.add(fault)
    broken = fault.kind not in ("delay", "status")
    try:
        status, _ = loopback.call("POST", "/branches/main/objects", bytes(100_000), BINARY, path="a")
    except urllib3.exceptions.ProtocolError:
        assert broken
    else:
        assert (status, broken) == (503 if fault.kind == "status" else 201, False)
    assert loopback.paths() == ["a"] * done
    assert [seen.fault for seen in server.requests] == [None, fault.kind, None]
    assert server.faults.rules == []


def test_upload_whose_client_dies_leaves_no_object(loopback: Caller) -> None:
    place = urlsplit(loopback.endpoint)
    path = "/api/v1/repositories/trial/branches/main/objects?path=a"
    token = urllib3.make_headers(basic_auth=loopback.keys)["authorization"]
    with socket.create_connection((str(place.hostname), int(place.port or 0))) as client:
        client.sendall(f"POST {path} HTTP/1.1\r\nAuthorization: {token}\r\nContent-Length: 9\r\n\r\nhalf".encode())
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert loopback.paths() == []


def test_server_that_was_killed_forgets_a_change_that_it_half_wrote(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    with closing(Lake(tmp_path)) as lake:
        repository = lake.create("reviews", "local://reviews", "main")
        repository.stage("main", "kept", lake.write(b"1", "text/plain", {}))
        commit = repository.commit_staged("main", "m", {}).id
        kept = journal.read_bytes()
        repository.stage("main", "torn", lake.write(b"2", "text/plain", {}))
    whole = journal.read_bytes()
    for length in range(len(kept), len(whole)):
        journal.write_bytes(whole[:length])
        with closing(Lake(tmp_path)) as lake:
            assert list(lake.repository("reviews").entries("main")) == ["kept"]
            assert lake.repository("reviews").head("main").id == commit
        assert journal.read_bytes() == kept


STATES = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2))


@given(base=STATES, ours=STATES, theirs=STATES)
def test_every_path_of_a_merge_comes_from_the_side_that_changed_it(
    base: dict[str, int], ours: dict[str, int], theirs: dict[str, int]
) -> None:
    conflict = any(
        ours.get(path) != theirs.get(path) and base.get(path) not in (ours.get(path), theirs.get(path))
        for path in "abcd"
    )
    with tempfile.TemporaryDirectory() as folder, closing(Lake(Path(folder))) as lake:
        repository = lake.create("reviews", "local://reviews", "main")
        _bring(repository, "main", base)
        repository.create_branch("side", "main")
        _bring(repository, "main", ours)
        _bring(repository, "side", theirs)
        if conflict or theirs == base:
            with pytest.raises(Refused) as refused:
                repository.merge("side", "main", "m", {})
            assert refused.value.status == (409 if conflict else 400)
            return
        repository.merge("side", "main", "m", {})
        found = {path: entry.size_bytes for path, entry in repository.entries("main").items()}
        expected = {path: (theirs if ours.get(path) == base.get(path) else ours).get(path) for path in "abcd"}
        assert found == {path: size for path, size in expected.items() if size is not None}


def _bring(repository: Repository, branch: str, state: dict[str, int]) -> None:
    """Commits a state as the whole content of a branch."""
    for path in "abcd":
        repository.stage(branch, path, Entry("", state[path], "", 0, "", {}) if path in state else None)
    with suppress(Refused):  # nothing may have changed
        repository.commit_staged(branch, branch, {})  # equal commits of one second would be one


@given(
    paths=st.sets(st.text("ab/", min_size=1, max_size=5)),
    prefix=st.sampled_from(["", "a", "a/"]),
    delimiter=st.sampled_from(["", "/"]),
    amount=st.integers(1, 4),
)
def test_pages_hold_together_what_one_page_would(paths: set[str], prefix: str, delimiter: str, amount: int) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(Lake(Path(folder))) as lake:
        repository = lake.create("reviews", "local://reviews", "main")
        for path in paths:
            repository.stage("main", path, Entry("", 0, "", 0, "", {}))

        def page(after: str, amount: int) -> tuple[list[str], str]:
            query = {"prefix": [prefix], "delimiter": [delimiter], "after": [after], "amount": [str(amount)]}
            got = respond(lake, "GET", "/api/v1/repositories/reviews/refs/main/objects/ls", Request(query, {}, b""))
            found = json.loads(got.content)
            return [each["path"] for each in found["results"]], found["pagination"]["next_offset"]

        whole, _ = page("", 1000)
        if not delimiter:
            assert whole == sorted(path for path in paths if path.startswith(prefix))
        found, after = page("", amount)
        while after:
            more, after = page(after, amount)
            found += more
        assert found == whole
