"""Real processes, really killed, really out of space: what is published stays whole."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from workflows_dagster.lib.store.directory import DirectoryStore

WRITER: Final = """
import sys
from itertools import count
from pathlib import Path
from workflows_dagster.lib.errors import ConflictError
from workflows_dagster.lib.store.directory import DirectoryStore

root, name, *paths = sys.argv[1:]
store = DirectoryStore(Path(root))
print("ready", flush=True)
for number in count():
    for path in paths:
        try:
            with store.transaction(path, "m", branch=f"{path}/{name}/{number}", metadata={"by": name}) as transaction:
                text = f"{name} {number}\\n"
                (transaction.folder / "deep").mkdir()
                (transaction.folder / "small").write_text(text)
                (transaction.folder / "deep" / "large").write_text(text * 20_000)
        except ConflictError:
            pass
"""
"""Publishes for ever two files that must agree with each other."""

FULL_DISK: Final = """
import resource, signal, sys
from pathlib import Path
from workflows_dagster.lib.store.directory import DirectoryStore

root, large, limit = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
store = DirectoryStore(root)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    with store.transaction("a", "m", branch="full/0", metadata={}) as transaction:
        for number in range(large):
            (transaction.folder / f"file-{number:04}").write_text("new")
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        (transaction.folder / "last").write_bytes(b"x" * 1000)
except OSError as error:
    print(error.errno, flush=True)
