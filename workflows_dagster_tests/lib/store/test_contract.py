"""What a versioned store promises, whichever repository is below it."""

import re
import stat
from pathlib import Path

import pyarrow as pa
import pytest

from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.errors import (
    ConflictError,
    IntegrityError,
    NotPublishedError,
    QualityGateError,
    StoreError,
)
from workflows_dagster.lib.hashing import digest_record
from workflows_dagster.lib.store.repository import Change
from workflows_dagster.lib.store.version import VERSION_FILE, FileStat
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster_tests.lib.store.backends import BACKENDS, Backend, Begun, content, failed, publish

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of nothing

ODD_NAMES = [
    "with space",
    " leading and trailing ",
    "100%.txt",
    "%2F",
    "a#b?c&d=e",
    "plus+plus",
    "Prüfung-评论-é",
    "e\u0301",  # e and a combining accent: another name than é
    ".hidden",
    ".github/workflow",
    "~tilde^caret:colon",
    "'quote\"",
    "back\\slash",
    "[brackets]*{braces}",
    "a..b",
    "-dash",
    "name.lock",
    "deep/er/than/that/x",
    "x" * 200,
]


def test_contract_is_tried_on_a_real_lakefs_server() -> None:
    """Once for all tests: each of them skipping by itself would hide the other reasons to skip."""
    if "lakefs" not in BACKENDS:
        pytest.skip("no lakeFS server is named in LAKEFS_TEST_ENDPOINT: see docs/lakefs.md")
    assert list(BACKENDS) == ["git", "lakefs-loopback", "lakefs"]


def test_published_content_is_read_at_its_commit_and_at_the_branch(store: VersionedStore) -> None:
    first = publish(store, "a", {"x": b"1", "deep/er/y": b"22"})
    second = publish(store, "a", {"x": b"other"})
    assert content(store, "a", first.commit) == {"x": b"1", "deep/er/y": b"22"}
    assert content(store, "a", second.commit) == content(store, "a") == content(store, "a", "main") == {"x": b"other"}


def test_version_tells_what_was_published(store: VersionedStore) -> None:
    version = publish(store, "a", {"x": b""}, "why it was made", run_id="r1", code_version="7")
    assert dict(version.files) == {"x": FileStat(EMPTY, 0)}
    assert version.digest == digest_record({"x": EMPTY})
    assert version.path == "a"
    assert version.message == "why it was made"
    assert version.metadata == {"run_id": "r1", "code_version": "7"}
    assert version.parent is None
    assert version == store.version("a") == store.version("a", version.commit) == store.head("a")


def test_read_by_another_client_is_the_same(store: VersionedStore, backend: Backend) -> None:
    version = publish(store, "a", {"x": b"1", "d/y": b""})
    other = backend.store("another machine")
    assert other.version("a", version.commit) == version
    assert content(other, "a", version.commit) == {"x": b"1", "d/y": b""}
    assert other.file("a", "d/y").read_bytes() == b""


def test_table_is_read_as_it_was_written(store: VersionedStore, backend: Backend) -> None:
    table = pa.table({"n": pa.array([1, None], pa.int32()), "text": ["é\n", None]})
    with store.transaction("a", "m", label=["a"], metadata={}) as transaction:
        transaction.write_table("deep/t.parquet", table)
    assert backend.store("other").table("a", "deep/t.parquet").equals(table)


def test_copied_files_and_folders_are_published(store: VersionedStore, tmp_path: Path) -> None:
    (tmp_path / "given" / "deep").mkdir(parents=True)
    (tmp_path / "given" / "deep" / "x").write_text("1")
    with store.transaction("a", "m", label=["a"], metadata={}) as transaction:
        transaction.copy("folder", tmp_path / "given")
        transaction.copy("file", tmp_path / "given" / "deep" / "x")
    assert content(store, "a") == {"file": b"1", "folder/deep/x": b"1"}


def test_odd_names_are_kept(store: VersionedStore, backend: Backend) -> None:
    files = {name: name.encode() for name in ODD_NAMES}
    version = publish(store, "a", files)
    other = backend.store("other")
    assert content(other, "a", version.commit) == files
    for name in ODD_NAMES:
        assert backend.store("one by one").file("a", name).read_bytes() == name.encode()


