"""What the lakeFS repository does with troubles of the wire, against a server whose answers each test sets."""

import hashlib
import json
import logging
import pickle
import re
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from workflows_dagster.lib import errors
from workflows_dagster.lib.errors import (
    ConfigurationError,
    ConflictError,
    IntegrityError,
    MissingExtraError,
    NotPublishedError,
    QualityGateError,
    StoreError,
    StorePermissionError,
    StoreUnavailableError,
)
from workflows_dagster.lib.store.lakefs.connection import LakeFSConnection
from workflows_dagster.lib.store.lakefs.repository import LakeFSRepository
from workflows_dagster.lib.store.repository import Change, Repository

SECRET = "wJalrXUtnFEMI-not-in-any-message"
START, STAGED, OTHER = "a" * 64, "b" * 64, "c" * 64


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What comes back; `delay_s` before it, `cut` after that many bytes of the body, `reset` instead of it."""

    status: int = 200
    body: Any = None
    delay_s: float = 0.0
    cut: int | None = None
    reset: bool = False


Rule = Answer | Callable[[Request], Answer]


@dataclass
class ScriptedLake:
    """Answers by rules, each a list used up from the front, its last one for ever; records what it was asked."""

    url: str
    rules: list[tuple[str, re.Pattern[str], list[Rule]]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)

    def on(self, method: str, path: str, *answers: Rule) -> None:
        self.rules.insert(0, (method, re.compile(path), list(answers)))

    def answer(self, request: Request) -> Answer:
        with self.lock:
            self.requests.append(request)
            for method, pattern, answers in self.rules:
                if method == request.method and pattern.fullmatch(request.path):
                    rule = answers.pop(0) if len(answers) > 1 else answers[0]
                    return rule if isinstance(rule, Answer) else rule(request)
        return Answer(404, {"message": f"no rule for {request.method} {request.path}"})

    def asked(self, method: str, path: str) -> list[Request]:
        return [one for one in self.requests if one.method == method and re.fullmatch(path, one.path)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lake: ScriptedLake

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(600)

    def _handle(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(url.path).removeprefix("/api/v1/repositories/reviews")
        headers = {key.lower(): value for key, value in self.headers.items()}
        answer = self.lake.answer(Request(self.command, path, parse_qs(url.query), headers, body))
        self.lake.stop.wait(answer.delay_s)
        if answer.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: answer.cut])
        self.close_connection = answer.cut is not None

    do_GET = do_POST = do_PUT = do_DELETE = _handle

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is part of these tests."""


