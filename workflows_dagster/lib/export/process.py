"""Runs a module in a fresh process: JSON in, JSON out. Its progress is passed on, and an error holds all it said."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from workflows_dagster.lib.accelerator import WAIT_POLICY
from workflows_dagster.lib.errors import WorkerFailedError
from workflows_dagster.lib.process_guard import die_with_parent
from workflows_dagster.lib.progress import Progress

Message = Mapping[str, Any]
STDERR_LINES: Final = 25


def run_fresh(module: str, request: Message, *, timeout_s: float, threads: int) -> dict[str, Any]:
    """The answer of `python -m module` to a request.

    Args:
        module: Its main calls `answer`.
        request: What it is asked, JSON.
        timeout_s: It is killed after so long.
        threads: Threads that numeric libraries in it may use.

    Raises:
        WorkerFailedError: It was killed, crashed or gave no answer; with the end of its stderr.
    """
    with tempfile.TemporaryDirectory(prefix="workflows_dagster-") as scratch:
        asked, answered, stderr = (Path(scratch) / name for name in ("request.json", "response.json", "stderr.txt"))
        asked.write_text(json.dumps(request), "utf-8")
        limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), str(threads))
        environment = {
            **WAIT_POLICY,
            **os.environ,
            **limits,
            "TOKENIZERS_PARALLELISM": "true",
            "WORKER_PARENT_PID": str(os.getpid()),
        }
        with stderr.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", module, str(asked), str(answered)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
            )
            killed = _follow(process, timeout_s)
        if killed or process.returncode or not answered.is_file():
            raise WorkerFailedError(
                f"the process {module} {'was stopped' if killed else 'failed'}",
                given=f"after {timeout_s:g} s" if killed else _tail(process.returncode, stderr),
                expected="an answer within its time" if killed else "exit code 0 and an answer",
                remedy="raise timeout_s, or ask for fewer rows" if killed else "mend what its last lines name",
            )
        return json.loads(answered.read_text("utf-8"))


def answer(respond: Callable[[Message], Message]) -> None:
    """Main of such a process: reads the request, writes the response atomically."""
    die_with_parent(int(os.environ["WORKER_PARENT_PID"]))
    asked, answered = map(Path, sys.argv[1:3])
    response = respond(json.loads(asked.read_text("utf-8")))
    partial = answered.with_suffix(".partial")
    partial.write_text(json.dumps(response), "utf-8")
    partial.replace(answered)


def tell(stage: str, done: int, total: int, unit: str) -> None:
    """Tells the process that asked how far this one is."""
    sys.stdout.write(json.dumps({"stage": stage, "done": done, "total": total, "unit": unit}) + "\n")
    sys.stdout.flush()


def _follow(process: "subprocess.Popen[bytes]", timeout_s: float) -> bool:
    """Passes the progress on until the process ends; whether it had to be killed."""
    killed = threading.Event()

    def stop() -> None:
        killed.set()
        process.kill()

    timer = threading.Timer(timeout_s, stop)
    timer.start()
    try:
        for line in process.stdout or ():
            _report(line)
        process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        timer.cancel()
        if process.stdout:
            process.stdout.close()
    return killed.is_set()


def _report(line: bytes) -> None:
    """Reports one line of progress; lines that a library prints in between are ignored."""
    try:
        record = json.loads(line)
        progress = Progress(record["stage"], record["total"], record["unit"], every_s=0)
        progress.at(record["done"])
    except (ValueError, TypeError, KeyError):
        return


def _tail(code: int, stderr: Path) -> str:
    lines = stderr.read_text("utf-8", "replace").splitlines()[-STDERR_LINES:]
    return f"exit code {code}; stderr ends: " + ("\n".join(lines) or "(empty)")
