"""What lakeFS refuses, with which status, in which words: the table holds for a real server too."""

from typing import Any

import pytest

from workflows_dagster_tests.lakefs_server.caller import Caller
from workflows_dagster_tests.lakefs_server.conftest import SERVERS, NewRepository

BINARY = {"Content-Type": "application/octet-stream"}
BRANCH_RULE = "branch id must consist of letters, digits, underscores and dashes, and cannot start with a dash"
INVALID = "invalid value: validation error"
NO_HOOKS = "list actions from commit: listing actions: not found"


def _object(branch: str, path: str = "new", **headers: str) -> tuple[str, str, dict[str, Any]]:
    sent = BINARY | {name.replace("_", "-"): value for name, value in headers.items()}
    return "POST", f"/branches/{branch}/objects", {"body": b"x", "headers": sent, "path": path}


def _merge(source: str, destination: str, **body: Any) -> tuple[str, str, dict[str, Any]]:
    return "POST", f"/refs/{source}/merge/{destination}", {"json_": body}


def _branch(name: str, source: str = "main") -> tuple[str, str, dict[str, Any]]:
    return "POST", "/branches", {"json_": {"name": name, "source": source}}


def _tag(name: str, ref: str = "main", **body: Any) -> tuple[str, str, dict[str, Any]]:
    return "POST", "/tags", {"json_": {"id": name, "ref": ref, **body}}


def _commit(branch: str, **body: Any) -> tuple[str, str, dict[str, Any]]:
    return "POST", f"/branches/{branch}/commits", {"json_": {"message": "m", **body}}


def _get(path_: str, /, **query: Any) -> tuple[str, str, dict[str, Any]]:
    return "GET", path_, query


REFUSALS: dict[str, tuple[tuple[str, str, dict[str, Any]], int, str]] = {
    "no such endpoint": (_get("//nonsense"), 500, "invalid API endpoint"),
    "no key": (_get("", anonymous=True), 401, "error authenticating request"),
    "wrong key": (
        _get("", anonymous=True, headers={"Authorization": "Basic eDp5"}),
        401,
        "error authenticating request",
    ),
    "repository that is not there": (_get("//repositories/not-there"), 404, "repository not found"),
    "repository whose name is none": (
        _get("//repositories/NO"),
        400,
        f"argument repository: repository id: {INVALID}",
    ),
    "branch that is there": (_branch("clean"), 409, "branch already exists: not unique"),
    "branch named as a tag": (_branch("v1"), 409, "tag ID v1: conflict found"),
    "branch with a dot": (_branch("a.b"), 400, f"argument branch: branch id: {INVALID}: {BRANCH_RULE}"),
    "branch with a dash first": (_branch("-b"), 400, f"argument branch: branch id: {INVALID}: {BRANCH_RULE}"),
    "branch of nothing": (_branch("b", "nope"), 404, "source reference 'nope': not found"),
    "branch of a ref with a space": (_branch("b", "no pe"), 400, f"argument ref: ref: {INVALID}"),
    "branch of an empty ref": (_branch("b", ""), 500, "argument ref: required value: validation error"),
    "branch that is not there": (_get("/branches/nope"), 404, "branch not found"),
    "default branch deleted": (("DELETE", "/branches/main", {}), 403, "cannot delete repository default branch"),
    "missing branch deleted": (("DELETE", "/branches/nope", {}), 404, "branch not found"),
    "upload to no branch": (_object("nope"), 404, "branch 'nope' not found"),
    "upload without a path": (_object("clean", ""), 400, 'parameter "path" in query has an error: empty value is not'),
    "upload to a path too long": (
        _object("clean", "p" * 1025),
        400,
        f"argument path: {INVALID}: 1025 is above maximum length (1024)",
    ),
    "upload over an object, if absent": (_object("clean", "a.txt", If_None_Match="*"), 412, "path already exists"),
    "upload if absent, other condition": (
        _object("clean", "n", If_None_Match="x"),
        400,
        'Unsupported value for If-None-Match - Only "*" is supported',
    ),
    "object that is not there": (_get("/refs/main/objects", path="nope"), 404, "not found"),
    "object of a ref that is not there": (_get("/refs/nope/objects", path="a.txt"), 404, "not found"),
    "object past its end": (
        _get("/refs/main/objects", path="a.txt", headers={"Range": "bytes=9-"}),
        416,
        "Requested Range Not Satisfiable",
    ),
    "object presigned": (
        _get("/refs/main/objects", path="a.txt", presign="true"),
        400,
        "local adapter presigned URL: operation not supported",
    ),
    "page too long": (
        _get("/branches", amount="1001"),
        400,
        'parameter "amount" in query has an error: number must be at most 1000',
    ),
    "commit of nothing": (_commit("clean"), 400, "commit: no changes"),
    "commit on no branch": (_commit("nope"), 404, NO_HOOKS),
    "commit that is not there": (_get(f"/commits/{'0' * 64}"), 404, "commit not found"),
    "commit of a staging area": (_get("/commits/dirty$"), 500, f"ref: {INVALID}: should point to a commit"),
    "log of nothing": (_get("/refs/nope/commits"), 404, "ref: not found"),
    "difference to nothing": (_get("/refs/main/diff/nope"), 404, "get commit by ref nope: not found"),
    "difference to a staging area": (
        _get("/refs/dirty$/diff/nope", type="two_dot"),
        400,
        "reference 'dirty$': reference to staging area with $ is not a commit",
    ),
    "merge of a staging area": (
        _merge("dirty$", "main"),
        400,
        "get commit by ref dirty$: reference 'dirty$': reference to staging area with $ is not a commit",
    ),
    "merge of nothing": (_merge("nope", "main"), 404, "update branch main: get commit by ref nope: not found"),
    "merge into nothing": (_merge("ours", "nope"), 404, "branch not found"),
    "merge of what has no changes": (_merge("clean", "main"), 400, "update branch main: no changes"),
    "merge of a branch into itself": (_merge("main", "main"), 400, "update branch main: no changes"),
    "merge into uncommitted changes": (_merge("ours", "dirty"), 400, "uncommitted changes (dirty branch)"),
    "merge by no strategy": (_merge("ours", "main", strategy="x"), 400, f"argument strategy: {INVALID}"),
    "tag that is there": (_tag("v1"), 409, "tag already exists: not unique"),
    "tag that is there, by force": (_tag("v1", "ours", force=True), 409, "tag already exists: not unique"),
    "tag named as a branch": (_tag("clean"), 409, "branch name clean: conflict found"),
    "tag with a slash": (_tag("a/b"), 400, f"argument tagID: tag id: {INVALID}"),
    "tag of nothing": (_tag("v2", "nope"), 404, "not found"),
    "tag that is not there": (_get("/tags/nope"), 404, "tag not found"),
    "too many deletions": (
        ("POST", "/branches/clean/objects/delete", {"json_": {"paths": ["x"] * 1001}}),
        500,
        "request size exceeded, max paths is set to 1000",
    ),
}


