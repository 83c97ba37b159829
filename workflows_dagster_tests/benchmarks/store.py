"""Publishing and reading through the embedded store, beside plain copying and beside git itself, in one run.

    python workflows_dagster_tests/benchmarks/store.py --rounds 5

Each round makes new content and hands it to every way in turn. Ratios are of medians. Content is incompressible.
Publishing starts at a folder of ready files that are on disk. Reading ends with the files in a folder, verified where
the way verifies anything.

    copy        shutil.copytree, then fsync of every file and folder
    sha256sum   that command on the files: what verifying alone costs
    store       a transaction of VersionedStore over GitRepository: digests, links, commit, merge, all on disk; read
                without a view, and with the view of an earlier reading
    git         `git add` and `git commit` into a bare repository, and `git checkout`, as git does it by itself
    git safe    the same with compression off and every object brought to disk
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.versioned import VersionedStore

CASES = {"1 file of 100 MB": (1, 100_000_000), "2,000 files of 4 kB": (2_000, 4_096)}
SAFE = ["-c", "core.compression=0", "-c", "core.bigFileThreshold=1m", "-c", "core.fsync=all"]


@dataclass
class Way:
    """One way to publish a folder and read it back."""

    publish: Callable[[Path], object]
    read: dict[str, Callable[[Path], object]]
    before_reading: Callable[[], object] = lambda: None


def make_files(folder: Path, count: int, size: int) -> None:
    """Incompressible files, ten folders of them where there are many."""
    for number in range(count):
        path = folder / (f"part-{number % 10}/{number:04}.bin" if count > 1 else "model.bin")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))


def copy_way(place: Path) -> Way:
    """Plain copying, brought to disk."""
    target = place / "copies"

    def publish(folder: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(folder, target)
        for path in [*target.rglob("*"), target]:
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    return Way(publish, {"read": lambda out: shutil.copytree(target, out)})


def sha256sum_way(place: Path) -> Way:
    """The command sha256sum on every file."""
    target = place / "files"

    def publish(folder: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        folder.rename(target)

    def read(_: Path) -> None:
        subprocess.run(["sha256sum", *filter(Path.is_file, target.rglob("*"))], stdout=subprocess.DEVNULL, check=True)

    return Way(publish, {"read": read})


def store_way(place: Path) -> Way:
    """The embedded store; read without and with a view."""
    store = VersionedStore(GitRepository(place / "store.git"), place / "work")

    def publish(folder: Path) -> None:
        with store.transaction("model", "Benchmark", label=["model"], metadata={}) as transaction:
            # Steps write into the transaction's folder: what is timed is not a copy into it.
            transaction.folder.rmdir()
            folder.rename(transaction.folder)

    def read(_: Path) -> None:
        store.folder("model")

    return Way(publish, {"read": read, "read, view": read}, lambda: shutil.rmtree(place / "store.git" / "views"))


def git_way(place: Path, options: list[str]) -> Way:
    """The command git on a bare repository."""
    bare = place / "bare.git"
    subprocess.run(["git", "init", "-q", "--bare", bare], check=True)

    def git(folder: Path, *command: str) -> None:
        identity = ["-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost", "-c", "gc.auto=0"]
        subprocess.run(["git", *identity, *options, f"--git-dir={bare}", f"--work-tree={folder}", *command], check=True)

    def publish(folder: Path) -> None:
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", "Benchmark")

    def read(out: Path) -> None:
        out.mkdir()
        git(out, "checkout", "-q", "-f", "HEAD", "--", ".")

    return Way(publish, {"read": read})


def main() -> None:
    """Prints a line for each case, way and verb: median, range, and ratios to other ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where to work; default: the system's temporary folder")
    arguments = parser.parse_args()
    against = ("copy", "sha256sum", "git")
    print(
        f"{'case':22}{'way':10}{'verb':14}{'median s':>9}{'min':>8}{'max':>8}",
        *(f"{'x ' + way:>11}" for way in against),
    )
    for case, (count, size) in CASES.items():
        seconds = run_case(count, size, arguments.rounds, arguments.folder)
        for (way, verb), taken in sorted(seconds.items(), key=lambda item: (item[0][1].split(",")[0], item[0])):
            medians = [statistics.median(seconds[other, verb.split(",")[0]]) for other in against]
            median = statistics.median(taken)
            ratios = (f"{median / base:11.2f}" for base in medians)
            print(f"{case:22}{way:10}{verb:14}{median:9.3f}{min(taken):8.3f}{max(taken):8.3f}", *ratios, flush=True)
    print("load:", *os.getloadavg())


def run_case(count: int, size: int, rounds: int, folder: Path | None) -> dict[tuple[str, str], list[float]]:
    """Seconds of each way and verb; the ways take turns in every round."""
    seconds: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        top = Path(scratch)
        for name in ("copy", "sha256sum", "store", "git", "git safe"):
            (top / name).mkdir()
        ways = {
            "copy": copy_way(top / "copy"),
            "sha256sum": sha256sum_way(top / "sha256sum"),
            "store": store_way(top / "store"),
            "git": git_way(top / "git", []),
            "git safe": git_way(top / "git safe", SAFE),
        }
        for number in range(rounds + 1):
            make_files(top / "new", count, size)
            for name, way in ways.items():
                shutil.copytree(top / "new", top / "input")
                os.sync()
                taken = {"publish": timed(way.publish, top / "input")}
                way.before_reading()
                for verb, read in way.read.items():
                    taken[verb] = timed(read, top / "output")
                    shutil.rmtree(top / "output", ignore_errors=True)
                shutil.rmtree(top / "input", ignore_errors=True)
                # The first round fills caches and imports.
                for verb, value in taken.items() if number else ():
                    seconds.setdefault((name, verb), []).append(value)
            shutil.rmtree(top / "new")
    return seconds


def timed(work: Callable[[Path], object], folder: Path) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work(folder)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