@pytest.mark.parametrize(
    "path", ["a/2024-01-01", "a/with space", "a/b=c,d=e", "a/name@x+y", "a/a..b", "a/%C3%BC", "a/x~0", "a/-dash"]
)
def test_paths_of_partitions_are_published_beside_each_other(store: VersionedStore, path: str) -> None:
    first = publish(store, path, {"x": b"1"})
    publish(store, "a/other", {"x": b"2"})
    second = publish(store, path, {"x": b"3"})
    assert content(store, path, first.commit) == {"x": b"1"}
    assert (content(store, path), content(store, "a/other")) == ({"x": b"3"}, {"x": b"2"})
    assert [version.commit for version in store.log(path)] == [second.commit, first.commit]
    assert store.paths() == sorted([path, "a/other"])


def test_more_files_than_a_page_holds(store: VersionedStore, backend: Backend) -> None:
    files = {f"part-{number:04}": b"%d" % number for number in range(1050)}
    first = publish(store, "a", files)
    assert content(backend.store("other"), "a") == files
    second = publish(store, "a", {"part-0000": b"0"})
    assert content(backend.store("other"), "a") == {"part-0000": b"0"}
    changes = list(store.diff(first.commit, second.commit))
    assert changes == [Change(f"a/part-{number:04}", "removed") for number in range(1, 1050)]


def test_file_that_is_not_written_again_vanishes(store: VersionedStore, backend: Backend) -> None:
    publish(store, "a", {"kept": b"1", "d/gone": b"2", "changed": b"3"})
    publish(store, "a", {"kept": b"1", "new": b"4", "changed": b"5"})
    assert content(backend.store("other"), "a") == {"kept": b"1", "new": b"4", "changed": b"5"}


def test_file_may_become_a_folder_and_a_folder_a_file(store: VersionedStore, backend: Backend) -> None:
    publish(store, "a", {"x": b"1", "y/z": b"2"})
    publish(store, "a", {"x/deep": b"3", "y": b"4"})
    assert content(backend.store("other"), "a") == {"x/deep": b"3", "y": b"4"}


def test_equal_content_makes_no_new_commit(store: VersionedStore) -> None:
    first = publish(store, "a", {"x": b"1"}, run_id="r1")
    before = store.repository.resolve("main")
    assert publish(store, "a", {"x": b"1"}, run_id="r2") == first
    assert store.repository.resolve("main") == before
    assert list(store.log("a")) == [first]
    assert store.repository.branches("") == ["main"]


def test_content_that_returns_is_a_new_version(store: VersionedStore) -> None:
    first = publish(store, "a", {"x": b"1"})
    publish(store, "a", {"x": b"2"})
    third = publish(store, "a", {"x": b"1"})
    assert third.digest == first.digest
    assert third.commit != first.commit
    assert content(store, "a") == {"x": b"1"}
    assert len(list(store.log("a"))) == 3


def test_log_gives_every_version_with_its_parent_and_metadata(store: VersionedStore) -> None:
    made = [publish(store, "a", {"x": b"%d" % number}, f"number {number}", n=str(number)) for number in range(4)]
    publish(store, "b", {"x": b"between"})
    assert list(store.log("a")) == made[::-1]
    assert [version.parent for version in made] == [None, *[version.commit for version in made[:-1]]]
    assert list(store.log("a", made[1].commit)) == [made[1], made[0]]
    assert list(store.log("unknown")) == []


def test_other_publications_change_nothing_of_a_path(store: VersionedStore) -> None:
    first = publish(store, "a", {"x": b"1"})
    publish(store, "b", {"x": b"1"})
    publish(store, "a-b", {"x": b"1"})
    assert store.version("a") == first
    assert publish(store, "a", {"x": b"1"}) == first


def test_diff_names_what_differs_both_ways(store: VersionedStore) -> None:
    publish(store, "a", {"changed": b"1", "gone": b"2", "same": b"3"})
    before = store.repository.resolve("main")
    publish(store, "a", {"changed": b"4", "new/n": b"5", "same": b"3"})
    publish(store, "b", {"x": b"1"})
    forward = [Change("a/changed", "changed"), Change("a/gone", "removed"), Change("a/new/n", "added")]
    assert list(store.diff(before, "main")) == [*forward, Change("b/x", "added")]
    assert list(store.diff("main", before)) == [
        Change("a/changed", "changed"),
        Change("a/gone", "added"),
        Change("a/new/n", "removed"),
        Change("b/x", "removed"),
    ]
    assert list(store.diff("main", "main")) == []


def test_tag_names_a_commit_for_good(store: VersionedStore) -> None:
    first = publish(store, "a", {"x": b"1"})
    commit = store.repository.resolve("main")
    publish(store, "a", {"x": b"2"})
    store.tag("release-1", commit)
    store.tag("release-1", commit)
    with pytest.raises(ConflictError, match="release-1"):
        store.tag("release-1", store.repository.resolve("main"))
    assert store.tags() == {"release-1": commit}
    assert store.version("a", "release-1") == first
    assert content(store, "a", "release-1") == {"x": b"1"}
    assert "release-1" in store.link("release-1")