@pytest.fixture
def lake() -> Iterator[ScriptedLake]:
    handler = type("Handler", (_Handler,), {})
    server = _Server(("127.0.0.1", 0), handler)
    handler.lake = lake = ScriptedLake(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield lake
    lake.stop.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def repository(lake: ScriptedLake) -> LakeFSRepository:
    return LakeFSRepository(lake.url, "AKIATEST", SECRET, "reviews", timeout_s=60, attempts=3, pause_s=0.01)


def error(message: str) -> dict[str, str]:
    return {"message": message}


def commit(id_: str, *parents: str) -> dict[str, Any]:
    return {
        "id": id_,
        "parents": list(parents),
        "committer": "tester",
        "message": "",
        "creation_date": 1,
        "meta_range_id": "",
        "metadata": {},
    }


def page(*results: Any, after: str | None = None) -> Answer:
    pagination = {"has_more": after is not None, "next_offset": after or "", "results": len(results), "max_per_page": 1}
    return Answer(body={"pagination": pagination, "results": list(results)})


def entry(path: str, content: bytes = b"") -> dict[str, Any]:
    return {
        "path": path,
        "path_type": "object",
        "physical_address": "mem://x",
        "checksum": hashlib.md5(content).hexdigest(),
        "size_bytes": len(content),
        "mtime": 1,
    }


def stored(request: Request) -> Answer:
    return Answer(201, entry(request.query["path"][0], request.body))


def ref(id_: str, commit_id: str) -> dict[str, str]:
    return {"id": id_, "commit_id": commit_id}


def stage(repository: LakeFSRepository, folder: Path, **changes: Any) -> str:
    options: dict[str, Any] = {"unchanged": set(), "message": "one", "metadata": {"run": "7"}} | changes
    return repository.stage("tx-1", START, "cleaned", folder, **options)


@pytest.fixture
def staging(lake: ScriptedLake) -> ScriptedLake:
    """A server that takes one transaction."""
    lake.on("GET", f"/refs/{START}/objects/ls", page())
    lake.on("POST", "/branches", Answer(201, START))
    lake.on("POST", "/branches/tx-1/objects", stored)
    lake.on("POST", "/branches/tx-1/objects/delete", Answer(body={"errors": []}))
    lake.on("POST", "/branches/tx-1/commits", Answer(201, commit(STAGED, START)))
    return lake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "written"
    (folder / "part").mkdir(parents=True)
    (folder / "a.parquet").write_bytes(b"alpha")
    (folder / "part" / "b.json").write_bytes(b"{}")
    (folder / "empty").write_bytes(b"")
    return folder


def test_repository_is_one(repository: LakeFSRepository) -> None:
    port: Repository = repository
    assert port.kind == "lakefs"


def test_stage_uploads_what_changed_and_removes_what_is_gone(
    repository: LakeFSRepository, staging: ScriptedLake, folder: Path
) -> None:
    staging.on(
        "GET",
        f"/refs/{START}/objects/ls",
        page(entry("cleaned/a.parquet"), after="cleaned/a.parquet"),
        page(entry("cleaned/old")),
    )
    run_url = "http://127.0.0.1:3000/runs/7"
    metadata = {"run_url": run_url, "long": "x" * 5000}
    assert stage(repository, folder, unchanged={"a.parquet", "empty"}, metadata=metadata) == STAGED
    # `empty` is said to be unchanged and is not there: it is sent.
    uploads = {one.query["path"][0]: one for one in staging.asked("POST", "/branches/tx-1/objects")}
    assert {name: one.body for name, one in uploads.items()} == {"cleaned/part/b.json": b"{}", "cleaned/empty": b""}
    assert uploads["cleaned/part/b.json"].headers["content-type"] == "application/json"
    assert uploads["cleaned/part/b.json"].headers["content-length"] == "2"
    assert uploads["cleaned/part/b.json"].headers["x-lakefs-meta-transaction"] == "tx-1"
    [removal] = staging.asked("POST", "/branches/tx-1/objects/delete")
    assert json.loads(removal.body) == {"paths": ["cleaned/old"]}
    [sent] = staging.asked("POST", "/branches/tx-1/commits")
    assert json.loads(sent.body)["metadata"] == {
        "run_url": run_url,
        "long": "x" * 1997 + "...",
        "::lakefs::run::url[url:ui]": run_url,  # "Open run UI" on the commit's page
    }
    listings = staging.asked("GET", f"/refs/{START}/objects/ls")
    assert [one.query.get("after", [""])[0] for one in listings] == ["", "cleaned/a.parquet"]


def test_stage_sends_bodies_whole_after_a_reset(
    repository: LakeFSRepository, staging: ScriptedLake, folder: Path
) -> None:
    (folder / "a.parquet").write_bytes(bytes(range(256)) * 40_000)
    staging.on("POST", "/branches/tx-1/objects", Answer(reset=True), Answer(503, error("slow down")), stored)
    assert stage(repository, folder) == STAGED
    bodies = [one.body for one in staging.asked("POST", "/branches/tx-1/objects") if "a.parquet" in str(one.query)]
    assert set(bodies) == {bytes(range(256)) * 40_000}


def test_stage_raises_when_the_server_received_other_bytes(
    repository: LakeFSRepository, staging: ScriptedLake, folder: Path
) -> None:
    staging.on("POST", "/branches/tx-1/objects", Answer(201, entry("cleaned/a.parquet", b"alphb")))
    with pytest.raises(IntegrityError, match=r"other bytes of cleaned/"):
        stage(repository, folder)
    assert staging.asked("POST", "/branches/tx-1/commits") == []


def test_stage_removes_the_leftover_of_the_same_attempt(
    repository: LakeFSRepository, staging: ScriptedLake, folder: Path
) -> None:
    staging.on("POST", "/branches", Answer(409, error("branch already exists: not unique")), Answer(201, START))
    staging.on("DELETE", "/branches/tx-1", Answer(204, b""))
    assert stage(repository, folder) == STAGED
    assert [one.method for one in staging.requests if one.path in {"/branches", "/branches/tx-1"}] == [
        "POST",
        "DELETE",
        "POST",
    ]


def test_stage_finds_its_commit_when_the_answer_was_lost(
    repository: LakeFSRepository, staging: ScriptedLake, folder: Path
) -> None:
    staging.on("POST", "/branches/tx-1/commits", Answer(reset=True), Answer(400, error("commit: no changes")))
    staging.on("GET", "/branches/tx-1", Answer(body=ref("tx-1", STAGED)))
    assert stage(repository, folder) == STAGED


def test_stage_makes_no_commit_when_nothing_changes(
    repository: LakeFSRepository, staging: ScriptedLake, folder: Path
) -> None:
    staging.on("POST", "/branches/tx-1/commits", Answer(400, error("commit: no changes")))
    staging.on("GET", "/branches/tx-1", Answer(body=ref("tx-1", START)))
    assert stage(repository, folder) == START


def test_stage_raises_when_the_commit_is_refused(
    repository: LakeFSRepository, staging: ScriptedLake, folder: Path
) -> None:
    staging.on("POST", "/branches/tx-1/commits", Answer(400, error("message: required value")))
    staging.on("GET", "/branches/tx-1", Answer(body=ref("tx-1", START)))
    with pytest.raises(StoreError, match="message: required value"):
        stage(repository, folder)


def test_stage_raises_when_a_file_may_not_be_removed(
    repository: LakeFSRepository, staging: ScriptedLake, folder: Path
) -> None:
    # One answer for many files: 200 with the refusals inside.
    refusal = {"path": "cleaned/old", "status_code": 403, "message": "protected"}
    staging.on("GET", f"/refs/{START}/objects/ls", page(entry("cleaned/old")))
    staging.on("POST", "/branches/tx-1/objects/delete", Answer(body={"errors": [refusal]}))
    with pytest.raises(StoreError, match="cleaned/old: 403 protected"):
        stage(repository, folder)


MERGE = "/refs/tx-1/merge/main"


def test_merge_that_happened_is_not_repeated_when_its_answer_was_lost(
    repository: LakeFSRepository, lake: ScriptedLake
) -> None:
    lake.on("POST", MERGE, Answer(reset=True), Answer(400, error("update branch main: no changes")))
    lake.on("GET", "/branches/tx-1", Answer(body=ref("tx-1", STAGED)))
    merge_base = {"source_commit_id": STAGED, "destination_commit_id": OTHER, "base_commit_id": STAGED}
    lake.on("GET", f"/refs/{STAGED}/merge/main", Answer(body=merge_base))
    repository.merge("tx-1", "cleaned", "main")
    assert len(lake.asked("POST", MERGE)) == 2


def test_merge_raises_when_it_is_refused_and_did_not_happen(repository: LakeFSRepository, lake: ScriptedLake) -> None:
    lake.on("POST", MERGE, Answer(400, error("main: uncommitted changes (dirty branch)")))
    lake.on("GET", "/branches/tx-1", Answer(body=ref("tx-1", STAGED)))
    merge_base = {"source_commit_id": STAGED, "destination_commit_id": OTHER, "base_commit_id": START}
    lake.on("GET", f"/refs/{STAGED}/merge/main", Answer(body=merge_base))
    with pytest.raises(StoreError, match="dirty branch"):
        repository.merge("tx-1", "cleaned", "main")


def test_merge_conflict_names_path_and_branch(repository: LakeFSRepository, lake: ScriptedLake) -> None:
    lake.on("POST", MERGE, Answer(409, {"reference": ""}))
    with pytest.raises(ConflictError, match=r"cleaned was published on main.*the branch tx-1 holds"):
        repository.merge("tx-1", "cleaned", "main")
    assert len(lake.requests) == 1


def test_merge_refused_by_a_hook_is_a_failed_gate_that_names_the_run(
    repository: LakeFSRepository, lake: ScriptedLake
) -> None:
    text = "update branch main: pre-merge hook aborted, run id '5k2': 1 error:\n\t* column 'email' is not allowed\n\n"
    lake.on("POST", MERGE, Answer(412, error(text)))
    with pytest.raises(QualityGateError, match=r"run id '5k2': 1 error: \* column 'email' is not allowed") as caught:
        repository.merge("tx-1", "cleaned", "main")
    assert f"see {lake.url}/repositories/reviews/actions/5k2" in str(caught.value)
    assert len(lake.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_request_is_repeated_after_troubles_of_the_server(
    repository: LakeFSRepository, lake: ScriptedLake, status: int
) -> None:
    lake.on("POST", MERGE, Answer(status, error("try again later")), Answer(body={"reference": OTHER}))
    repository.merge("tx-1", "cleaned", "main")
    assert len(lake.requests) == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, StoreError),
        (401, StorePermissionError),
        (403, StorePermissionError),
        (404, NotPublishedError),
        (409, ConflictError),
        (410, NotPublishedError),
        (412, QualityGateError),
        (418, StoreError),
        (501, StoreError),
    ],
)
def test_refusal_is_named_and_not_repeated(
    repository: LakeFSRepository, lake: ScriptedLake, status: int, kind: type[Exception]
) -> None:
    lake.on("GET", f"/refs/{START}/objects", Answer(status, error("no, because")))
    with pytest.raises(kind, match=f"HTTP {status}: no, because"):
        repository.read(START, "a")
    assert len(lake.requests) == 1


