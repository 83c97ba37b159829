"""What the fork server of a run imports once, so that the process of each step starts with it.

The fork server ignores a module that fails to import, so a test imports this one. Nothing here may touch CUDA, which
does not survive a fork. The threads that numpy, polars and pyarrow start at import do no harm; a test shows it.
"""

import os
import sys
from importlib import import_module
from typing import Final

from workflows_dagster.lib.process_guard import die_with_parent

MODULES: Final = (
    "dagster._core.execution.plan.execute_plan",
    "dagster._core.executor.child_process_executor",
    "dagster._core.instance",
    "dagster._core.storage.event_log.sqlite",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.runs.sqlite",
    "dagster._core.storage.sqlite_storage",
    "polars",
    "pyarrow.parquet",
)


def guard_steps() -> None:
    """Makes this fork server die with the process of the run, and each step with this server.

    Otherwise the server lives as long as any step, because each of its children holds the writing end of the pipe that
    tells it to stop. A step would then go on training beside the automatic retry of its own run.
    """
    die_with_parent()
    server = os.getpid()

    def guard_step() -> None:
        # Only direct children of the server are steps; what a step forks itself is left alone.
        if os.getppid() == server:
            die_with_parent(server)

    os.register_at_fork(after_in_child=guard_step)


for _name in MODULES:
    import_module(_name)
if any("multiprocessing.forkserver" in argument for argument in sys.orig_argv):
    guard_steps()
