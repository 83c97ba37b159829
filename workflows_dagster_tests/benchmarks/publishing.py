"""What the store costs in the demo: seconds of publishing each version beside those of making it, and of all reading.

    python workflows_dagster_tests/benchmarks/publishing.py

It runs the demo in a temporary folder, in this process, on the store that the environment names. `publish` is from the
last audit to the merge: digests, upload or commit, all on disk. Reading is fetching and verifying inputs.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from workflows_dagster.cli import app
from workflows_dagster.lib.store.transaction import Transaction
from workflows_dagster.lib.store.versioned import VersionedStore


class Stopwatch:
    """Seconds of making and publishing each path, and of reading."""

    def __init__(self) -> None:
        self.made: dict[str, float] = {}
        self.published: dict[str, float] = {}
        self.read = 0.0

    def attach(self) -> None:
        """Has the store's methods counted."""
        store: Any = VersionedStore
        transactions: Any = Transaction
        publish, copy, begin = store._publish, store.copy, transactions.__init__

        @wraps(begin)
        def begun(transaction: Any, *args: Any, **kwargs: Any) -> None:
            begin(transaction, *args, **kwargs)
            transaction.begun = time.perf_counter()

        def published(store: Any, transaction: Any, *args: Any) -> Any:
            self.made[transaction.path] = time.perf_counter() - transaction.begun
            result, self.published[transaction.path] = timed(lambda: publish(store, transaction, *args))
            return result

        def copied(store: Any, version: Any) -> Any:
            result, seconds = timed(lambda: copy(store, version))
            self.read += seconds
            return result

        store._publish, store.copy, transactions.__init__ = published, copied, begun

    def show(self) -> None:
        """Prints a line for each path, and the sums."""
        print(f"{'path':48}{'make s':>9}{'publish s':>11}{'share':>8}")
        for path, made in self.made.items():
            print(line(path, made, self.published[path]))
        made, published = sum(self.made.values()), sum(self.published.values())
        print(line("all", made, published))
        print(f"reading: {self.read:.2f} s, {self.read / (made + published + self.read):.1%} of all")


def line(path: str, made: float, published: float) -> str:
    """One row of the table."""
    return f"{path:48}{made:9.2f}{published:11.3f}{published / (made + published):8.1%}"


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """The result of a call, and its seconds."""
    started = time.perf_counter()
    return call(), time.perf_counter() - started


def main() -> None:
    """Runs the demo and prints what the store took."""
    watch = Stopwatch()
    watch.attach()
    settings = Path("dagster.yaml").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("dagster.yaml").write_bytes(settings)
        app(["demo"], standalone_mode=False)
    watch.show()


if __name__ == "__main__":
    sys.exit(main())
