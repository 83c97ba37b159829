"""The embedded repository, looked at by our own reader and by git itself."""

import filecmp
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflows_dagster.lib.errors import ConflictError, IntegrityError, NotPublishedError, StoreError
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.repository import Change, Repository
from workflows_dagster_tests.lib.store.git.local import assert_sound, git, needs_git, publish, stage, write_record


def test_git_repository_is_a_repository(tmp_path: Path) -> None:
    repository: Repository = GitRepository(tmp_path)
    assert repository.kind == "git"


@needs_git
def test_published_path_is_read_back_by_us_and_by_git(repository: GitRepository, tmp_path: Path) -> None:
    first = publish(repository, "a/p", {"x": "1", "deep/y": "2", "report.json": "{}"})
    second = publish(repository, "b", {"x": "3"})
    assert repository.read(first, "a/p/deep/y") == b"2"
    repository.fetch(second, "b", ["x"], tmp_path / "out")
    assert (tmp_path / "out" / "x").read_text() == "3"
    assert repository.last_change("main", "a/p/x") == first
    assert repository.last_change("main", "b") == second
    assert repository.last_change("main", "c") is None
    assert repository.paths("main", "x") == ["a/p", "b"]
    assert git(repository, "show", "main:a/p/report.json") == "{}"
    assert "size 1\n" in git(repository, "show", "main:a/p/deep/y")
    assert "b/x" in git(repository, "ls-tree", "-r", "--name-only", second).split()
    assert_sound(repository)


def test_path_is_replaced_whole_and_the_version_before_stays(repository: GitRepository) -> None:
    first = publish(repository, "a", {"x": "1", "y": "1"})
    second = publish(repository, "a", {"x": "1", "z": "2"})
    changes = [Change("a/.version.json", "changed"), Change("a/y", "removed"), Change("a/z", "added")]
    assert list(repository.diff(first, second)) == changes
    assert repository.read(first, "a/y") == b"1"
    with pytest.raises(NotPublishedError, match="does not hold a/y"):
        repository.read("main", "a/y")
    assert repository.last_change("main", "a/z") == second


def test_second_of_two_writers_of_one_path_is_in_conflict(repository: GitRepository) -> None:
    start = repository.prepare("main")
    stage(repository, "a", {"x": "1"}, "tx-1", start)
    stage(repository, "a", {"x": "2"}, "tx-2", start)
    stage(repository, "b", {"x": "3"}, "tx-3", start)
    for branch, path in (("tx-1", "a"), ("tx-3", "b")):
        repository.merge(branch, path, "main")
    with pytest.raises(ConflictError, match="a was published on main by another writer"):
        repository.merge("tx-2", "a", "main")
    assert repository.read("main", "a/x") == b"1"
    assert repository.branches("tx-") == ["tx-1", "tx-2", "tx-3"]


def test_tag_names_a_commit_for_good(repository: GitRepository) -> None:
    first, second = publish(repository, "a", {"x": "1"}), publish(repository, "a", {"x": "2"})
    repository.tag("v1", first)
    repository.tag("v1", first)
    with pytest.raises(ConflictError, match="v1"):
        repository.tag("v1", second)
    assert repository.tags() == {"v1": first}
    assert repository.resolve("v1") == first


def place_of(repository: GitRepository, ref: str) -> Path:
    """File of the object that a ref such as `main:a/x` stands for; of a pointer, that of the content."""
    oid = git(repository, "rev-parse", ref).strip()
    place = repository.root / "objects" / oid[:2] / oid[2:]
    if "lfs" in (text := git(repository, "cat-file", "-p", oid)):
        digest = text.partition("sha256:")[2].split()[0]
        place = repository.root / "lfs" / "objects" / digest[:2] / digest[2:4] / digest
    place.chmod(0o644)
    return place


def truncate(place: Path) -> None:
    place.write_bytes(place.read_bytes()[:-7])


def flip_a_bit(place: Path) -> None:
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.write_bytes(content)


def empty(place: Path) -> None:
    place.write_bytes(b"")