def test_server_that_stays_down_is_unavailable_and_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    repository = LakeFSRepository(endpoint, "AKIATEST", SECRET, "reviews", timeout_s=60, attempts=3, pause_s=0.01)
    with pytest.raises(StoreUnavailableError) as caught:
        repository.prepare("main")
    text = str(caught.value)
    assert "read the branch main: 3 attempts" in text
    assert endpoint in text
    assert "refused" in text
    assert SECRET not in text


def test_server_that_does_not_answer_is_unavailable(lake: ScriptedLake) -> None:
    repository = LakeFSRepository(lake.url, "AKIATEST", SECRET, "reviews", timeout_s=0.1, attempts=2, pause_s=0.01)
    lake.on("GET", "/branches/main", Answer(delay_s=60))
    with pytest.raises(StoreUnavailableError, match=r"2 attempts at .*pause of more than 0\.1 s"):
        repository.prepare("main")


@pytest.mark.parametrize("body", [b"<html>not lakeFS</html>", b"[]", b"", b'{"other": 1}'])
def test_answer_of_another_server_is_named(repository: LakeFSRepository, lake: ScriptedLake, body: bytes) -> None:
    lake.on("GET", "/branches/main", Answer(body=body))
    with pytest.raises(StoreError, match="not as lakeFS does"):
        repository.prepare("main")


