"""Faults on the wire: what a client sees of each, and what the server has done nevertheless."""

import http.client
import threading
from urllib.parse import urlsplit

import pytest
import urllib3

from workflows_dagster_tests.lakefs_server.caller import Caller
from workflows_dagster_tests.lakefs_server.faults import Fault, Faults
from workflows_dagster_tests.lakefs_server.server import LoopbackLakeFS

UPLOADS = r"/objects[?]"


def _paths(caller: Caller, branch: str = "main") -> list[str]:
    return [each["path"] for each in caller.done("GET", f"/refs/{branch}/objects/ls")["results"]]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (500, "branch is currently locked, try again later"),
        (503, "Throughput exceeded. Slow down and retry"),
        (429, "Too many attempts, try again later"),
        (412, "Precondition failed"),
        (409, "conflict found"),
        (410, "repository in deletion"),
        (423, "branch is locked"),
    ],
)
def test_status_is_answered_so_many_times_and_nothing_is_done(
    server: LoopbackLakeFS, caller: Caller, status: int, words: str
) -> None:
    server.faults.add(Fault("status", method="POST", path=UPLOADS, status=status, times=2))
    kind = {"Content-Type": "application/octet-stream"}
    got = [caller.call("POST", "/branches/main/objects", body=b"x" * 100_000, headers=kind, path="a") for _ in range(2)]
    assert [(each.status, each.message) for each in got] == [(status, words)] * 2
    assert _paths(caller) == []
    caller.upload("main", "a")
    assert server.faults.rules == []


def test_status_has_the_body_and_headers_that_were_ordered(server: LoopbackLakeFS, caller: Caller) -> None:
    page = "<html>bad gateway</html>"
    server.faults.add(Fault("status", status=502, body=page, headers={"Retry-After": "1"}))
    got = caller.call("GET", "/branches")
    assert (got.status, got.text.decode(), got.headers["Retry-After"]) == (502, page, "1")
    assert got.headers["Content-Type"] == "text/html"


def test_reset_comes_before_anything_is_done(server: LoopbackLakeFS, caller: Caller) -> None:
    server.faults.add(Fault("reset", method="POST", path="/branches$"))
    # Which of the two it sees hangs on whether it is still sending.
    with pytest.raises(urllib3.exceptions.ProtocolError, match=r"reset|closed connection"):
        caller.branch("side")
    assert [each["id"] for each in caller.done("GET", "/branches")["results"]] == ["main"]


def test_reset_in_an_upload_leaves_no_object(server: LoopbackLakeFS, caller: Caller) -> None:
    server.faults.add(Fault("reset_in_body", path=UPLOADS, after_bytes=1_000_000))
    with pytest.raises(urllib3.exceptions.ProtocolError):
        caller.upload("main", "big", bytes(20_000_000))
    assert _paths(caller) == []
    (seen,) = server.requests.matching("POST", UPLOADS)
    assert (seen.body_bytes, seen.status, seen.fault) == (1_000_000, None, "reset_in_body")
    assert caller.upload("main", "big", bytes(20_000_000))["size_bytes"] == 20_000_000


def test_lost_answer_belongs_to_a_request_that_was_carried_out(server: LoopbackLakeFS, caller: Caller) -> None:
    caller.publish("side", "a", b"one")
    server.faults.add(Fault("lost_answer", path="/merge/"))
    with pytest.raises(urllib3.exceptions.ProtocolError):
        caller.merge("side")
    assert caller.read("main", "a") == b"one"
    assert caller.merge("side").message == "update branch main: no changes"


def test_delay_lets_a_client_run_out_of_patience(server: LoopbackLakeFS, caller: Caller) -> None:
    server.faults.add(Fault("delay", path="/branches$", delay_s=60))
    place = urlsplit(server.endpoint)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=0.2)
    with pytest.raises(TimeoutError):
        _ask(connection, f"/api/v1/repositories/{caller.repository}/branches")
    connection.close()
    assert caller.done("GET", "/branches")["results"]


def test_truncated_answer_is_noticed_by_its_length(server: LoopbackLakeFS, caller: Caller) -> None:
    caller.upload("main", "big", bytes(3_000_000))
    server.faults.add(Fault("truncate", method="GET", path=UPLOADS, after_bytes=1_500_000))
    with pytest.raises(urllib3.exceptions.ProtocolError, match="IncompleteRead"):
        caller.read("main", "big")
    assert caller.read("main", "big") == bytes(3_000_000)


def test_rule_passes_others_and_skips_the_first_ones(server: LoopbackLakeFS, caller: Caller) -> None:
    server.faults.add(Fault("status", method="GET", path="/tags$", skip=1, status=503))
    got = [caller.call("GET", path).status for path in ("/branches", "/tags", "/tags", "/tags")]
    assert got == [200, 200, 503, 200]
    assert len(server.requests.matching("GET", "/tags$")) == 3
    assert len(server.requests.matching("GET", "/tags$", status=503)) == 1


def test_rules_are_met_once_each_by_requests_at_once() -> None:
    faults = Faults()
    faults.add(Fault("reset", times=50), Fault("delay", times=50))
    met: list[str] = []
    threads = [
        threading.Thread(target=lambda: met.extend(fault.kind for _ in range(25) if (fault := faults.take("GET", "/"))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(met) == ["delay"] * 50 + ["reset"] * 50


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no kind of fault: 'fire'"):
        Fault("fire")  # pyright: ignore[reportArgumentType]  # what a rule that came over HTTP may hold


def test_upload_whose_client_dies_leaves_no_object(server: LoopbackLakeFS, caller: Caller) -> None:
    place = urlsplit(server.endpoint)
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=10)
    connection.putrequest("POST", f"/api/v1/repositories/{caller.repository}/branches/main/objects?path=half")
    token = urllib3.make_headers(basic_auth=f"{caller.access_key_id}:{caller.secret_access_key}")
    for name, value in (token | {"Content-Length": "1000000"}).items():
        connection.putheader(name, value)
    connection.endheaders(b"x" * 500_000)
    connection.close()
    assert _paths(caller) == []


def test_stopping_server_ends_waiting_connections(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("stopped")
    with LoopbackLakeFS(root) as server:
        server.faults.add(Fault("delay", delay_s=60, path="/config"))
        caller = Caller(server.endpoint, server.access_key_id, server.secret_access_key, "none")
        caller.call("GET", "//healthcheck")
        slow = threading.Thread(target=_swallow, args=(caller,))
        slow.start()
        while not server.requests.matching("GET", "/config"):
            pass
    slow.join()
    with pytest.raises(urllib3.exceptions.HTTPError):
        caller.call("GET", "//healthcheck")


def _swallow(caller: Caller) -> None:
    try:
        caller.call("GET", "//config")
    except urllib3.exceptions.HTTPError:
        return


def _ask(connection: http.client.HTTPConnection, path: str) -> None:
    connection.request("GET", path)
    connection.getresponse()