@pytest.mark.parametrize("ref", ["nothing", "f" * 40, "0" * 64, "with space", "", "a..b", "--help"])
def test_unknown_ref_is_not_published(store: VersionedStore, ref: str) -> None:
    publish(store, "a", {"x": b"1"})
    with pytest.raises(NotPublishedError):
        store.repository.resolve(ref)


def test_unknown_path_and_file_are_named(store: VersionedStore) -> None:
    publish(store, "a", {"x": b"1"})
    assert store.head("b") is None
    with pytest.raises(NotPublishedError, match=r"b is not published at main"):
        store.version("b")
    with pytest.raises(NotPublishedError, match=r"Given: 'y'\. Expected: one of: x\."):
        store.file("a", "y")
    with pytest.raises(NotPublishedError):
        store.version("a", "no-such-branch")


def test_store_without_any_publication(store: VersionedStore) -> None:
    assert store.head("a") is None
    assert store.sweep(older_than_s=0) == []
    assert store.evict(unused_for_s=0) == 0


def test_failed_transaction_is_invisible_and_stays_on_its_branch(store: VersionedStore, backend: Backend) -> None:
    first = publish(store, "a", {"x": b"1", "same": b"s"})
    error = KeyError("a step that fails")
    branch = failed(store, "a", {"y": b"half", "same": b"s"}, error)
    assert store.version("a") == first
    assert store.repository.branches("tx-") == [branch]
    assert branch in " ".join(error.__notes__)
    assert content(backend.store("other"), "a", branch) == {"y": b"half", "same": b"s"}


def test_branch_is_named_after_what_is_published(store: VersionedStore) -> None:
    with store.transaction("a", "m", label=["a", "2024/01", "run", "0"], metadata={}) as transaction:
        transaction.write("x", b"1")
    assert re.fullmatch(r"tx-a-2024_01-run-0-[0-9a-f]{8}-\d{8}T\d{12}Z", transaction.branch)


def test_failed_blocking_audit_publishes_nothing(store: VersionedStore) -> None:
    holds = Audit("a_small", "at most one file", lambda folder: Verdict(len(list(folder.iterdir())) <= 1, "2 files"))
    warns = Audit("a_odd", "odd", lambda _: Verdict(passed=False, description="even"), blocking=False)
    begun = Begun(store, "a", {"x": b"1", "y": b"1"})
    found = begun.transaction.audit([holds, warns])
    assert [verdict.passed for _, verdict in found] == [False, False]
    with pytest.raises(
        QualityGateError, match=r"a was not published: a_small failed.*2 files.*at most one file"
    ) as raised:
        begun.end()
    assert begun.branch in str(raised.value)
    assert store.head("a") is None
    assert store.version("a", begun.branch).metadata == {"audit/a_small": "failed", "audit/a_odd": "failed"}
    with store.transaction("a", "m", label=["a"], metadata={}) as transaction:
        transaction.write("x", b"1")
        transaction.audit([holds, warns])
    assert store.version("a").metadata == {"audit/a_small": "passed", "audit/a_odd": "failed"}


def test_transaction_without_output_is_refused(store: VersionedStore) -> None:
    with pytest.raises(StoreError, match=r"nothing was written for a\..*at least one file"):
        publish(store, "a", {})
    with pytest.raises(StoreError, match=VERSION_FILE):
        publish(store, "a", {f"deep/{VERSION_FILE}": b"{}"})
    assert store.head("a") is None


def test_interruption_leaves_nothing_visible_and_the_local_folder_to_sweep(store: VersionedStore) -> None:
    publish(store, "a", {"x": b"1"})
    for interruption in (KeyboardInterrupt(), SystemExit(1)):
        branch = failed(store, "a", {"x": b"2"}, interruption)
        assert store.repository.branches("tx-") == []
        assert store.sweep(older_than_s=60) == []
        assert store.sweep(older_than_s=-1) == [branch]
    assert content(store, "a") == {"x": b"1"}


def test_sweep_removes_old_failures_alone(store: VersionedStore) -> None:
    branch = failed(store, "a", {"x": b"1"}, KeyError())
    assert store.sweep(older_than_s=3600) == []
    assert store.sweep(older_than_s=-1) == [branch]
    assert store.sweep(older_than_s=-1) == []
    assert store.repository.branches("") == ["main"]