@pytest.fixture(scope="module", params=SERVERS)
def prepared(request: pytest.FixtureRequest, new_repository: NewRepository) -> Caller:
    """main holds a.txt; clean equals it; dirty has something staged; ours and theirs changed a.txt; v1 is a tag."""
    caller = new_repository(request.param)
    caller.upload("main", "a.txt", b"one")
    caller.commit("main")
    for branch in ("clean", "dirty", "ours", "theirs"):
        caller.branch(branch)
    caller.upload("dirty", "staged")
    for branch in ("ours", "theirs"):
        caller.upload(branch, "a.txt", branch.encode())
        caller.commit(branch)
    caller.done("POST", "/tags", json_={"id": "v1", "ref": "main"})
    return caller


@pytest.mark.parametrize(("request_", "status", "words"), REFUSALS.values(), ids=REFUSALS)
def test_refusal_has_the_status_and_the_words_of_lakefs(
    prepared: Caller, request_: tuple[str, str, dict[str, Any]], status: int, words: str
) -> None:
    method, path, given = request_
    got = prepared.call(method, path, **given)
    assert (got.status, words in got.message) == (status, True), got.text
    assert got.headers["Content-Type"] == "application/json"


def test_repository_that_is_there_is_not_made_again(prepared: Caller) -> None:
    body = {"name": prepared.repository, "storage_namespace": "local://other"}
    got = prepared.call("POST", "//repositories", json_=body)
    assert (got.status, got.message) == (409, "error creating repository: not unique")


def test_storage_namespace_belongs_to_one_repository(prepared: Caller) -> None:
    namespace = prepared.done("GET", "")["storage_namespace"]
    body = {"name": f"{prepared.repository}-b", "storage_namespace": namespace}
    got = prepared.call("POST", "//repositories", json_=body)
    assert (got.status, "storage namespace already in use" in got.message) == (400, True)


def test_missing_object_is_answered_without_a_body_when_its_head_is_asked_for(prepared: Caller) -> None:
    got = prepared.call("HEAD", "/refs/main/objects", path="nope")
    assert (got.status, got.text) == (404, b"")


def test_deletion_of_what_is_not_there_succeeds(prepared: Caller) -> None:
    assert prepared.call("DELETE", "/branches/clean/objects", path="nope").status == 204
    for branch in ("clean", "nope"):
        got = prepared.call("POST", f"/branches/{branch}/objects/delete", json_={"paths": ["nope"]})
        assert (got.status, got.json) == (200, {"errors": []})


def test_conflict_is_answered_by_a_result_without_a_commit(either: Caller) -> None:
    for branch in ("ours", "theirs"):
        either.publish(branch, "a.txt", branch.encode())
    assert either.merge("ours").status == 200
    got = either.merge("theirs")
    assert (got.status, got.json) == (409, {"reference": ""})
    assert either.read("main", "a.txt") == b"ours"