def swap_kind(place: Path) -> None:
    place.write_bytes(zlib.compress(b"tree 0\0"))


@needs_git
@pytest.mark.parametrize("damage", [truncate, flip_a_bit, empty, swap_kind, Path.unlink])
@pytest.mark.parametrize("name", ["x.json", "x.parquet"])
def test_damaged_file_is_named_never_loaded_and_replaced_by_the_next_publication(
    repository: GitRepository, tmp_path: Path, damage: Callable[[Path], None], name: str
) -> None:
    text = "".join(f"content {number} " for number in range(1000))
    version = publish(repository, "a", {name: text, "y": "1"})
    damage(place_of(repository, f"main:a/{name}"))
    with pytest.raises(IntegrityError, match=f"a/{name} is (damaged|lost)"):
        repository.read(version, f"a/{name}")
    stage(repository, "a", {name: text}, "tx-2", unchanged=(name,))
    assert repository.read(version, f"a/{name}") == text.encode()
    assert_sound(repository)


@needs_git
def test_damaged_tree_and_commit_are_named(repository: GitRepository) -> None:
    version = publish(repository, "a", {"x": "1"})
    for ref in ("main:a", version):
        place = place_of(repository, ref)
        whole = place.read_bytes()
        for damage in (truncate, flip_a_bit, empty):
            damage(place)
            with pytest.raises(IntegrityError, match=f"{place.parent.name}/{place.name}"):
                repository.read(version, "a/x")
        place.write_bytes(whole)
    assert repository.read(version, "a/x") == b"1"


@needs_git
def test_damaged_pack_is_named(repository: GitRepository) -> None:
    version = publish(repository, "a", {"x.json": "1" * 50_000})
    git(repository, "gc", "--prune=now", "--quiet")
    (pack,) = (repository.root / "objects" / "pack").glob("*.pack")
    pack.chmod(0o644)
    content = pack.read_bytes()
    pack.write_bytes(content[:100] + bytes(len(content) - 120) + content[-20:])
    with pytest.raises(IntegrityError):
        GitRepository(repository.root).read(version, "a/x.json")


