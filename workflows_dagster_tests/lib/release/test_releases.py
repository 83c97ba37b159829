"""Tags, the deployed release, and what pruning must leave."""

import hashlib
import shutil
from pathlib import Path

import pytest

from workflows_dagster.lib.errors import ConflictError, IntegrityError, NotPublishedError
from workflows_dagster.lib.release.deployment import (
    deploy,
    deployed,
    deployed_model,
    deployments,
    was_deployed,
)
from workflows_dagster.lib.release.releases import release, release_tags, releases, tag_release
from workflows_dagster.lib.release.retention import held_versions
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster_tests.lib.release.made_up import MadeUpChain, reviews

FIRST = reviews(("r1", "shop", "positive", "good"))
SECOND = reviews(("r1", "shop", "negative", "bad"))


def test_tags_count_up_and_a_record_keeps_its_own(chain: MadeUpChain) -> None:
    one = chain.record(chain.whole(FIRST))
    assert tag_release(chain.store, one) == "release-1"
    two = chain.record(chain.whole(SECOND))
    assert tag_release(chain.store, two) == "release-2"
    assert tag_release(chain.store, one) == "release-1"
    assert release_tags(chain.store) == {"release-1": one.commit, "release-2": two.commit}


def test_release_published_but_not_tagged_by_who_was_killed_gets_its_tag_when_made_again(chain: MadeUpChain) -> None:
    report = chain.whole(FIRST)
    before = chain.record(report)
    again = chain.record(report)
    assert again.commit == before.commit
    assert [tag_release(chain.store, again), tag_release(chain.store, again)] == ["release-1", "release-1"]


def test_number_that_was_taken_in_between_is_passed_over(chain: MadeUpChain, monkeypatch: pytest.MonkeyPatch) -> None:
    one = chain.record(chain.whole(FIRST))
    two = chain.record(chain.whole(SECOND))
    real = chain.store.tag

    def late(name: str, commit: str) -> None:
        monkeypatch.setattr(chain.store, "tag", real)
        real(name, one.commit)  # the other process was first
        real(name, commit)

    monkeypatch.setattr(chain.store, "tag", late)
    assert tag_release(chain.store, two) == "release-2"
    assert release_tags(chain.store)["release-1"] == one.commit


def test_releases_are_in_the_order_of_their_numbers(chain: MadeUpChain) -> None:
    one = chain.record(chain.whole(FIRST))
    for tag in ("release-10", "release-9", "release-x", "release-01", "note"):
        chain.store.tag(tag, one.commit)
    assert list(release_tags(chain.store)) == ["release-9", "release-10"]


def test_developers_branch_has_releases_of_its_own(chain: MadeUpChain, tmp_path: Path) -> None:
    report = chain.whole(FIRST)
    tag_release(chain.store, chain.record(report))
    main = chain.store
    chain.store = VersionedStore(main.repository, tmp_path / "work", base="ada")
    two = chain.record(chain.whole(SECOND))
    assert tag_release(chain.store, two) == "ada-release-1"
    assert list(release_tags(chain.store)) == ["ada-release-1"]
    assert list(release_tags(main)) == ["release-1"]
    assert (two.path, two.commit) in held_versions(main)


@pytest.mark.parametrize(("made", "expected"), [(False, "none was made yet"), (True, "one of: release-1")])
def test_unknown_release_is_an_error_that_lists_the_known_ones(chain: MadeUpChain, made: bool, expected: str) -> None:
    version = chain.record(chain.whole(FIRST))
    if made:
        tag_release(chain.store, version)
    with pytest.raises(NotPublishedError, match=expected):
        release(chain.store, "release-7")


def test_rollback_changes_what_is_in_force_and_is_logged(chain: MadeUpChain) -> None:
    one, two = chain.release(FIRST, b"\x01"), chain.release(SECOND, b"\x02")
    deploy(chain.store, one, "first", ["a"])
    deploy(chain.store, two, "better", ["b"])
    assert (deployed_model(chain.store) / "model" / "weights").read_bytes() == b"\x02"
    deploy(chain.store, one, "the shop complained", ["c"])
    assert deployed(chain.store).tag == "release-1"
    assert (deployed_model(chain.store) / "model" / "weights").read_bytes() == b"\x01"
    assert [(found.tag, found.reason) for found in deployments(chain.store)] == [
        ("release-1", "the shop complained"),
        ("release-2", "better"),
        ("release-1", "first"),
    ]
    assert was_deployed(chain.store, "release-2")
    assert not was_deployed(chain.store, "release-3")


def test_release_that_is_in_force_can_be_deployed_again_without_a_trace(chain: MadeUpChain) -> None:
    one = chain.release(FIRST, b"\x01")
    versions = [deploy(chain.store, one, "first", ["a"]) for _ in range(2)]
    assert versions[0].commit == versions[1].commit


def test_release_whose_model_is_damaged_is_not_put_in_force(chain: MadeUpChain, tmp_path: Path) -> None:
    one, two = chain.release(FIRST, b"\x01"), chain.release(SECOND, b"\x02")
    deploy(chain.store, two, "better", ["a"])
    shutil.rmtree(tmp_path / "store.git" / "views")
    digest = hashlib.sha256(b"\x01").hexdigest()  # the weights of the first
    (tmp_path / "store.git" / "lfs" / "objects" / digest[:2] / digest[2:4] / digest).unlink()
    with pytest.raises(IntegrityError, match="is lost"):
        deploy(chain.store, one, "the shop complained", ["b"])
    assert deployed(chain.store).tag == two.tag


def test_nothing_in_force_is_an_error_that_says_what_to_do(chain: MadeUpChain) -> None:
    chain.release(FIRST, b"\x01")
    with pytest.raises(NotPublishedError, match="deploy TAG"):
        deployed(chain.store)


def test_pruning_must_leave_every_version_of_every_release(chain: MadeUpChain) -> None:
    one, two = chain.release(FIRST, b"\x01"), chain.release(SECOND, b"\x02")
    loose = chain.rows(reviews(("r8", "shop", None, "not released")))
    published = chain.rows(reviews(("r9", "shop", None, "published now")))
    held = {commit for _, commit in held_versions(chain.store)}
    assert {member.commit for found in (one, two) for member in found.record.chain} < held
    assert {one.version.commit, two.version.commit} < held
    assert published.commit in held
    assert loose.commit not in held


def test_pruning_must_leave_what_another_base_branch_rests_on(chain: MadeUpChain, tmp_path: Path) -> None:
    main = chain.store
    chain.store = VersionedStore(main.repository, tmp_path / "work", base="ada")
    first = chain.publish("raw_reviews/a", {"rows": b"first"})
    chain.publish("augmented_reviews", {"rows": b"made of the first"}, first)
    chain.publish("raw_reviews/a", {"rows": b"second"})
    assert (first.path, first.commit) in held_versions(main)


def test_release_of_an_older_format_keeps_nobody_from_pruning(chain: MadeUpChain) -> None:
    report = chain.publish("benchmark_report", {"report.html": b"page"})
    old = chain.publish("model_release", {"release.json": b"{}"}, report)
    chain.store.tag("release-1", old.commit)
    assert {(old.path, old.commit), (report.path, report.commit)} <= held_versions(chain.store)


def test_two_tags_on_different_commits_are_a_conflict(chain: MadeUpChain) -> None:
    one, two = chain.release(FIRST, b"\x01"), chain.release(SECOND, b"\x02")
    with pytest.raises(ConflictError):
        chain.store.tag(one.tag, two.version.commit)
    assert [found.tag for found in releases(chain.store)] == ["release-1", "release-2"]
