"""Commits, merges, logs, differences and tags; each test holds for a real server too."""

import re
from typing import Any

import pytest

from workflows_dagster_tests.lakefs_server.caller import Caller


def _paths(found: Any) -> list[tuple[str, str]]:
    return [(each["path"], each["type"]) for each in found["results"]]


def test_commit_has_an_id_of_64_digits_and_what_it_was_given(either: Caller) -> None:
    first = either.done("GET", "/branches/main")["commit_id"]
    either.upload("main", "a")
    made = either.commit("main", "first", metadata={"run": "7"}, date=1_700_000_000)
    assert re.fullmatch("[0-9a-f]{64}", made["id"])
    assert (made["message"], made["metadata"], made["parents"]) == ("first", {"run": "7"}, [first])
    assert (made["creation_date"], made["generation"]) == (1_700_000_000, 2)
    assert either.done("GET", f"/commits/{made['id']}") == made
    assert either.done("GET", "/commits/main") == made
    assert either.done("GET", f"/commits/{made['id'][:12]}") == made


def test_same_content_again_is_no_change(either: Caller) -> None:
    either.upload("main", "a")
    either.commit("main")
    either.upload("main", "a")
    got = either.call("POST", "/branches/main/commits", json_={"message": "again"})
    assert (got.status, got.message) == (400, "commit: no changes")
    assert either.commit("main", allow_empty=True)["generation"] == 3


def test_merge_makes_a_merge_commit_also_where_the_branch_has_not_moved(either: Caller) -> None:
    head = either.done("GET", "/branches/main")["commit_id"]
    commit = either.publish("side", "a", b"one")
    made = either.done(
        "GET", f"/commits/{either.merge('side', message='hello', metadata={'k': 'v'}).json['reference']}"
    )
    assert made["parents"] == [head, commit]
    assert (made["message"], made["metadata"]) == ("hello", {".lakefs.merge.strategy": "default", "k": "v"})
    assert either.done("GET", "/branches/main")["commit_id"] == made["id"]
    got = either.merge("side")
    assert (got.status, got.message) == (400, "update branch main: no changes")


def test_merge_takes_each_path_from_who_changed_it(either: Caller) -> None:
    for path in ("kept", "ours", "theirs", "dropped"):
        either.upload("main", path, b"old")
    either.commit("main")
    either.branch("side")
    either.upload("side", "theirs", b"new")
    either.done("DELETE", "/branches/side/objects", path="dropped")
    either.commit("side")
    either.upload("main", "ours", b"newer")
    either.commit("main")
    assert either.merge("side").status == 200
    found = {
        each["path"]: either.read("main", each["path"])
        for each in either.done("GET", "/refs/main/objects/ls")["results"]
    }
    assert found == {"kept": b"old", "ours": b"newer", "theirs": b"new"}


@pytest.mark.parametrize(("strategy", "winner"), [("dest-wins", b"ours"), ("source-wins", b"theirs")])
def test_strategy_settles_a_conflict(either: Caller, strategy: str, winner: bytes) -> None:
    for branch in ("ours", "theirs"):
        either.publish(branch, "a", branch.encode())
    either.merge("ours")
    assert either.merge("theirs").status == 409
    assert either.merge("theirs", strategy=strategy).status == 200
    assert either.read("main", "a") == winner


def test_change_on_one_side_and_deletion_on_the_other_conflict(either: Caller) -> None:
    either.publish("first", "a", b"one")
    either.merge("first")
    either.branch("side")
    either.done("DELETE", "/branches/side/objects", path="a")
    either.commit("side")
    either.publish("other", "a", b"two")
    either.merge("other")
    assert either.merge("side").status == 409
    assert _paths(either.done("GET", "/refs/main/diff/side")) == [("a", "conflict")]
    assert either.merge("side", strategy="source-wins").status == 200
    assert either.call("GET", "/refs/main/objects", path="a").status == 404


def test_same_content_from_both_sides_is_no_conflict(either: Caller) -> None:
    for branch in ("one", "two"):
        either.publish(branch, "a", b"equal")
    assert [either.merge(branch).status for branch in ("one", "two")] == [200, 200]
    assert either.read("main", "a") == b"equal"


def test_squashed_merge_has_one_parent(either: Caller) -> None:
    head = either.done("GET", "/branches/main")["commit_id"]
    either.publish("side", "a", b"one")
    made = either.merge("side", squash_merge=True).json["reference"]
    assert either.done("GET", f"/commits/{made}")["parents"] == [head]


def test_merge_of_an_empty_commit_needs_to_be_allowed(either: Caller) -> None:
    either.upload("main", "a")
    either.commit("main")
    either.branch("side")
    either.commit("side", allow_empty=True)
    assert either.merge("side").message == "update branch main: no changes"
    assert either.merge("side", allow_empty=True).status == 200