def work_git(folder: Path, *arguments: object) -> str:
    """What git prints in a work tree of somebody else."""
    identity = ["-c", "user.name=somebody", "-c", "user.email=somebody@else", "-c", "protocol.file.allow=always"]
    command = ["git", *identity, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


NAMES = [
    "plain",
    "with space",
    "ümläut",
    "a..b",
    "x.lock",
    "~tilde^",
    "q?*[",
    "-dash",
    "@{1}",
    "100%",
    "back\\slash",
    "p" * 180,
]


@needs_git
@pytest.mark.parametrize("name", NAMES)
def test_any_partition_can_be_published(repository: GitRepository, name: str) -> None:
    other = publish(repository, "asset", {"x": "whole"})
    first = publish(repository, f"other/{name}", {"x": "1"})
    second = publish(repository, f"other/{name}", {name: "2"})
    assert repository.last_change("main", f"other/{name}") == second
    assert repository.read(first, f"other/{name}/x") == b"1"
    assert repository.paths("main", name) == [f"other/{name}"]
    assert repository.last_change("main", "asset") == other
    repository.prune(keep=1, older_than_s=-1)
    assert repository.last_change("main", f"other/{name}/{name}") == second
    assert_sound(repository)


@needs_git
def test_path_may_be_published_below_another(repository: GitRepository) -> None:
    below = publish(repository, "a/p", {"x": "1"})
    above = publish(repository, "a", {"x": "2"})
    assert repository.last_change("main", "a") == above
    assert repository.last_change("main", "a/p") is None
    again = publish(repository, "a/p", {"x": "3"})
    assert repository.last_change("main", "a/p") == again
    assert repository.last_change("main", "a/x") == above
    assert repository.read(below, "a/p/x") == b"1"
    repository.prune(keep=1, older_than_s=-1)
    assert repository.last_change("main", "a/x") == above
    assert_sound(repository)


@pytest.mark.parametrize("name", ["a b", "x..y", "/x", "x.lock", ""])
def test_refs_that_git_refuses_are_refused(repository: GitRepository, name: str) -> None:
    with pytest.raises(StoreError, match="git cannot hold a branch or tag of that name"):
        repository.prepare(name)
    with pytest.raises(StoreError, match="git cannot hold a branch or tag of that name"):
        repository.tag(name, repository.prepare("main"))


@needs_git
def test_log_and_clone_show_what_was_published(repository: GitRepository, tmp_path: Path) -> None:
    metadata = {
        "run_id": "r1",
        "Path": "a forgery",
        "long": "x" * 500,
        "lines": "a\n\nb",
        "audit/a b": "1",
    }
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x.json").write_text("1")
    write_record(folder, "a/p")
    start = repository.prepare("main")
    version = repository.stage("tx-1", start, "a/p", folder, unchanged=(), message="Two\nlines\0", metadata=metadata)
    repository.merge("tx-1", "a/p", "main")
    assert git(repository, "log", "-1", "--format=%s", version) == "Two lines\n"
    assert git(repository, "log", "-1", "--format=%an %ae|%cn|%ad", "--date=format:%z", version) == (
        "workflows_dagster workflows_dagster@localhost|workflows_dagster|+0000\n"
    )
    trailers = git(repository, "log", "-1", "--format=%(trailers:only)", version).splitlines()
    assert trailers == [
        "run-id: r1",
        "Path: a/p",
        f"long: {'x' * 199}…",
        "lines: a b",
        "audit-a-b: 1",
        "",
    ]
    assert "a/p/x.json" in git(repository, "log", "--stat", "-m", "main")
    assert git(repository, "log", "-1", "--format=%s", "main") == "a/p: Two lines\n"
    work_git(tmp_path, "clone", "--quiet", repository.root, "clone")
    assert (tmp_path / "clone" / "a" / "p" / "x.json").read_text() == "1"
    command = repository.link(version).split()
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.startswith(f"commit {version}")


@needs_git
def test_repository_is_an_ordinary_bare_one(repository: GitRepository) -> None:
    repository.prepare("main")
    assert git(repository, "symbolic-ref", "HEAD") == "refs/heads/main\n"
    assert git(repository, "config", "core.bare") == "true\n"
    assert git(repository, "config", "workflowsdagster.format") == "lfs-1\n"
    assert_sound(repository)


@needs_git
@pytest.mark.parametrize("found", [None, "lfs-0"])
def test_repository_of_another_format_is_refused(repository: GitRepository, found: str | None) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", repository.root], check=True)
    if found:
        git(repository, "config", "workflowsdagster.format", found)
    for ask in (repository.prepare, repository.resolve, repository.branches):
        with pytest.raises(StoreError, match=rf"is of another format.*lfs-1.*move {repository.root} away"):
            ask("main")


def test_first_base_branch_may_be_another_than_main(repository: GitRepository) -> None:
    version = publish(repository, "a", {"x": "1"}, "dev")
    assert repository.last_change("dev", "a") == version
    assert repository.branches("") == ["dev", "main"]
    assert repository.paths("main", "x") == []


def test_base_branch_begins_where_main_is_and_goes_its_own_way(repository: GitRepository) -> None:
    first = publish(repository, "a", {"x": "1"})
    head = repository.resolve("main")
    assert repository.prepare("dev") == head
    second = publish(repository, "a", {"x": "2"}, "dev")
    assert repository.last_change("main", "a") == first
    assert repository.last_change("dev", "a") == second
    assert repository.last_change(repository.resolve("dev"), "a") == second
    assert repository.resolve("main") == head


def test_publication_of_a_path_is_found_at_any_commit(repository: GitRepository) -> None:
    versions = [publish(repository, "a", {"x": str(number // 2), "y": str(number)}) for number in range(4)]
    heads: list[str] = []
    for number in range(2):
        publish(repository, "b", {"x": str(number)})
        heads.append(repository.resolve("main"))
    assert [repository.last_change(version, "a/y") for version in versions] == versions
    for head in heads:
        assert [repository.last_change(head, name) for name in ("a", "a/x", "a/y")] == [versions[3]] * 3


def test_merge_again_changes_nothing(repository: GitRepository) -> None:
    version = stage(repository, "a", {"x": "1"})
    repository.merge("tx-1", "a", "main")
    head = repository.resolve("main")
    repository.merge("tx-1", "a", "main")
    assert repository.resolve("main") == head
    assert repository.last_change("main", "a") == version


def test_lock_that_a_killed_git_has_left_blocks_nobody(repository: GitRepository) -> None:
    publish(repository, "a", {"x": "1"})
    for name in ("refs/heads/main.lock", "refs/heads/tx-1.lock", "packed-refs.lock"):
        lock = repository.root / name
        lock.touch()
        os.utime(lock, (0, 0))
    publish(repository, "a", {"x": "2"})
    assert repository.read("main", "a/x") == b"2"


def test_what_is_not_there_is_named(repository: GitRepository, tmp_path: Path) -> None:
    unknown = "0" * 40
    assert repository.branches("") == []
    assert repository.tags() == {}
    repository.drop_branch("tx-1")
    for ask in (lambda: repository.resolve("main"), lambda: repository.read(unknown, "x")):
        with pytest.raises(NotPublishedError, match="is not in the repository"):
            ask()
    version = publish(repository, "a", {"x": "1", "deep/y": "2"})
    for name in ("a", "a/z", "a/x/y", "a/deep"):
        with pytest.raises(NotPublishedError, match=f"does not hold {name}"):
            repository.read(version, name)
    with pytest.raises(NotPublishedError, match="does not hold b/"):
        repository.fetch(version, "b", ["x"], tmp_path)
    with pytest.raises(NotPublishedError, match="does not hold a/z"):
        repository.fetch(version, "a", ["x", "z"], tmp_path)
    for ref in (unknown, "tx-9", version[:12], "a b", "refs/heads/main"):
        with pytest.raises(NotPublishedError, match=ref):
            repository.last_change(ref, "a")
    with pytest.raises(NotPublishedError, match="tx-9"):
        repository.merge("tx-9", "a", "main")
    with pytest.raises(NotPublishedError, match=unknown):
        repository.tag("v1", unknown)


def test_place_that_is_taken_by_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    with pytest.raises(StoreError, match="taken by something else"):
        GitRepository(tmp_path).prepare("main")
    assert [path.name for path in tmp_path.parent.iterdir() if "new-" in path.name] == []


Files = dict[str, str]


@needs_git
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["publish", "publish", "publish", "race", "prune", "tag"]),
            st.sampled_from(["a", "b", "c/p", "c/q"]),
            st.dictionaries(st.sampled_from(["x", "y", "d/x", "d/e/y"]), st.sampled_from("123"), min_size=1),
            st.integers(1, 3),
        ),
        max_size=12,
    )
)
def test_repository_agrees_with_a_dictionary_and_with_git(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, Files, int]]
) -> None:
    repository = GitRepository(tmp_path_factory.mktemp("model") / "store.git")
    repository.prepare("main")
    log: dict[str, list[tuple[str, Files]]] = {}
    tags: dict[str, tuple[str, str, Files]] = {}
    for number, (action, path, files, keep) in enumerate(steps):
        files = {**files, "number.json": str(number)}
        if action == "prune":
            repository.prune(keep=keep, older_than_s=-1)
            log = {each: versions[-keep:] for each, versions in log.items()}
        elif action == "tag" and path in log:
            tags[f"v{number}"] = (log[path][-1][0], path, log[path][-1][1])
            repository.tag(f"v{number}", log[path][-1][0])
        elif action in ("publish", "race"):
            start = repository.prepare("main")
            log.setdefault(path, []).append((publish(repository, path, files), files))
            if action == "race":
                stage(repository, path, {"x": "late"}, "tx-2", start)
                with pytest.raises(ConflictError):
                    repository.merge("tx-2", path, "main")
                repository.drop_branch("tx-2")
    expected = {f"{path}/{name}": text for path, versions in log.items() for name, text in versions[-1][1].items()}
    listed = git(repository, "ls-tree", "-r", "--name-only", "main").split()
    assert [name for name in listed if "/." not in name and not name.startswith(".")] == sorted(expected)
    small = [name for name in expected if name.endswith(".json")]
    assert {name: git(repository, "show", f"main:{name}") for name in small} == {name: expected[name] for name in small}
    assert {name: repository.read("main", name).decode() for name in expected} == expected
    assert repository.paths("main", "number.json") == sorted(log)
    for path, versions in log.items():
        assert repository.last_change("main", path) == versions[-1][0]
        for version, files in versions:
            assert {name: repository.read(version, f"{path}/{name}").decode() for name in files} == files
    for tag, (version, path, files) in tags.items():
        assert repository.resolve(tag) == version
        assert {name: repository.read(tag, f"{path}/{name}").decode() for name in files} == files
    assert_sound(repository)


