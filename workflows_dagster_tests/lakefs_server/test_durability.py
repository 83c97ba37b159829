"""The server in a process of its own: killed at any moment, it keeps what it acknowledged and nothing half done."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import urllib3

from workflows_dagster_tests.lakefs_server.caller import Caller
from workflows_dagster_tests.lakefs_server.server import LoopbackLakeFS

ROOT = Path(__file__).parents[2]
KEY, SECRET = "AKIAOWNPROCESS", "secret-of-its-own"


@contextmanager
def _process(root: Path) -> Generator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "workflows_dagster_tests.lakefs_server", "--root", str(root)]
    keys = {"LAKEFS_ACCESS_KEY_ID": KEY, "LAKEFS_SECRET_ACCESS_KEY": SECRET}
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | keys, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def _made(endpoint: str) -> Caller:
    name = f"trial-{uuid4().hex[:12]}"
    caller = Caller(endpoint, KEY, SECRET, name)
    caller.done("POST", "//repositories", json_={"name": name, "storage_namespace": f"local://{name}"})
    return caller


def test_process_says_where_it_is_and_takes_orders(tmp_path: Path) -> None:
    with _process(tmp_path) as (process, endpoint):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", endpoint)
        caller = _made(endpoint)
        pool = urllib3.PoolManager()
        got = pool.request("POST", f"{endpoint}/_faults", json={"kind": "status", "path": "/tags$", "status": 503})
        assert got.status == 201
        assert [caller.call("GET", "/tags").status for _ in range(2)] == [503, 200]
        seen = pool.request("GET", f"{endpoint}/_requests").json()
        assert [(each["status"], each["fault"]) for each in seen][-2:] == [(503, "status"), (200, None)]
        pool.request("POST", f"{endpoint}/_faults", json=[{"kind": "reset"}])
        pool.request("DELETE", f"{endpoint}/_faults")
        assert caller.call("GET", "/tags").status == 200
        assert pool.request("POST", f"{endpoint}/_faults", json={"kind": "fire"}).status == 400
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_second_server_waits_until_the_first_one_is_gone(tmp_path: Path) -> None:
    with _process(tmp_path) as (process, endpoint):
        name = _made(endpoint).repository
        threading.Timer(0.3, process.kill).start()
        with LoopbackLakeFS(tmp_path, KEY, SECRET) as server:
            assert process.wait(20) == -signal.SIGKILL
            assert Caller(server.endpoint, KEY, SECRET, name).done("GET", "")["id"] == name


@pytest.mark.parametrize("number", [pytest.param(3), pytest.param(40, marks=pytest.mark.slow)])
def test_killed_server_keeps_what_it_acknowledged_and_nothing_half_done(tmp_path: Path, number: int) -> None:
    chance = random.Random(number)
    published: dict[str, bytes] = {}
    committed: dict[str, str] = {}
    staged: dict[str, bytes] = {}
    with _process(tmp_path) as (_, endpoint):
        name = _made(endpoint).repository
    for life in range(number):
        with _process(tmp_path) as (process, endpoint):
            caller = Caller(endpoint, KEY, SECRET, name)
            _check(caller, published, committed, staged)
            stop = threading.Timer(chance.uniform(0.02, 0.6), process.kill)
            stop.start()
            with ThreadPoolExecutor(4) as pool:
                for writer in range(4):
                    pool.submit(_write_until_killed, caller, f"{life}-{writer}", published, committed, staged)
            stop.join()
    assert published
    with _process(tmp_path) as (_, endpoint):
        _check(Caller(endpoint, KEY, SECRET, name), published, committed, staged)
    git = ["git", "--git-dir", str(tmp_path / "repositories" / name / "store.git"), "fsck", "--full", "--strict"]
    assert "error" not in subprocess.run(git, capture_output=True, text=True, check=True).stderr


def _write_until_killed(
    caller: Caller, writer: str, published: dict[str, bytes], committed: dict[str, str], staged: dict[str, bytes]
) -> None:
    """Publishes pairs of files, one commit and one merge each, and stages what is never committed."""
    content = f"{writer} ".encode() * 2000
    try:
        caller.branch(f"loose-{writer}")
        for number in range(1000):
            branch = f"tx-{writer}-{number}"
            caller.branch(branch)
            for half in ("left", "right"):
                caller.upload(branch, f"{branch}/{half}", content)
            committed[f"{branch}/left"] = str(caller.commit(branch)["id"])
            if caller.merge(branch).status == 200:
                published[branch] = content
            caller.upload(f"loose-{writer}", str(number), content)
            staged[f"loose-{writer}/{number}"] = content
    except (urllib3.exceptions.HTTPError, OSError):
        return


def _check(caller: Caller, published: dict[str, bytes], committed: dict[str, str], staged: dict[str, bytes]) -> None:
    found: list[str] = []
    after = ""
    while True:
        page = caller.done("GET", "/refs/main/objects/ls", amount="1000", after=after)
        found += [each["path"] for each in page["results"]]
        after = page["pagination"]["next_offset"]
        if not after:
            break
    pairs = [path.rpartition("/")[0] for path in found]
    assert all(pairs.count(branch) == 2 for branch in pairs)
    assert published.keys() <= set(pairs)
    for branch, content in list(published.items())[-5:]:
        assert caller.read("main", f"{branch}/left") == caller.read("main", f"{branch}/right") == content
    for path, commit in list(committed.items())[-5:]:
        assert caller.call("HEAD", f"/refs/{commit}/objects", path=path).status == 200
    for place, content in list(staged.items())[-5:]:
        branch, _, path = place.partition("/")
        assert caller.read(branch, path) == content


def test_writers_at_once_all_land(caller: Caller) -> None:
    def publish(writer: int) -> int:
        branch = f"tx-{writer}"
        caller.branch(branch)
        for number in range(5):
            caller.upload(branch, f"asset-{writer}/{number}", f"{writer}/{number}".encode())
        caller.commit(branch, branch)
        return caller.merge(branch).status

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(publish, range(24))) == [200] * 24
    listed = caller.done("GET", "/refs/main/objects/ls", amount="1000")["results"]
    assert [each["path"] for each in listed] == sorted(f"asset-{w}/{n}" for w in range(24) for n in range(5))
    log = caller.done("GET", "/refs/main/commits", amount="1000", first_parent="true")["results"]
    assert len(log) == 25


def test_of_writers_of_one_path_at_once_one_wins(caller: Caller) -> None:
    for writer in range(8):
        caller.publish(f"tx-{writer}", "asset", str(writer).encode())
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda writer: caller.merge(f"tx-{writer}").status, range(8)))
    assert sorted(statuses) == [200] + [409] * 7
    assert caller.read("main", "asset") == str(statuses.index(200)).encode()


def test_uploads_at_once_to_one_branch_are_all_there(caller: Caller) -> None:
    contents = {f"file-{number}": random.Random(number).randbytes(200_000) for number in range(40)}
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda item: caller.upload("main", *item), contents.items()))
    commit = caller.commit("main")["id"]
    assert {path: caller.read(commit, path) for path in contents} == contents


def test_large_upload_needs_little_memory(tmp_path: Path) -> None:
    size = 300_000_000
    with _process(tmp_path) as (process, endpoint):
        caller = _made(endpoint)
        kind = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        blocks = (bytes(1_000_000) for _ in range(size // 1_000_000))
        caller.done("POST", "/branches/main/objects", body=blocks, headers=kind, path="big")
        assert len(caller.read("main", "big")) == size
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        assert peak
        assert int(peak[1]) < 150_000
