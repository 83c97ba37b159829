"""Starts, restarts, ends and kills of the local Argilla, as a person's terminal and a hard machine do them."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from workflows_dagster.lib.errors import AlreadyRunningError, WorkerFailedError
from workflows_dagster.local_argilla.credentials import read_credentials
from workflows_dagster.local_argilla.launch import local_argilla
from workflows_dagster_tests.argilla_server_fixture import Api, api
from workflows_dagster_tests.local_argilla.pilot import make_pilot

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("argilla_environment")]

WAIT_S = 600
COMMAND = [sys.executable, "-c", "from workflows_dagster.cli import app; app()", "argilla", "--port", "0"]


def start(home: Path) -> "subprocess.Popen[str]":
    """The real command in a process of its own, as from a terminal: libraries it imports meddle with signals."""
    return subprocess.Popen([*COMMAND, "--annotators", "1", "--home", str(home)], stdout=subprocess.PIPE, text=True)


def read_until_ready(process: "subprocess.Popen[str]") -> str:
    """What it printed up to its last line."""
    said = ""
    for line in process.stdout or ():
        said += line
        if line.startswith("Ctrl-C"):
            break
    return said


def wait_for(holds: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > give_up:
            pytest.fail(f"not within {WAIT_S} s: {what}")
        time.sleep(0.02)


def server_process(home: Path) -> psutil.Process | None:
    """The server that works on a home, if one is alive."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if str(home) in command and any(part.endswith("serve.py") for part in command):
            return process
    return None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_in_order(tmp_path: Path, number: signal.Signals) -> None:
    with start(tmp_path) as process:
        said = read_until_ready(process)
        assert (tmp_path / "tmp").is_dir()

        process.send_signal(number)
        rest = process.communicate(timeout=WAIT_S)[0]

    assert process.returncode == 0
    assert "its data stay" in rest
    assert server_process(tmp_path) is None
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".lock", "argilla.db", "argilla.log", "credentials.json", "server_id.dat"}
    assert "Traceback" not in said + rest + (tmp_path / "argilla.log").read_text("utf-8")


def test_a_killed_launcher_takes_the_server_along(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        read_until_ready(process)
        server = server_process(tmp_path)
        assert server

        process.kill()
        process.wait()

    wait_for(lambda: server_process(tmp_path) is None, "the server is gone")
    with local_argilla(tmp_path, port=0):  # what the kill left behind is in nobody's way
        assert len(list((tmp_path / "tmp").iterdir())) == 2


def test_a_server_that_dies_is_reported(tmp_path: Path) -> None:
    with local_argilla(tmp_path, port=0) as server:
        server.process.kill()

        with pytest.raises(WorkerFailedError, match="exit code -9"):
            server.wait()


def test_data_and_accounts_survive_a_restart(tmp_path: Path) -> None:
    with local_argilla(tmp_path, port=0, annotators=1) as server:
        pilot = make_pilot(api(server, "owner"), "kept")
        record = pilot.push(api(server, "owner"), [pilot.item("r0", "text")])[0]
        api(server, "annotator_1").answer(record, {"label": "positive"})
        assert server.created == ("owner", "annotator_1")
        token = sign_in(server.url, tmp_path)

        with pytest.raises(AlreadyRunningError), local_argilla(tmp_path, port=0):
            pytest.fail("two servers on one home")

    with local_argilla(tmp_path, port=0, annotators=2, workspace="second") as server:
        assert server.created == ("annotator_2",)
        assert pilot.own_progress(Api(server.url, api(server, "annotator_1").key))["submitted"] == 1
        assert who_am_i(server.url, token) == "annotator_1"
        names = {found["name"] for found in api(server, "owner").get("/me/workspaces")["items"]}
        assert names == {"reviews", "second"}


def sign_in(url: str, home: Path) -> str:
    """The token that a browser would get."""
    account = read_credentials(home).annotators[0]
    form = f"username={account.username}&password={account.password}".encode()
    with urllib.request.urlopen(f"{url}/api/v1/token", form, timeout=WAIT_S) as answer:
        return json.load(answer)["access_token"]


def who_am_i(url: str, token: str) -> str:
    request = urllib.request.Request(f"{url}/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
        return json.load(answer)["username"]


def test_a_first_start_killed_halfway_begins_again(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        wait_for((tmp_path / "argilla.db.unfinished").exists, "the database is being made")
        wait_for((tmp_path / "argilla.db").exists, "the database has been begun")
        process.kill()
        process.wait()
    wait_for(lambda: server_process(tmp_path) is None, "the server is gone")
    assert (tmp_path / "argilla.db.unfinished").exists()

    with local_argilla(tmp_path, port=0) as server:
        assert server.created == ("owner", "annotator_1")
        assert api(server, "annotator_1").get("/me")["username"] == "annotator_1"
    assert not (tmp_path / "argilla.db.unfinished").exists()


def test_a_kill_in_the_middle_of_a_push_loses_and_doubles_nothing(tmp_path: Path) -> None:
    batches = [[f"r{number:04}" for number in range(start, start + 50)] for start in range(0, 500, 50)]
    acknowledged = 0
    with local_argilla(tmp_path, port=0) as server:
        owner = api(server, "owner")
        pilot = make_pilot(owner, "killed")
        for number, batch in enumerate(batches):
            if number == 4:
                # The next push finds the server dying under it.
                os.kill(server.process.pid, signal.SIGKILL)
            try:
                acknowledged += len(pilot.push(owner, [pilot.item(name, f"text of {name}") for name in batch]))
            except OSError:
                break
    assert acknowledged == 200

    with local_argilla(tmp_path, port=0) as server:
        owner = api(server, "owner")
        assert pilot.progress(owner)["total"] in (200, 250)  # a batch is there whole or not at all
        for batch in batches:
            pilot.push(owner, [pilot.item(name, f"text of {name}") for name in batch])
        assert pilot.progress(owner) == {"total": 500, "completed": 0, "pending": 500}
    with closing(sqlite3.connect(tmp_path / "argilla.db")) as connection, connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_states_left_behind_by_a_kill_are_repaired_at_the_next_start(tmp_path: Path) -> None:
    with local_argilla(tmp_path, port=0, annotators=2) as server:
        owner = api(server, "owner")
        pilot = make_pilot(owner, "repaired", min_submitted=2)
        ids = pilot.push(owner, [pilot.item(f"r{number}", "text") for number in range(3)])
        for name in ("annotator_1", "annotator_2"):
            api(server, name).answer(ids[0], {"label": "positive"})
        api(server, "annotator_1").answer(ids[1], {"label": "positive"})
    with closing(sqlite3.connect(tmp_path / "argilla.db")) as connection, connection:
        # As a kill between the commit of a response and the commit of its record's state leaves it.
        connection.execute("UPDATE records SET status = 'pending'")

    with local_argilla(tmp_path, port=0) as server:
        assert server.repaired_records == 1
        assert pilot.progress(Api(server.url, owner.key)) == {"total": 3, "completed": 1, "pending": 2}


def test_a_database_of_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    with local_argilla(tmp_path, port=0, annotators=0):
        pass
    with closing(sqlite3.connect(tmp_path / "argilla.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '237f7c674d74'")

    with pytest.raises(WorkerFailedError, match=r"Expected: .*migrate it"), local_argilla(tmp_path, port=0):
        pytest.fail("it started")
    assert (tmp_path / "argilla.db").exists()