def test_secret_stays_out_of_representations_logs_and_errors(
    repository: LakeFSRepository, lake: ScriptedLake, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    lake.on("GET", "/branches/main", Answer(503, error("busy")))
    with pytest.raises(StoreUnavailableError) as caught:
        repository.prepare("main")
    connection = LakeFSConnection(lake.url, "AKIATEST", SECRET, "reviews")
    shown = [repr(repository), repr(connection), repository.describe(), str(caught.value), caplog.text]
    shown += [repr(caught.value.__cause__), str(caught.value.__cause__)]
    token = lake.requests[0].headers["authorization"].removeprefix("Basic ")
    assert "busy" in caplog.text
    assert not [text for text in shown if SECRET in text or token in text]


@pytest.mark.parametrize("suffix", ["", "/", "/api/v1", "/api/v1/"])
def test_endpoint_may_end_as_people_write_it(lake: ScriptedLake, suffix: str) -> None:
    repository = LakeFSRepository(lake.url + suffix, "AKIATEST", SECRET, "reviews")
    lake.on("GET", "/branches/main", Answer(body=ref("main", START)))
    assert repository.prepare("main") == START
    assert repository.link(START) == f"{lake.url}/repositories/reviews/commits/{START}"
    assert repository.link("v1 a") == f"{lake.url}/repositories/reviews/objects?ref=v1%20a"
    assert repository.describe() == f"lakefs://reviews at {lake.url}"


@pytest.mark.parametrize("endpoint", ["127.0.0.1:8000", "ftp://host", f"http://me:{SECRET}@host", "http://"])
def test_endpoint_that_cannot_be_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="LAKEFS_ENDPOINT") as caught:
        LakeFSRepository(endpoint, "AKIATEST", SECRET, "reviews").prepare("main")
    assert SECRET not in str(caught.value)


