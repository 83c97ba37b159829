"""How the steps of a run are executed."""

from typing import Final

import dagster as dg

PRELOADED: Final = "workflows_dagster.preload"

MULTIPROCESS: Final = dg.multiprocess_executor.configured(
    {"max_concurrent": 2, "start_method": {"forkserver": {"preload_modules": [PRELOADED]}}},
    name="multiprocess_forkserver",
)
"""Each step in a process of its own, forked from a server that has the common imports done; two at once."""
