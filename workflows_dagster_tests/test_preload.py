"""The module that the fork server imports, and the steps it guards, in real processes."""

import multiprocessing
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection

import psutil
import pytest

from workflows_dagster.jobs import PRELOADED

HEAVY = ["torch", "transformers", "sklearn", "scipy", "pandas", "peft", "datasets", "matplotlib", "onnxruntime"]

RUN_WORKER = f"""
import multiprocessing, os, time
def step(connection):
    connection.send(os.getpid())
    time.sleep(3600)
if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([{PRELOADED!r}])
    ours, theirs = context.Pipe()
    process = context.Process(target=step, args=(theirs,))
    process.start()
    print(ours.recv(), flush=True)
    time.sleep(3600)
"""


def test_preload_imports_cleanly_and_loads_nothing_heavy() -> None:
    code = f"import sys, {PRELOADED}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")


def _group_and_multiply(connection: Connection) -> None:
    import numpy as np
    import polars as pl

    frame = pl.LazyFrame({"key": np.arange(200_000) % 7, "value": np.ones(200_000)})
    sums = frame.group_by("key").agg(pl.col("value").sum()).collect(engine="streaming")
    square = np.ones((400, 400)) @ np.ones((400, 400))
    connection.send((sums["value"].sum(), float(square[0, 0])))


def test_polars_and_numpy_compute_in_a_step_forked_after_the_preload() -> None:
    """Both start threads at import, and threads do not survive a fork."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    ours, theirs = context.Pipe()
    process = context.Process(target=_group_and_multiply, args=(theirs,))
    process.start()
    answered = ours.poll(timeout=600)
    process.kill() if not answered else process.join()
    assert answered, "the step hangs"
    assert ours.recv() == (200_000.0, 400.0)
    ours.close()
    theirs.close()


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's own")
def test_step_dies_when_the_process_of_its_run_is_killed(tmp_path_factory: pytest.TempPathFactory) -> None:
    script = tmp_path_factory.mktemp("worker") / "run_worker.py"
    script.write_text(RUN_WORKER)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as worker:
        if worker.stdout is None:
            raise RuntimeError("the process was started with a pipe")
        step = psutil.Process(int(worker.stdout.readline()))
        worker.send_signal(signal.SIGKILL)
        while step.is_running() and step.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.05)
