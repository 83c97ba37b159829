"""Kills writers at random moments and judges what is left after each kill.

    python -m workflows_dagster_tests.lib.store.killing --repository git --kills 200 --folder /tmp/killing

A process of its own, which imports everything once and forks its writers: a new writer then costs milliseconds. It
prints one JSON object with what was tried and found, and stops at the first thing that is not as it must be.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import count, islice
from pathlib import Path
from typing import Final

from workflows_dagster.lib.errors import ConflictError, NotPublishedError, StoreUnavailableError
from workflows_dagster.lib.hashing import digest_file
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.lakefs.repository import LakeFSRepository
from workflows_dagster.lib.store.repository import Repository
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore

SHARED: Final = ("shared", "parts/with space", "parts/2024-01-01")
WRITERS: Final = 3
LONGEST_PAUSES_S: Final = {"git": 0.12, "git-pruned": 0.35, "lakefs-loopback": 0.3}
"""So that a writer lives for some publications; beside prune and over HTTP each takes longer."""

KEEP: Final = 6
PRUNE_AFTER_S: Final = 3.0
FSCK_EVERY: Final = 20
SERVER_KILL_EVERY: Final = 6
KEYS: Final = {"LAKEFS_ACCESS_KEY_ID": "AKIAKILLING", "LAKEFS_SECRET_ACCESS_KEY": "killing-secret"}


class BrokenError(Exception):
    """A promise does not hold after a kill."""


class Server:
    """The lakeFS server for tests in a process of its own, always at one address."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._port = 0
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "workflows_dagster_tests.lakefs_server", "--root", str(self._root)]
        self._process = subprocess.Popen(
            [*command, "--port", str(self._port)], env={**os.environ, **KEYS}, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.endpoint = self._process.stdout.readline().strip()
        self._port = int(self.endpoint.rpartition(":")[2])

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


class Judge:
    """Reads all that is published, as another machine would, and remembers it."""

    def __init__(self, store: VersionedStore, acknowledged: Path, *, pruned: bool) -> None:
        self._store = store
        self._acknowledged = acknowledged
        self._pruned = pruned
        self._read = 0
        self.known: dict[str, list[str]] = {}
        self.acknowledgements = 0

    def judge(self) -> None:
        """Checks that every path is whole, no version is lost, and every acknowledged publication is there."""
        # Before the log is read: what is acknowledged meanwhile is checked next time.
        acknowledged = self._new_acknowledgements()
        paths = self._store.paths()
        lost = self.known.keys() - set(paths)
        if lost:
            raise BrokenError(f"{sorted(lost)} were published and are gone")
        for path in paths:
            self._walk(path)
        for commit, path in acknowledged:
            if commit not in self.known[path]:
                raise BrokenError(f"{path} at {commit} was acknowledged and is not in the log {self.known[path]}")

    def _walk(self, path: str) -> None:
        known = self.known.setdefault(path, [])
        last = known[-1] if known else None
        found: list[Version] = []
        for version in self._store.log(path):
            if version.commit == last:
                break
            found.append(version)
        else:
            if last is not None and not self._pruned:
                raise BrokenError(f"the log of {path} no longer leads to {last}")
        parents = [*[version.commit for version in found[1:]], last]
        for newer, parent in zip(found, parents, strict=False):
            if newer.parent != parent and not self._pruned:
                raise BrokenError(f"the parent of {path} at {newer.commit} is {newer.parent}, not {parent}")
            self._read_whole(newer)
        known.extend(version.commit for version in reversed(found))

    def _read_whole(self, version: Version) -> None:
        folder = self._store.folder(version.path, version.commit)
        text = (folder / "small.txt").read_text()
        if (folder / "deep" / "large").read_text() != text * 4000 or not text.startswith(version.metadata["by"]):
            raise BrokenError(f"{version.path} at {version.commit} is a mix of two publications")

    def _new_acknowledgements(self) -> list[tuple[str, str]]:
        with self._acknowledged.open() as file:
            file.seek(self._read)
            lines = file.readlines()
            self._read = file.tell()
        self.acknowledgements += len(lines)
        return [(commit, path) for commit, _, path in (line.rstrip("\n").partition(" ") for line in lines)]


class Arena:
    """The writers, and what they write to."""

    def __init__(self, repository: Callable[[], Repository], folder: Path, *, pruned: bool) -> None:
        self._make = repository
        self._folder = folder
        self._acknowledged = folder / "acknowledged"
        self._acknowledged.touch()
        self._errors = folder / "errors"
        self._names = count()
        self._pruned = pruned
        self.judge = Judge(VersionedStore(repository(), folder / "reader"), self._acknowledged, pruned=pruned)
        self.alive: list[int] = []

    def fill(self) -> None:
        """Starts the writers that are missing, and the process that prunes."""
        while len(self.alive) < WRITERS:
            self.alive.append(self._fork(self._write))
        if self._pruned and len(self.alive) < WRITERS + 1:
            self.alive.append(self._fork(self._prune))

    def kill(self, number: int) -> None:
        """Kills one process; it must not have ended by itself."""
        pid = self.alive.pop(number)
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        if not os.WIFSIGNALED(status):
            raise BrokenError(f"a writer ended by itself: {self._errors.read_text()}")

    def kill_all(self) -> int:
        """Kills all that are left; returns how many."""
        number = len(self.alive)
        while self.alive:
            self.kill(0)
        return number

    def let_locks_age(self, root: Path) -> int:
        """Makes the locks that killed processes left look old, so that writers need not wait five seconds for each."""
        left = [*root.glob("*.lock"), *root.glob("refs/**/*.lock")]
        for path in left:
            # It may be one of a living writer, and gone by now.
            with suppress(FileNotFoundError):
                os.utime(path, (0, 0))
        return len(left)

    def leftovers(self) -> tuple[int, int]:
        """Branches and local folders of transactions that did not end."""
        branches = self._store().repository.branches("tx-")
        return len(branches), len(list((self._folder / "work" / "staging").glob("*/output")))

    def finish(self) -> None:
        """Sweeps what the kills left, and publishes once more."""
        self.kill_all()
        self.judge.judge()
        store = self._store()
        store.sweep(older_than_s=-1)
        branches = store.repository.branches("")
        if branches != ["main"] or self.leftovers() != (0, 0):
            raise BrokenError(f"the sweep left {branches} and {self.leftovers()}")
        for path in SHARED:
            self._publish(store, path, "after all 0\n")
        self.judge.judge()

    def _store(self) -> VersionedStore:
        return VersionedStore(self._make(), self._folder / "work")

    def _fork(self, work: Callable[[str], None]) -> int:
        name = f"w{next(self._names)}"
        pid = os.fork()
        if pid:
            return pid
        try:
            random.seed(name)
            work(name)
        except BaseException:
            self._errors.write_text(traceback.format_exc())
        finally:
            os._exit(1)

    def _write(self, name: str) -> None:
        store = self._store()
        own = f"own_{int(name[1:]) % WRITERS}"
        for number in count():
            for path in random.sample([own, *SHARED], 2):
                # Some publications are the same for all: they are no conflict, and no new commit.
                text = "same 0\n" if number % 5 == 4 else f"{name} {number}\n"
                try:
                    self._publish(store, path, text)
                except ConflictError:
                    continue
                except StoreUnavailableError:
                    # The server was killed for longer than the client is patient.
                    if isinstance(store.repository, GitRepository):
                        raise

    def _publish(self, store: VersionedStore, path: str, text: str) -> None:
        who = text.partition(" ")[0]
        with store.transaction(path, "m", label=[path, who], metadata={"by": who}) as transaction:
            transaction.write("small.txt", text.encode())
            transaction.write("deep/large", text.encode() * 4000)
        assert transaction.version is not None
        descriptor = os.open(self._acknowledged, os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, f"{transaction.version.commit} {path}\n".encode())
        os.close(descriptor)

    def _prune(self, name: str) -> None:
        del name
        repository = self._make()
        assert isinstance(repository, GitRepository)
        while True:
            try:
                repository.prune(keep=KEEP, older_than_s=PRUNE_AFTER_S)
            except NotPublishedError:
                time.sleep(0.1)
            time.sleep(0.4)


def fsck(root: Path) -> None:
    """Has git itself judge a repository, and compares every content under LFS with its name."""
    command = ["git", "--git-dir", str(root), "fsck", "--full", "--strict", "--no-dangling"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    found = [line for line in done.stdout.splitlines() if not line.startswith(("notice", "Checking"))]
    if done.returncode or found:
        raise BrokenError(f"git fsck: {found}")
    for place in root.glob("lfs/objects/??/??/*"):
        if digest_file(place) != place.name:
            raise BrokenError(f"{place} is damaged")


def pauses(kind: str, seed: int) -> Iterator[float]:
    """Moments to kill at, as waits after the one before."""
    source = random.Random(seed)
    while True:
        yield source.uniform(0, LONGEST_PAUSES_S[kind])


def run(kind: str, kills: int, folder: Path, seed: int) -> dict[str, object]:
    """Kills as often as asked; returns what was tried and found."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        server = Server(folder / "server") if kind == "lakefs-loopback" else None
        root = folder / "store.git"

        def repository() -> Repository:
            if server is None:
                return GitRepository(root)
            keys = (KEYS["LAKEFS_ACCESS_KEY_ID"], KEYS["LAKEFS_SECRET_ACCESS_KEY"])
            namespace = "local://killing"
            return LakeFSRepository(
                server.endpoint, *keys, "killing", namespace, create=True, attempts=6, pause_s=0.1, timeout_s=20
            )

        if server is not None:
            stack.callback(server.kill)
        arena = Arena(repository, folder, pruned=kind == "git-pruned")
        stack.callback(arena.kill_all)
        repository().prepare("main")
        done: Counter[str] = Counter()
        left: Counter[str] = Counter()
        choice = random.Random(seed)
        begun = time.monotonic()
        for number, pause_s in enumerate(islice(pauses(kind, seed), kills), 1):
            arena.fill()
            time.sleep(pause_s)
            if server is not None and number % SERVER_KILL_EVERY == 0:
                server.kill()
                done["server"] += 1
                server.start()
            else:
                which = choice.randrange(len(arena.alive))
                done["prune" if which == WRITERS else "writer"] += 1
                arena.kill(which)
            left["locks"] += arena.let_locks_age(root)
            arena.judge.judge()
            branches, folders = arena.leftovers()
            left["branches"], left["folders"] = max(left["branches"], branches), max(left["folders"], folders)
            if server is None and number % FSCK_EVERY == 0:
                # Beside living writers git would miss what they write while it looks.
                done["at once"] += arena.kill_all()
                fsck(root)
                done["fsck"] += 1
        arena.finish()
        if server is None:
            fsck(root)
            done["fsck"] += 1
        return {
            "repository": kind,
            "kills": kills,
            "of": dict(done),
            "judged": kills + 2,
            "acknowledged": arena.judge.acknowledgements,
            "versions": sum(len(commits) for commits in arena.judge.known.values()),
            "left_before_sweep": dict(left),
            "seconds": round(time.monotonic() - begun, 1),
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Kills writers of a store and judges what is left.")
    parser.add_argument("--repository", choices=list(LONGEST_PAUSES_S), required=True)
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    print(json.dumps(run(given.repository, given.kills, given.folder, given.seed)))
