"""The logic that all repositories share, where it needs a repository that answers in its own way."""

import threading
import time
from pathlib import Path

import pytest

from workflows_dagster.lib.errors import NotPublishedError, StoreError, StoreUnavailableError
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.staging import Staging
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster_tests.lib.store.backends import Begun, content, publish


class LateAnswers(GitRepository):
    """Loses the answers that are named, after having carried out what was asked."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.lost: set[str] = set()
        self.gone = False

    def merge(self, branch: str, path: str, into: str) -> None:
        super().merge(branch, path, into)
        if "merge" in self.lost:
            self.gone = "later" in self.lost
            raise self._unavailable()

    def last_change(self, ref: str, name: str) -> str | None:
        if self.gone:
            raise self._unavailable()
        return super().last_change(ref, name)

    def drop_branch(self, branch: str) -> None:
        if "drop" in self.lost:
            raise self._unavailable()
        super().drop_branch(branch)

    def _unavailable(self) -> StoreUnavailableError:
        return StoreUnavailableError("no answer", given="nothing", expected="an answer", remedy="try again")


@pytest.fixture
def repository(tmp_path: Path) -> LateAnswers:
    return LateAnswers(tmp_path / "store.git")


@pytest.fixture
def store(repository: LateAnswers, tmp_path: Path) -> VersionedStore:
    return VersionedStore(repository, tmp_path / "work")


def test_merge_whose_answer_is_lost_counts(store: VersionedStore, repository: LateAnswers) -> None:
    repository.lost = {"merge"}
    version = publish(store, "a", {"x": b"1"})
    assert store.head("a") == version
    assert repository.branches("tx-") == []


def test_merge_of_unknown_outcome_says_so_and_may_be_repeated(store: VersionedStore, repository: LateAnswers) -> None:
    repository.lost = {"merge", "later"}
    with pytest.raises(StoreUnavailableError) as raised:
        publish(store, "a", {"x": b"1"})
    assert "Whether a was published is not known; to run it again is safe in both cases" in raised.value.__notes__
    repository.lost, repository.gone = set(), False
    publish(store, "a", {"x": b"1"})
    assert len(list(store.log("a"))) == 1


def test_branch_that_cannot_be_removed_does_not_undo_the_publication(
    store: VersionedStore, repository: LateAnswers, caplog: pytest.LogCaptureFixture
) -> None:
    repository.lost = {"drop"}
    version = publish(store, "a", {"x": b"1"})
    assert store.head("a") == version
    assert "could not be removed" in caplog.text
    repository.lost = set()
    assert store.sweep(older_than_s=-1) != []
    assert repository.branches("tx-") == []


def test_published_version_stands_where_no_view_can_be_kept(
    store: VersionedStore, repository: LateAnswers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    repository.prepare("main")
    (tmp_path / "store.git" / "views").write_text("in the way")
    version = publish(store, "a", {"x": b"1"})
    assert store.head("a") == version
    assert "No view of a is kept" in caplog.text


@pytest.mark.parametrize("name", ["here", "deep/here"])
def test_links_and_special_files_are_refused(store: VersionedStore, tmp_path: Path, name: str) -> None:
    (tmp_path / "target").write_text("1")
    begun = Begun(store, "a", {"x": b"1"})
    link = begun.transaction.folder / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "target")
    with pytest.raises(StoreError, match="'here' is a link or special file") as raised:
        begun.end()
    assert str(begun.transaction.folder) in " ".join(raised.value.__notes__)
    assert store.head("a") is None


@pytest.mark.parametrize("name", [b"\xff\xfe", b"two\nlines", b".GIT"])
def test_names_that_not_every_repository_holds_are_refused(store: VersionedStore, name: bytes) -> None:
    begun = Begun(store, "a", {"x": b"1"})
    (Path(bytes(begun.transaction.folder).decode()) / name.decode("utf-8", "surrogateescape")).write_bytes(b"1")
    with pytest.raises(StoreError, match="no file or folder may be published under the name"):
        begun.end()


def test_log_ends_where_versions_were_pruned(store: VersionedStore, repository: LateAnswers) -> None:
    made = [publish(store, "a", {"x": b"%d" % number}) for number in range(5)]
    repository.prune(keep=2, older_than_s=-1)
    assert [version.commit for version in store.log("a")] == [made[4].commit, made[3].commit]
    with pytest.raises(NotPublishedError, match=r"the content of a at .* was pruned at \d{4}-\d\d-\d\dT"):
        store.version("a", made[0].commit)


def test_writers_of_other_paths_never_lose_and_of_one_path_one_wins(store: VersionedStore) -> None:
    paths = [*(f"path_{number}" for number in range(6)), "same", "same"]
    all_open = threading.Barrier(len(paths))
    outcomes: list[str] = []

    def write(number: int, path: str) -> None:
        begun = Begun(store, path, {"x": f"{number} by {path}".encode()})
        all_open.wait(timeout=600)
        try:
            begun.end()
            outcomes.append("published")
        except StoreError as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=write, args=each) for each in enumerate(paths)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["ConflictError", *["published"] * 7]
    assert [content(store, path)["x"] for path in paths[:6]] == [
        f"{n} by {p}".encode() for n, p in enumerate(paths[:6])
    ]


def test_folder_of_a_transaction_that_is_just_beginning_is_left_alone(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    (tmp_path / "tx-a").mkdir()
    assert staging.sweep(older_than_s=-1) == []
    assert (tmp_path / "tx-a").is_dir()


def test_sweeps_beside_writers_take_nothing_of_theirs(store: VersionedStore, tmp_path: Path) -> None:
    """As on another thread of this machine: locks of files tell them apart as those of processes do."""
    ended = threading.Event()
    swept: list[str] = []

    def sweep() -> None:
        other = VersionedStore(GitRepository(tmp_path / "store.git"), tmp_path / "work")
        while not ended.is_set():
            swept.extend(other.sweep(older_than_s=-1))
            time.sleep(0.001)

    publish(store, "a", {"x": b"first"})
    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        made = [publish(store, "a", {"x": b"%d" % number}) for number in range(25)]
    finally:
        ended.set()
        sweeper.join()
    assert swept == []
    assert [version.commit for version in store.log("a")][:25] == [version.commit for version in reversed(made)]