READING: Final = """
import os, sys
from pathlib import Path
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.versioned import VersionedStore

root, version, out = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
CHANGES = {f"os.{name}" for name in "chmod link mkdir remove rename rmdir symlink truncate utime".split()}


def refuse(event, arguments):
    changing = event in CHANGES or event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if changing and not str(arguments[1] if event == "os.link" else arguments[0]).startswith(str(out)):
        raise AssertionError((event, arguments))


sys.addaudithook(refuse)
repository = GitRepository(root)
repository.fetch(version, "a", ["x.json", "x.bin"], out)
print((out / "x.bin").read_text(), repository.read("v1", "a/x.json"), repository.read("main", "a/x.bin"))
print(repository.resolve("main"), repository.branches(""), repository.tags(), repository.paths("main", "x.bin"))
print(repository.last_change("main", "a"), list(repository.diff("v1", "main")))
store = VersionedStore(repository, out / "work")
print([version.commit for version in store.log("a")], store.version("a", "v1").digest)
"""
"""Every way to read, in a process that fails where anything outside of one folder would be changed."""


def test_reading_changes_nothing_in_the_repository(repository: GitRepository, tmp_path: Path) -> None:
    """So a repository on a disk that may only be read can be read."""
    version = publish(repository, "a", {"x.json": "small", "x.bin": "large"})
    repository.tag("v1", version)
    publish(repository, "a", {"x.json": "small", "x.bin": "larger"})
    repository.prune(keep=1, older_than_s=-1)
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", READING, str(repository.root), version, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("large b'small' b'larger'\n")