def test_proxies_of_the_environment_do_not_come_between(
    repository: LakeFSRepository, lake: ScriptedLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    lake.on("GET", "/branches/main", Answer(body=ref("main", START)))
    assert repository.prepare("main") == START


def test_repository_goes_to_other_processes(repository: LakeFSRepository, lake: ScriptedLake) -> None:
    lake.on("GET", "/branches/main", Answer(body=ref("main", START)))
    repository.prepare("main")
    copy = pickle.loads(pickle.dumps(repository))
    assert copy == repository
    assert copy.prepare("main") == START


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'workflows-dagster\[lakefs\]'"):
        LakeFSRepository("http://host", "AKIATEST", SECRET, "reviews")


def test_prepare_makes_a_missing_base_branch_from_the_default_one(
    repository: LakeFSRepository, lake: ScriptedLake
) -> None:
    lake.on("GET", "/branches/jane", Answer(404, error("branch not found")), Answer(body=ref("jane", START)))
    lake.on("GET", "", Answer(body=about_repository()))
    lake.on("POST", "/branches", Answer(201, START))
    assert repository.prepare("jane") == START
    [made] = lake.asked("POST", "/branches")
    assert (json.loads(made.body)["name"], json.loads(made.body)["source"]) == ("jane", "trunk")


def test_prepare_does_not_make_a_repository_unasked(repository: LakeFSRepository, lake: ScriptedLake) -> None:
    with pytest.raises(NotPublishedError, match=r"no repository reviews at .*LAKEFS_CREATE"):
        repository.prepare("main")
    assert lake.asked("POST", ".*") == []


def test_prepare_makes_the_repository_once_when_another_process_was_faster(
    repository: LakeFSRepository, lake: ScriptedLake
) -> None:
    lake.on("GET", "/branches/trunk", Answer(404, error("repository not found")), Answer(body=ref("trunk", START)))
    lake.on("GET", "", Answer(404, error("repository not found")), Answer(body=about_repository()))
    lake.on("POST", "/api/v1/repositories", Answer(409, error("error creating repository: not unique")))
    allowed = replace(repository, create=True, storage_namespace="s3://bucket/reviews")
    assert allowed.prepare("trunk") == START
    [made] = lake.asked("POST", "/api/v1/repositories")
    assert json.loads(made.body)["storage_namespace"] == "s3://bucket/reviews"


def test_prepare_waits_for_the_process_that_is_making_the_repository(
    repository: LakeFSRepository, lake: ScriptedLake
) -> None:
    # What the server answers between the first process's look at the storage and its record of the repository.
    busy = Answer(400, error("failed to create repository: found lakeFS objects in the storage: already in use"))
    missing = Answer(404, error("repository not found"))
    lake.on("GET", "/branches/trunk", missing, Answer(body=ref("trunk", START)))
    lake.on("GET", "", missing, missing, Answer(body=about_repository()))
    lake.on("POST", "/api/v1/repositories", busy)
    allowed = replace(repository, create=True, storage_namespace="s3://bucket/reviews")
    assert allowed.prepare("trunk") == START
    lake.on("GET", "", missing)
    lake.on("GET", "/branches/trunk", missing)
    with pytest.raises(StoreError, match="already in use"):
        allowed.prepare("trunk")


def test_prepare_asks_for_a_storage_namespace(repository: LakeFSRepository, lake: ScriptedLake) -> None:
    with pytest.raises(ConfigurationError, match="STORAGE_NAMESPACE"):
        replace(repository, create=True).prepare("main")


def about_repository() -> dict[str, Any]:
    return {"id": "reviews", "creation_date": 1, "default_branch": "trunk", "storage_namespace": "mem://reviews"}


def test_fetch_writes_files_whole_after_a_cut_answer(
    repository: LakeFSRepository, lake: ScriptedLake, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 10_000
    lake.on("GET", f"/refs/{START}/objects", Answer(body=content, cut=70_000), Answer(reset=True), Answer(body=content))
    repository.fetch(START, "cleaned", ["part/b"], tmp_path / "copy")
    assert (tmp_path / "copy" / "part" / "b").read_bytes() == content
    assert [one.query["path"] for one in lake.requests] == [["cleaned/part/b"]] * 3


def test_fetch_leaves_no_part_of_a_file_behind(
    repository: LakeFSRepository, lake: ScriptedLake, tmp_path: Path
) -> None:
    lake.on("GET", f"/refs/{START}/objects", Answer(body=b"0123456789", cut=4))
    with pytest.raises(StoreUnavailableError, match="give cleaned/b"):
        repository.fetch(START, "cleaned", ["b"], tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../b", "/b", "a/../../b", ""])
def test_fetch_refuses_names_that_lead_out_of_the_folder(
    repository: LakeFSRepository, lake: ScriptedLake, tmp_path: Path, name: str
) -> None:
    with pytest.raises(IntegrityError, match="leads out"):
        repository.fetch(START, "cleaned", [name], tmp_path)
    assert lake.requests == []


def test_first_failure_ends_an_upload_of_many_files(
    repository: LakeFSRepository, staging: ScriptedLake, tmp_path: Path
) -> None:
    for number in range(300):
        (tmp_path / f"{number}").touch()
    staging.on("POST", "/branches/tx-1/objects", Answer(403, error("no")))
    with pytest.raises(StorePermissionError):
        stage(repository, tmp_path)
    assert len(staging.asked("POST", "/branches/tx-1/objects")) < 100


def test_last_change_passes_over_a_commit_that_only_looks_newer(
    repository: LakeFSRepository, lake: ScriptedLake
) -> None:
    # The log is in the order of the servers' clocks; OTHER is of a server whose clock is ahead, and older.
    lake.on("GET", f"/refs/{START}/objects/stat", Answer(body=entry("a", b"new")))
    lake.on("GET", f"/refs/{OTHER}/objects/stat", Answer(body=entry("a", b"old")))
    lake.on("GET", f"/refs/{STAGED}/objects/stat", Answer(body=entry("a", b"new")))
    commits = {"": page(commit(OTHER, START)), OTHER: page(commit(STAGED, START))}
    lake.on("GET", f"/refs/{START}/commits", lambda request: commits[request.query.get("after", [""])[0]])
    assert repository.last_change(START, "a") == STAGED
    log = lake.asked("GET", f"/refs/{START}/commits")[0].query
    assert (log["objects"], log["amount"], log["limit"]) == (["a"], ["1"], ["True"])


def test_last_change_of_what_is_not_there_is_none(repository: LakeFSRepository, lake: ScriptedLake) -> None:
    lake.on("GET", f"/refs/{START}/objects/ls", page())
    assert repository.last_change(START, "a") is None


def test_resolve_refuses_what_is_no_ref_without_asking(repository: LakeFSRepository, lake: ScriptedLake) -> None:
    for name in ("", "a b"):
        with pytest.raises(NotPublishedError, match="no such ref"):
            repository.resolve(name)
    assert lake.requests == []


def test_listings_are_read_to_their_last_page(repository: LakeFSRepository, lake: ScriptedLake) -> None:
    lake.on("GET", "/branches", page(ref("tx-2", START), after="tx-2"), page(ref("tx-1", START)))
    assert repository.branches("tx-") == ["tx-1", "tx-2"]
    lake.on("GET", "/tags", page(ref("v1", START), after="v1"), page(ref("v2", STAGED)))
    assert repository.tags() == {"v1": START, "v2": STAGED}
    rows = [{"type": kind, "path": name, "path_type": "object"} for kind, name in [("added", "a"), ("removed", "b")]]
    lake.on("GET", f"/refs/{START}/diff/{STAGED}", page(rows[0], after="a"), page(rows[1]))
    assert list(repository.diff(START, STAGED)) == [Change("a", "added"), Change("b", "removed")]
    assert lake.requests[-1].query["type"] == ["two_dot"]
    names = [entry("x/1/.version.json"), entry("x/1/y"), entry("x/.version.json.bak")]
    lake.on("GET", f"/refs/{START}/objects/ls", page(*names, after="y"), page(entry("z/.version.json")))
    assert repository.paths(START, ".version.json") == ["x/1", "z"]


def test_tag_that_is_there_is_the_same_one_or_a_conflict(repository: LakeFSRepository, lake: ScriptedLake) -> None:
    lake.on("POST", "/branches", Answer(409, error("branch already exists: not unique")))
    lake.on("POST", "/tags", Answer(409, error("tag already exists: not unique")))
    lake.on("GET", "/tags/v1", Answer(body=ref("v1", START)))
    repository.tag("v1", START)
    with pytest.raises(ConflictError, match="v1 names another commit"):
        repository.tag("v1", STAGED)


def test_tag_comes_after_the_branch_that_keeps_its_files(repository: LakeFSRepository, lake: ScriptedLake) -> None:
    lake.on("POST", "/branches", Answer(201, START))
    lake.on("POST", "/tags", Answer(201, ref("v1", START)))
    repository.tag("v1", START)
    assert [one.path for one in lake.requests] == ["/branches", "/tags"]
    asked = json.loads(lake.requests[0].body)
    assert (asked["name"], asked["source"]) == (f"hold-{START}", START)


def test_branch_that_is_not_there_is_dropped_already(repository: LakeFSRepository, lake: ScriptedLake) -> None:
    lake.on("DELETE", "/branches/tx-1", Answer(reset=True), Answer(404, error("branch not found")))
    repository.drop_branch("tx-1")
    assert len(lake.requests) == 2


def test_many_threads_share_a_repository(repository: LakeFSRepository, lake: ScriptedLake) -> None:
    lake.on("GET", f"/refs/{START}/objects", lambda request: Answer(body=request.query["path"][0].encode()))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: repository.read(START, str(number)), range(200)))
    assert found == [str(number).encode() for number in range(200)]


def test_docs_state_the_defaults_and_the_errors() -> None:
    text = " ".join((Path(__file__).parents[4] / "docs" / "lakefs.md").read_text().split())
    repository = LakeFSRepository("http://host", "AKIATEST", SECRET, "reviews")
    assert f"no answer within {repository.timeout_s:g} seconds" in text
    assert f"they have to end within {repository.timeout_s:g} seconds" in text
    assert f"{repository.attempts} times in all" in text
    assert f"in blocks, {repository.parallel} at a time" in text
    named = set(re.findall(r"`(\w+Error)`", text))
    assert named >= {"ConflictError", "NotPublishedError", "StoreUnavailableError"}
    assert not [name for name in named if not hasattr(errors, name)]


_MEASURE = """
import json, re, sys
from pathlib import Path
from workflows_dagster.lib.store.lakefs.repository import LakeFSRepository

url, root = sys.argv[1], Path(sys.argv[2])
repository = LakeFSRepository(url, "AKIATEST", "x", "reviews")
peaks = []

def peak():
    # Not ru_maxrss: that begins with what the parent had.
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

for size in ("small", "large"):
    repository.stage("tx-1", "a" * 64, size, root / size, unchanged=(), message="one", metadata={})
    peaks.append(peak())
for size in ("small", "large"):
    repository.fetch("a" * 64, size, ["file"], root / "copy")
    peaks.append(peak())
print(json.dumps(peaks))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_large_files_do_not_pass_through_memory_whole(staging: ScriptedLake, tmp_path: Path) -> None:
    content = {"small/file": b"x" * 1000, "large/file": b"x" * 300_000_000}
    for name, bytes_ in content.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(bytes_)
    staging.on("GET", f"/refs/{START}/objects", lambda request: Answer(body=content[request.query["path"][0]]))
    command = [sys.executable, "-c", _MEASURE, staging.url, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    base, sent, _, received = json.loads(done.stdout)
    assert (tmp_path / "copy" / "file").stat().st_size == 300_000_000
    assert sent - base < 32 * 1024
    assert received - base < 32 * 1024