"""
"""Publishes under a limit on the size of any one file, which makes its writes fail as those on a full disk do."""


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def assert_whole(store: DirectoryStore, path: str) -> str:
    """Checks every version of a path against its digests and against itself; returns the newest text."""
    texts: list[str] = []
    for commit in store.log(path):
        folder = store.folder(commit.id)
        text = (folder / "small").read_text()
        assert (folder / "deep" / "large").read_text() == text * 20_000
        assert text.startswith(commit.metadata["by"])
        texts.append(text)
    return texts[0]


def assert_swept(store: DirectoryStore, root: Path) -> None:
    """Sweeps and checks that nothing is left that no commit refers to."""
    store.sweep(older_than_s=-1)
    assert list((root / "staging").iterdir()) == []
    assert [path.name for path in root.glob("*/.*")] == []
    digests = {commit.digest for path in ("own-0", "own-1", "shared") for commit in store.log(path)}
    # A kill between the record of a commit and the head leaves a commit that no reader knows of, and its version.
    unknown = {path.name for path in (root / "versions").iterdir()} - digests
    assert len(unknown) <= len(list((root / "commits").iterdir())) - sum(
        1 for path in ("own-0", "own-1", "shared") for _ in store.log(path)
    )


@pytest.mark.slow
def test_store_is_whole_after_writers_were_killed_at_any_moment(tmp_path: Path) -> None:
    """Forty SIGKILLs, on pairs of writers that share one path and have one path each."""
    root = tmp_path / "store"
    store = DirectoryStore(root)
    moment = random.Random(7)
    for round_ in range(20):
        writers = [start(WRITER, root, f"w{round_}-{number}", f"own-{number}", "shared") for number in range(2)]
        for writer in writers:
            wait_until_ready(writer)
        for writer in writers:
            time.sleep(moment.uniform(0.0, 0.12))
            writer.send_signal(signal.SIGKILL)
            assert writer.communicate()[0] == ""
            assert writer.returncode == -signal.SIGKILL
    for path in ("own-0", "own-1", "shared"):
        assert_whole(store, path)
    assert_swept(store, root)
    with store.transaction("shared", "m", branch="after", metadata={"by": "after"}) as transaction:
        (transaction.folder / "deep").mkdir()
        (transaction.folder / "small").write_text("after")
        (transaction.folder / "deep" / "large").write_text("after" * 20_000)
    assert assert_whole(store, "shared") == "after"


@pytest.mark.slow
def test_sweeps_beside_living_writers_take_nothing_of_theirs(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store = DirectoryStore(root)
    writers = [start(WRITER, root, f"w-{number}", f"own-{number}") for number in range(2)]
    for writer in writers:
        wait_until_ready(writer)
    swept: list[str] = []
    end = time.monotonic() + 2
    while time.monotonic() < end:
        swept += store.sweep(older_than_s=-1)
    for writer in writers:
        assert writer.poll() is None
        writer.kill()
        assert writer.communicate()[0] == ""
    assert swept == []
    for path in ("own-0", "own-1"):
        assert_whole(store, path)
        assert len(list(store.log(path))) > 5


@pytest.mark.parametrize(
    ("files", "limit_bytes"),
    [
        pytest.param(0, 500, id="while the step writes"),
        pytest.param(40, 1000, id="while the commit is recorded"),
    ],
)
def test_full_disk_leaves_the_published_version(tmp_path: Path, files: int, limit_bytes: int) -> None:
    root = tmp_path / "store"
    store = DirectoryStore(root)
    with store.transaction("a", "m", branch="b", metadata={}) as transaction:
        (transaction.folder / "x").write_text("old")
    process = start(FULL_DISK, root, files, limit_bytes)
    assert process.communicate(timeout=60)[0] == "27\n"  # EFBIG, what RLIMIT_FSIZE gives instead of ENOSPC
    assert store.head("a") == transaction.commit
    assert [commit.id for commit in store.log("a")] == [transaction.commit.id if transaction.commit else ""]
    store.sweep(older_than_s=-1)
    assert [path.name for path in root.glob("*/.*")] == []
    assert len(list((root / "versions").iterdir())) == 1
    assert list((root / "staging").iterdir()) == []


KILLED_AT_EACH_STEP: Final = '''
import os, shutil, signal, sys
from pathlib import Path
from workflows_dagster.lib.store.directory import DirectoryStore

root, work = Path(sys.argv[1]), sys.argv[2]


def publish(store, text):
    with store.transaction("a", "m", branch="a/0", metadata={}) as transaction:
        (transaction.folder / "deep").mkdir()
        (transaction.folder / "x").write_text(text)
        (transaction.folder / "deep" / "y").write_text(text)
    return transaction.commit


def work_killed_at(step, root):
    """Does the work in a fork that kills itself before its n-th change of a file or folder."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    changes = iter(range(step))

    def count(event, arguments):
        changing = event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate")
        if (changing or event == "open") and next(changes, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    store = DirectoryStore(root)
    store.sweep(older_than_s=-1) if work == "sweep" else publish(store, "old" if work == "heal" else "new")
    os._exit(0)


step = killed = 0
while True:
    place = root / str(step)
    store = DirectoryStore(place)
    old = publish(store, "old")
    if work == "heal":
        (store.folder(old.id) / "x").chmod(0o644)
        (store.folder(old.id) / "x").write_text("damaged")
    if work == "sweep":
        (place / "versions" / "orphan" / "deep").mkdir(parents=True)
        (place / "staging" / "left" / "output").mkdir(parents=True)
        (place / "heads" / ".half").write_text("{")
    was_killed = work_killed_at(step, place)
    killed += was_killed
    head = store.head("a")
    if work == "heal":
        publish(store, "old")
    texts = {path.read_text() for path in store.folder(head.id).rglob("*") if path.is_file()}
    assert texts in ([{"old"}] if work in ("heal", "sweep") else [{"old"}, {"new"}]), (step, texts)
    assert was_killed or work != "publish" or texts == {"new"}
    again = publish(store, "again")
    assert (again.parent, store.head("a")) == (head.id, again), step
    store.sweep(older_than_s=-1)
    assert not [*(place / "staging").iterdir(), *place.glob("*/.*")], step
    store.folder(old.id)
    shutil.rmtree(place)
    if not was_killed:
        break
    step += 1
print(killed)
'''


@pytest.mark.parametrize(("work", "steps"), [("publish", 30), ("heal", 25), ("sweep", 10)])
def test_store_is_whole_after_a_kill_before_any_change_of_a_file(tmp_path: Path, work: str, steps: int) -> None:
    process = start(KILLED_AT_EACH_STEP, tmp_path, work)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    assert int(output) >= steps
