"""Fresh processes: answers, progress, crashes and those that take too long."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from workflows_dagster.lib.errors import WorkerFailedError
from workflows_dagster.lib.export.process import run_fresh
from workflows_dagster.lib.progress import PROGRESS_LOGGER

HEAD = "import sys, time\nfrom workflows_dagster.lib.export.process import answer, tell\n"
BODIES = {
    "echoing": (
        "def f(r):\n    print('noise')\n    tell('counting', 2, 2, 'rows')\n    return {'got': r['n'] + 1}\nanswer(f)"
    ),
    "crashing": "def f(r):\n    raise ValueError('no such weights')\nanswer(f)",
    "dying": "import os\nos.kill(os.getpid(), 9)",
    "sleeping": "time.sleep(3600)",
    "silent": "pass",
}


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, body in BODIES.items():
        (tmp_path / f"{name}_worker.py").write_text(f"{HEAD}{body}\n", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_a_process_answers_and_its_progress_is_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, PROGRESS_LOGGER):
        assert run_fresh("echoing_worker", {"n": 1}, timeout_s=600, threads=1) == {"got": 2}
    assert [record.getMessage() for record in caplog.records] == ["counting: 2 of 2 rows"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("crashing", "exit code 1; .*ValueError: no such weights"),
        ("dying", "exit code -9"),
        ("silent", r"exit code 0; stderr ends: \(empty\)"),
    ],
)
def test_a_process_that_fails_raises_with_the_end_of_its_stderr(name: str, told: str) -> None:
    with pytest.raises(WorkerFailedError, match=f"(?s){told}"):
        run_fresh(f"{name}_worker", {}, timeout_s=600, threads=1)


def test_a_process_that_takes_too_long_is_killed() -> None:
    with pytest.raises(WorkerFailedError, match=r"was stopped.*after 2 s.*raise timeout_s"):
        run_fresh("sleeping_worker", {}, timeout_s=2, threads=1)


def test_a_serving_process_loads_only_what_serving_needs() -> None:
    code = (
        "import sys, workflows_dagster.lib.benchmark.worker;"
        "print({'polars', 'pyarrow', 'pydantic', 'torch'} & {*sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"
