"""Real processes, really killed: whatever the moment, git finds the repository whole, branches as before or after."""

import random
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from workflows_dagster.lib.errors import NotPublishedError
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster_tests.lib.store.git.local import assert_sound, needs_git, publish, write_record

KILLED_AT_EACH_STEP: Final = '''
import os, shutil, signal, sys
from pathlib import Path
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster_tests.lib.store.git import local

top, work = Path(sys.argv[1]), sys.argv[2]
FILES = ("x.json", "x.bin", "deep/y.bin")


def stage(repository, path, text, branch):
    return local.stage(repository, path, {name: f"{text} in {name}" for name in FILES}, branch)


def publish(repository, path, text):
    version = stage(repository, path, text, "tx-1")
    repository.merge("tx-1", path, "main")
    repository.drop_branch("tx-1")
    return version


def text_of(repository, ref, path):
    texts = {repository.read(ref, f"{path}/{name}").decode().removesuffix(f" in {name}") for name in FILES}
    assert len(texts) == 1, texts
    return texts.pop()


def prepared(top):
    """A repository with something to prune, and something that an earlier prune held and nobody holds any more."""
    repository = GitRepository(top / "template" / "store.git")
    if work == "prepare":
        (top / "template").mkdir()
        return repository
    olds = [publish(repository, "a", f"old {number}") for number in range(4)]
    repository.tag("v1", olds[1])
    publish(repository, "b", "b")
    VersionedStore(repository, top / "work").folder("a")
    repository.prune(keep=2, hold=[("a", olds[0])], older_than_s=-1)
    publish(repository, "a", "old")
    stage(repository, "a", "new", "tx-new")
    return repository


def do(repository):
    if work == "prepare":
        repository.prepare("main")
    if work == "stage":
        stage(repository, "c", "new", "tx-other")
    if work == "merge":
        repository.merge("tx-new", "a", "main")
        repository.drop_branch("tx-new")
    if work == "prune":
        repository.prune(keep=1, older_than_s=-1)


def killed_at(step, repository):
    """Does the work in a fork that kills itself before its n-th change of a file or folder."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    changes = iter(range(step))

    def count(event, arguments):
        writing = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        changing = event in {f"os.{name}" for name in "rename remove rmdir mkdir chmod truncate utime link".split()}
        if (writing or changing) and next(changes, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    do(repository)
    os._exit(0)


template = prepared(top).root.parent
step = 0
while True:
    place = top / str(step)
    shutil.copytree(template, place)
    repository = GitRepository(place / "store.git")
    was_killed = killed_at(step, repository)
    if (place / "store.git").exists():
        local.assert_sound(repository)
    if work != "prepare":
        texts = ("old", "new") if work == "merge" else ("old",)
        assert text_of(repository, "main", "a") in texts, step
        assert text_of(repository, repository.last_change("main", "a"), "a") in texts, step
        assert text_of(repository, "v1", "a") == "old 1", step
        assert text_of(repository, "main", "b") == "b", step
    # What a killed process has left is removed once it is old; let it look so at once.
    old = ("store.git/refs/**/*.lock", ".store.git.new-*", "store.git/lfs/tmp/*")
    for left in (each for pattern in old for each in place.glob(pattern)):
        os.utime(left, (0, 0))
    again = publish(repository, "a", "again")
    assert repository.last_change("main", "a") == again and text_of(repository, again, "a") == "again", step
    # The same once more, of which every object may be half written.
    stage(repository, "c", "new", "tx-again")
    repository.drop_branch("tx-again")
    repository.drop_branch("tx-new")
    repository.drop_branch("tx-other")
    repository.prune(keep=1, older_than_s=-1)
    local.assert_sound(repository)
    assert repository.prune(keep=1, older_than_s=-1).contents == 0
    assert len(list(place.glob("store.git/lfs/objects/??/??/*"))) == (2 if work == "prepare" else 6), step
    left = [*place.glob("store.git/lfs/tmp/*"), *place.glob("store.git/refs/**/*.lock")]
    assert not left, (step, left)
    shutil.rmtree(place)
    if not was_killed:
        break
    step += 1
print(step)
'''


@needs_git
@pytest.mark.parametrize(("work", "steps"), [("prepare", 15), ("stage", 20), ("merge", 10), ("prune", 15)])
def test_repository_is_whole_after_a_kill_before_any_change_of_a_file(tmp_path: Path, work: str, steps: int) -> None:
    process = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EACH_STEP, str(tmp_path), work],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=1000,
    )
    assert process.returncode == 0, process.stdout
    assert int(process.stdout) >= steps