def test_log_of_a_path_leaves_merge_commits_out(either: Caller) -> None:
    first = either.publish("one", "asset/a", b"1")
    either.merge("one")
    second = either.publish("two", "other", b"2")
    either.merge("two")
    third = either.publish("three", "asset/a", b"3")
    either.merge("three")

    def log(**query: Any) -> list[str]:
        return [each["id"] for each in either.done("GET", "/refs/main/commits", **query)["results"]]

    assert log(objects="asset/a") == [third, first]
    assert log(objects="asset/a", amount="1", limit="true") == [third]
    assert log(prefixes="asset/") == [third, first]
    assert log(prefixes="ass", objects="other") == [third, second, first]
    assert log(objects="asset") == []
    assert len(log()) == 7
    assert len(log(first_parent="true")) == 4
    assert log(objects="asset/a", after=third) == [first]


def test_log_says_whether_there_are_more(either: Caller) -> None:
    either.publish("one", "a", b"1")
    page = either.done("GET", "/refs/one/commits", amount="1")
    assert (len(page["results"]), page["pagination"]["has_more"]) == (1, True)
    rest = either.done("GET", "/refs/one/commits", amount="1", after=page["pagination"]["next_offset"])
    assert [each["message"] for each in rest["results"]] == ["Repository created"]
    assert not rest["pagination"]["has_more"]
    assert not either.done("GET", "/refs/one/commits", amount="1", limit="true")["pagination"]["has_more"]


def test_two_dots_compare_states_and_three_what_a_merge_would_bring(either: Caller) -> None:
    for path in ("changed", "removed"):
        either.upload("main", path, b"old")
    either.commit("main")
    either.branch("side")
    either.upload("side", "changed", b"new")
    either.upload("side", "added", b"new")
    either.done("DELETE", "/branches/side/objects", path="removed")
    either.commit("side")
    either.upload("main", "meanwhile")
    either.commit("main")
    brought = [("added", "added"), ("changed", "changed"), ("removed", "removed")]
    assert _paths(either.done("GET", "/refs/main/diff/side")) == brought
    assert _paths(either.done("GET", "/refs/main/diff/side", type="two_dot")) == [
        ("added", "added"),
        ("changed", "changed"),
        ("meanwhile", "removed"),
        ("removed", "removed"),
    ]
    page = either.done("GET", "/refs/main/diff/side", amount="1", after="added")
    assert (_paths(page), page["pagination"]["next_offset"]) == ([("changed", "changed")], "changed")


def test_branches_and_tags_are_listed_in_pages(either: Caller) -> None:
    commit = either.publish("tx-2", "a", b"1")
    either.branch("tx-1")
    for tag in ("v1", "v~2"):
        either.done("POST", "/tags", json_={"id": tag, "ref": "tx-2"})

    def names(kind: str, **query: str) -> list[str]:
        return [each["id"] for each in either.done("GET", f"/{kind}", **query)["results"]]

    assert names("branches") == ["main", "tx-1", "tx-2"]
    assert names("branches", prefix="tx-", amount="1") == ["tx-1"]
    assert names("branches", prefix="tx-", after="tx-1") == ["tx-2"]
    assert names("tags") == ["v1", "v~2"]
    assert either.done("GET", "/tags/v1") == {"id": "v1", "commit_id": commit}
    assert either.read("v1", "a") == b"1"
    either.done("DELETE", "/tags/v1")
    assert names("tags") == ["v~2"]


def test_modifiers_of_refs_lead_to_earlier_commits(either: Caller) -> None:
    either.publish("side", "a", b"1")
    either.merge("side")

    def status(ref: str) -> int:
        return either.call("GET", f"/refs/{ref}/objects", path="a").status

    found = {
        ref: status(ref) for ref in ("main~0", "main^", "main~1", "main^2", "main^3", "main~9", "main^2~1", "main@~1")
    }
    assert found == {
        "main~0": 200,
        "main^": 404,
        "main~1": 404,
        "main^2": 200,
        "main^3": 400,
        "main~9": 404,
        "main^2~1": 404,
        "main@~1": 400,
    }


def test_merge_base_is_where_the_branches_parted(either: Caller) -> None:
    head = either.done("GET", "/branches/main")["commit_id"]
    ours, theirs = (either.publish(branch, branch, b"1") for branch in ("ours", "theirs"))
    assert either.done("GET", "/refs/ours/merge/theirs") == {
        # The server has them the wrong way round.
        "source_commit_id": theirs,
        "destination_commit_id": ours,
        "base_commit_id": head,
    }
