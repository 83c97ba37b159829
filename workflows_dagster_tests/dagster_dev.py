"""`dagster dev` of a small project, for tests of what only its processes show."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
MODULE = "small_project"
WAIT_S = 600
LAUNCH = """mutation($p: ExecutionParams!) {
    launchRun(executionParams: $p) {__typename ... on LaunchRunSuccess {run {runId}}}
}"""
Query = Callable[..., dict[str, Any]]


@contextmanager
def dagster_dev(folder: Path, project: str) -> Generator[Query]:
    """Serves a project with this repository's dagster.yaml, and ends every process of it; yields its GraphQL."""
    deployment = yaml.safe_load((ROOT / "dagster.yaml").read_text("utf-8"))
    deployment["run_monitoring"] |= {"poll_interval_seconds": 1, "free_slots_after_run_end_seconds": 1}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(deployment))
    (folder / f"{MODULE}.py").write_text(project)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dagster", "dev", "-m", MODULE, "-h", "127.0.0.1", "-p", str(port)]
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    with (folder / "dev.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)

    def query(text: str, **variables: object) -> dict[str, Any]:
        body = json.dumps({"query": text, "variables": variables}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=WAIT_S) as response:
            return json.load(response)["data"]

    try:
        wait_for(lambda: _answers(port), "the server answers")
        yield query
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def launch(query: Query, job: str) -> str:
    """Starts a job as the UI does; id of the run."""
    selector = {"repositoryLocationName": MODULE, "repositoryName": "__repository__", "jobName": job}
    launched = query(LAUNCH, p={"selector": selector, "runConfigData": {}, "mode": "default"})
    return str(launched["launchRun"]["run"]["runId"])


def wait_for(holds: Callable[[], bool], what: str) -> None:
    """Returns once something holds; fails where it does not within a time that is far more than it takes."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {WAIT_S} s: {what}"
        time.sleep(0.5)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