PEAK: Final = """
import resource, sys
from pathlib import Path
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.version import VERSION_FILE

repository = GitRepository(Path(sys.argv[1]))
names = [path.name for path in Path(sys.argv[2]).iterdir() if path.name != VERSION_FILE]
start = repository.prepare("main")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
version = repository.stage("tx-1", start, "a", Path(sys.argv[2]), unchanged=(), message="m", metadata={})
repository.merge("tx-1", "a", "main")
repository.stage("tx-2", repository.prepare("main"), "a", Path(sys.argv[2]), unchanged=names, message="m", metadata={})
repository.fetch(version, "a", names, Path(sys.argv[3]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_size_of_a_file(tmp_path: Path) -> None:
    """300 MB are published, compared with what is there already, and read."""
    folder = tmp_path / "folder"
    folder.mkdir()
    block = os.urandom(2**20)
    with (folder / "x").open("wb") as file:
        for number in range(300):
            file.write(number.to_bytes(4) + block[4:])
    write_record(folder, "a")
    command = [sys.executable, "-c", PEAK, *map(str, (tmp_path / "store.git", folder, tmp_path / "out"))]
    grown_kib = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert grown_kib < 32 * 1024
    assert filecmp.cmp(folder / "x", tmp_path / "out" / "x", shallow=False)