WRITER: Final = """
import sys
from itertools import count
from pathlib import Path
from workflows_dagster.lib.errors import ConflictError
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.versioned import VersionedStore

root, name, rounds, *paths = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:]
store = VersionedStore(GitRepository(root), root.parent / "work")
print("ready", flush=True)
for number in range(rounds) if rounds else count():
    for path in paths:
        text = f"{name} {number}\\n"
        try:
            with store.transaction(path, "m", label=[name, path], metadata={}) as transaction:
                transaction.write("small.json", text.encode())
                transaction.write("deep/large", text.encode() * 20_000)
            print("published", path, number, flush=True)
        except ConflictError:
            print("conflict", path, number, flush=True)
"""
"""Publishes two files that must agree with each other: so many times to each path, or for ever where that is 0."""


def start(repository: GitRepository, name: str, rounds: int, *paths: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(repository.root), name, str(rounds), *paths]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def texts(repository: GitRepository, path: str) -> list[str]:
    """The text of each version of a path, newest first, once it is seen that its two files agree."""
    found: list[str] = []
    for version in VersionedStore(repository, repository.root.parent / "reader").log(path):
        text = repository.read(version.commit, f"{path}/small.json").decode()
        assert repository.read(version.commit, f"{path}/deep/large").decode() == text * 20_000
        found.append(text)
    return found


@needs_git
def test_concurrent_processes_lose_nothing(tmp_path: Path) -> None:
    """Four processes make the repository at once, publish to a path of their own and to one that they share."""
    repository = GitRepository(tmp_path / "store.git")
    writers = [start(repository, f"w{number}", 8, f"own-{number}", "shared") for number in range(4)]
    outputs = [writer.communicate(timeout=600)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 4, outputs
    for number in range(4):
        assert texts(repository, f"own-{number}") == [f"w{number} {count}\n" for count in reversed(range(8))]
    won = [line for output in outputs for line in output.splitlines() if line.startswith("published shared")]
    assert len(texts(repository, "shared")) == len(won)
    assert_sound(repository)


@pytest.mark.slow
@needs_git
def test_prune_beside_living_writers_and_readers_takes_nothing_of_theirs(tmp_path: Path) -> None:
    repository = GitRepository(tmp_path / "store.git")
    repository.prepare("main")
    writers = [start(repository, f"w{number}", 100, f"own-{number}") for number in range(3)]
    for writer in writers:
        wait_until_ready(writer)
    while any(writer.poll() is None for writer in writers):
        # However young: what a writer has begun to write is safe by the lock alone.
        repository.prune(keep=2, older_than_s=-1)
        for number in range(3):
            try:
                assert repository.read("main", f"own-{number}/deep/large")
            except NotPublishedError:
                assert repository.last_change("main", f"own-{number}") is None
    outputs = [writer.communicate()[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 3, outputs
    repository.prune(keep=2, older_than_s=-1)
    for number in range(3):
        assert texts(repository, f"own-{number}") == [f"w{number} 99\n", f"w{number} 98\n"]
    assert_sound(repository)


FULL_DISK: Final = """
import resource, signal, sys
from pathlib import Path
from workflows_dagster.lib.errors import StoreUnavailableError
from workflows_dagster.lib.store.git.repository import GitRepository

repository, folder, limit = GitRepository(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
start = repository.prepare("main")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    repository.stage("tx-2", start, "a", folder, unchanged=(), message="new", metadata={})
    repository.merge("tx-2", "a", "main")
except StoreUnavailableError as error:
    print(error, flush=True)
"""
"""Publishes under a limit on the size of any one file, which makes its writes fail as those on a full disk do."""


@needs_git
@pytest.mark.parametrize("limit_bytes", [0, 100, 50_000])
def test_full_disk_leaves_what_was_published(tmp_path: Path, limit_bytes: int) -> None:
    repository = GitRepository(tmp_path / "store.git")
    version = publish(repository, "a", {"x.json": "old", "x.bin": "old"})
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x.json").write_bytes(random.Random(7).randbytes(60_000))
    (folder / "x.bin").write_text("new")
    write_record(folder, "a")
    command = [sys.executable, "-c", FULL_DISK, str(repository.root), str(folder), str(limit_bytes)]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "File too large" in output  # EFBIG, what the limit gives instead of ENOSPC
    assert "there is no room left" in output
    assert repository.last_change("main", "a") == version
    assert repository.read("main", "a/x.json") == repository.read("main", "a/x.bin") == b"old"
    repository.prune(keep=1, older_than_s=-1)
    assert_sound(repository)