def test_sweep_leaves_branches_of_people_and_open_transactions(store: VersionedStore, backend: Backend) -> None:
    publish(store, "a", {"x": b"1"})
    backend.store(base="tx-by-hand").repository.prepare("tx-by-hand")
    with store.transaction("a", "m", label=["a"], metadata={}) as transaction:
        transaction.write("x", b"2")
        assert backend.store().sweep(older_than_s=-1) == []
    assert content(store, "a") == {"x": b"2"}
    assert store.repository.branches("") == ["main", "tx-by-hand"]


def test_conflict_keeps_the_first_and_the_branch_of_the_second(store: VersionedStore) -> None:
    publish(store, "a", {"x": b"0"})
    slow = Begun(store, "a", {"slow": b"1"})
    quick = publish(store, "a", {"quick": b"1"})
    with pytest.raises(ConflictError, match="a was published on main") as raised:
        slow.end()
    assert store.version("a") == quick
    assert content(store, "a", slow.branch) == {"slow": b"1"}
    assert slow.branch in " ".join(raised.value.__notes__)


def test_first_publications_of_one_path_are_in_conflict_too(store: VersionedStore) -> None:
    slow = Begun(store, "a", {"slow": b"1"})
    publish(store, "a", {"quick": b"1"})
    with pytest.raises(ConflictError):
        slow.end()
    assert content(store, "a") == {"quick": b"1"}


def test_publications_of_other_paths_are_no_conflict(store: VersionedStore) -> None:
    with store.transaction("a", "m", label=["a", "slow"], metadata={}) as transaction:
        transaction.write("x", b"slow")
        publish(store, "b", {"x": b"quick"})
        publish(store, "a-1/p", {"x": b"quick"})
    assert content(store, "a") == {"x": b"slow"}
    assert store.paths() == ["a", "a-1/p", "b"]
    assert store.repository.branches("") == ["main"]


def test_same_content_at_once_is_no_conflict(store: VersionedStore) -> None:
    publish(store, "a", {"x": b"0"})
    with store.transaction("a", "m", label=["a", "slow"], metadata={}) as transaction:
        transaction.write("x", b"same")
        quick = publish(store, "a", {"x": b"same"})
    assert transaction.version == quick
    assert store.repository.branches("") == ["main"]


def test_base_branches_are_isolated(store: VersionedStore, backend: Backend) -> None:
    first = publish(store, "a", {"x": b"1"})
    developer = backend.store("laptop", base="dev-jane")
    developer.repository.prepare("dev-jane")
    assert developer.version("a") == first
    own = publish(developer, "a", {"x": b"mine"})
    publish(developer, "b", {"x": b"mine"})
    assert (store.version("a"), store.paths()) == (first, ["a"])
    later = publish(store, "a", {"x": b"2"})
    assert developer.version("a") == own
    assert (store.version("a"), store.paths()) == (later, ["a"])
    assert list(developer.log("a")) == [own, first]


def test_read_files_are_write_protected_and_their_folders_removable(store: VersionedStore, backend: Backend) -> None:
    publish(store, "a", {"deep/x": b"1"})
    for reader in (store, backend.store("other")):
        folder = reader.folder("a")
        assert stat.S_IMODE((folder / "deep" / "x").stat().st_mode) == 0o444
        assert (folder / "deep").stat().st_mode & stat.S_IWUSR
        assert stat.S_IMODE(reader.file("a", "deep/x").stat().st_mode) == 0o444


def test_evicted_views_are_built_again(store: VersionedStore) -> None:
    publish(store, "a", {"x": b"1234"})
    folder = store.folder("a")
    assert store.evict(unused_for_s=3600) == 0
    assert folder.is_dir()
    # In git the view was a link to the content of the repository.
    assert store.evict(unused_for_s=-1) == (0 if store.repository.kind == "git" else 4)
    assert not folder.exists()
    assert store.file("a", "x").read_bytes() == b"1234"
    assert content(store, "a") == {"x": b"1234"}


@pytest.mark.parametrize("how", ["flipped", "cut", "missing", "added", "linked"])
def test_damaged_view_heals(store: VersionedStore, tmp_path: Path, how: str) -> None:
    publish(store, "a", {"x": b"1", "y": b"2"})
    file = store.folder("a") / "x"
    file.unlink()
    match how:
        case "flipped":
            file.write_bytes(b"0")
        case "cut":
            file.write_bytes(b"")
        case "added":
            file.write_bytes(b"1")
            file.with_name("z").write_bytes(b"new")
        case "linked":
            (tmp_path / "target").write_bytes(b"1")
            file.symlink_to(tmp_path / "target")
        case _:
            assert how == "missing"
    assert store.file("a", "x").read_bytes() == b"1"
    assert content(store, "a") == {"x": b"1", "y": b"2"}
    assert not (store.folder("a") / "x").is_symlink()


def test_damaged_view_of_a_single_file_heals(store: VersionedStore, backend: Backend) -> None:
    publish(store, "a", {"x": b"1", "y": b"2"})
    reader = backend.store("other")
    file = reader.file("a", "x")
    file.unlink()
    file.write_bytes(b"0")
    assert reader.file("a", "x").read_bytes() == b"1"


def test_equal_files_of_other_names_keep_each_other(store: VersionedStore, backend: Backend) -> None:
    publish(store, "a", {"x.txt": b"same", "y.txt": b"same"})
    reader = backend.store("other")
    first, second = reader.file("a", "x.txt"), reader.file("a", "y.txt")
    assert (first.name, second.name) == ("x.txt", "y.txt")
    assert first.read_bytes() == second.read_bytes() == b"same"


def test_damaged_object_is_named_never_handed_out_and_healed_by_publishing_again(
    store: VersionedStore, backend: Backend
) -> None:
    text = b"quite a long and telling text, not found anywhere else"
    first = publish(store, "a", {"x": text, "y": b"2"})
    backend.damage(text)
    reader = backend.store("other")
    for read in (lambda: reader.folder("a"), lambda: reader.file("a", "x")):
        with pytest.raises(IntegrityError, match="x"):
            read()
    assert reader.file("a", "y").read_bytes() == b"2"
    healed = publish(reader, "a", {"x": text, "y": b"2"})
    assert (healed.digest, healed.parent) == (first.digest, first.commit)
    assert content(backend.store("third"), "a") == {"x": text, "y": b"2"}
    assert publish(reader, "a", {"x": text, "y": b"2"}) == healed


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{}",
        b'{"path": "a", "digest": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "files": {}, '
        b'"message": "", "metadata": {}, "created_at": "", "parent": null, "extra": 1}',
    ],
)
def test_record_written_by_somebody_else_is_refused_and_replaced(
    store: VersionedStore, backend: Backend, record: bytes
) -> None:
    publish(store, "a", {"x": b"1"})
    backend.write_behind(f"a/{VERSION_FILE}", record)
    for read in (store.version, store.head, store.folder):
        with pytest.raises(IntegrityError, match=r"the record of a at .* was damaged or written by something else"):
            read("a")
    publish(store, "a", {"x": b"1", "y": b"2"})
    assert content(backend.store("other"), "a") == {"x": b"1", "y": b"2"}


def test_record_that_leads_out_of_its_folder_is_refused(store: VersionedStore, backend: Backend) -> None:
    version = publish(store, "a", {"x": b"1"})
    record = store.repository.read(version.commit, f"a/{VERSION_FILE}").decode()
    digest = digest_record({"../x": version.files["x"].sha256})
    backend.write_behind(f"a/{VERSION_FILE}", record.replace('"x"', '"../x"').replace(version.digest, digest).encode())
    with pytest.raises(IntegrityError, match="written by something else"):
        store.folder("a")


def test_file_changed_behind_the_record_is_not_mixed_into_a_version(store: VersionedStore, backend: Backend) -> None:
    first = publish(store, "a", {"x": b"1", "y": b"2"})
    backend.write_behind("a/x", b"foreign")
    assert content(backend.store("other"), "a") == content(store, "a", first.commit) == {"x": b"1", "y": b"2"}
    publish(store, "a", {"x": b"1", "y": b"3"})
    assert content(backend.store("third"), "a") == {"x": b"1", "y": b"3"}


def test_wrong_credentials_are_named_and_never_shown(backend: Backend, tmp_path: Path) -> None:
    from workflows_dagster.lib.errors import StorePermissionError

    publish(backend.store(), "a", {"x": b"1"})
    stranger = VersionedStore(backend.stranger(), tmp_path / "stranger")
    for ask in (lambda: stranger.version("a"), lambda: publish(stranger, "a", {"x": b"2"}), lambda: stranger.tags()):
        with pytest.raises(StorePermissionError) as raised:
            ask()
        assert "not the secret" not in str(raised.value)
    assert content(backend.store(), "a") == {"x": b"1"}


def test_secret_is_in_no_description(store: VersionedStore, backend: Backend) -> None:
    version = publish(store, "a", {"x": b"1"})
    shown = [
        repr(store.repository),
        store.repository.describe(),
        store.link(version.commit),
        store.repository.read(version.commit, f"a/{VERSION_FILE}").decode(),
    ]
    assert not any(backend.secret in text for text in shown)
