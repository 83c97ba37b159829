"""Objects on branches and at commits: uploads, ranges, listings, deletions; each test holds for a real server too."""

import hashlib
from collections.abc import Iterator

import pytest

from workflows_dagster_tests.lakefs_server.caller import Caller

BINARY = {"Content-Type": "application/octet-stream"}


def test_upload_gives_size_checksum_and_metadata(either: Caller) -> None:
    given = BINARY | {"x-lakefs-meta-Run": "7"}
    got = either.done("POST", "/branches/main/objects", body=b"hello", headers=given, path="a/b.txt")
    expected = {"path": "a/b.txt", "path_type": "object", "size_bytes": 5, "metadata": {"run": "7"}}
    assert {key: got[key] for key in expected} == expected
    assert got["checksum"] == "5d41402abc4b2a76b9719d911017c592"
    assert got["physical_address"].startswith("local://")
    assert either.done("GET", "/refs/main/objects/stat", path="a/b.txt") == got


def test_upload_of_unknown_length_is_kept_whole(either: Caller) -> None:
    pieces = [bytes([number]) * 70_000 for number in range(40)]

    def body() -> Iterator[bytes]:
        yield from pieces

    got = either.done("POST", "/branches/main/objects", body=body(), headers=BINARY, path="big")
    assert (got["size_bytes"], got["checksum"]) == (2_800_000, hashlib.md5(b"".join(pieces)).hexdigest())
    assert either.read("main", "big") == b"".join(pieces)


@pytest.mark.parametrize("content", [b"", b"a,b\r\n", b"\r\n--bound", b"x" * 3_000_000, b"\r\n--boun\r\n" * 200_000])
def test_upload_by_a_form_is_kept_whole(either: Caller, content: bytes) -> None:
    head = b'--boundary\r\nContent-Disposition: form-data; name="note"\r\n\r\nnothing\r\n--boundary\r\n'
    head += b'Content-Disposition: form-data; name="content"; filename="f"\r\nContent-Type: text/csv\r\n\r\n'
    form = {"Content-Type": "multipart/form-data; boundary=boundary"}
    body = head + content + b"\r\n--boundary--\r\n"
    got = either.done("POST", "/branches/main/objects", body=body, headers=form, path="f.csv")
    assert (got["size_bytes"], got["content_type"]) == (len(content), "text/csv")
    assert either.read("main", "f.csv") == content


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'--b\r\nContent-Disposition: form-data; name="other"\r\n\r\nx\r\n--b--\r\n', "missing key 'content'"),
        (b"no form", "multipart: NextPart: EOF"),
    ],
)
def test_form_without_content_is_refused(either: Caller, body: bytes, words: str) -> None:
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    got = either.call("POST", "/branches/main/objects", body=body, headers=form, path="f")
    assert (got.status, words in got.message) == (500, True), got.text


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("bytes=0-0", b"0"),
        ("bytes=3-", b"3456789"),
        ("bytes=-2", b"89"),
        ("bytes=8-99", b"89"),
        ("bytes=-99", b"0123456789"),
    ],
)
def test_range_gives_part_of_an_object(either: Caller, asked: str, given: bytes) -> None:
    either.upload("main", "digits", b"0123456789")
    for method, body in (("GET", given), ("HEAD", b"")):
        got = either.call(method, "/refs/main/objects", path="digits", headers={"Range": asked})
        assert (got.status, got.text) == (206, body)
        assert got.headers["Content-Length"] == str(len(given))
        assert got.headers["Content-Range"].endswith("/10")


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=5-4", "bytes=-0", "bytes=0-0,2-2"])
def test_range_outside_of_an_object_is_refused(either: Caller, asked: str) -> None:
    either.upload("main", "digits", b"0123456789")
    assert either.call("GET", "/refs/main/objects", path="digits", headers={"Range": asked}).status == 416


def test_object_is_not_sent_again_to_who_has_it(either: Caller) -> None:
    either.upload("main", "a", b"one")
    tag = either.call("GET", "/refs/main/objects", path="a").headers["ETag"]
    assert either.call("GET", "/refs/main/objects", path="a", headers={"If-None-Match": tag}).status == 304


def test_staged_object_is_seen_on_its_branch_alone(either: Caller) -> None:
    either.branch("side")
    either.upload("side", "a")
    seen = {
        ref: either.call("GET", f"/refs/{ref}/objects", path="a").status for ref in ("side", "side$", "side@", "main")
    }
    assert seen == {"side": 200, "side$": 200, "side@": 404, "main": 404}
    commit = either.commit("side")["id"]
    either.upload("side", "a", b"newer")
    assert (either.read(commit, "a"), either.read("side@", "a"), either.read("side", "a")) == (b"x", b"x", b"newer")


def test_branch_made_from_another_takes_nothing_that_is_staged(either: Caller) -> None:
    either.upload("main", "a")
    either.branch("side")
    assert either.call("GET", "/refs/side/objects", path="a").status == 404


def test_branch_made_again_has_nothing_staged(either: Caller) -> None:
    either.branch("side")
    either.upload("side", "a")
    either.done("DELETE", "/branches/side")
    either.branch("side")
    assert either.call("GET", "/refs/side/objects", path="a").status == 404
    assert either.done("GET", "/branches/side/diff")["results"] == []


def test_listing_comes_in_pages(either: Caller) -> None:
    for path in ("b", "a/2", "a/1", "c/x/y", "a0"):
        either.upload("main", path)

    def pages(**query: str) -> list[list[str]]:
        found: list[list[str]] = []
        after = ""
        while True:
            page = either.done("GET", "/refs/main/objects/ls", after=after, amount="2", **query)
            found.append([each["path"] for each in page["results"]])
            assert page["pagination"]["results"] == len(page["results"])
            if not page["pagination"]["has_more"]:
                return found
            after = page["pagination"]["next_offset"]

    assert pages() == [["a/1", "a/2"], ["a0", "b"], ["c/x/y"]]
    assert pages(delimiter="/") == [["a/", "a0"], ["b", "c/"]]
    assert pages(prefix="a/") == [["a/1", "a/2"]]
    assert pages(prefix="c/", delimiter="/") == [["c/x/"]]


def test_names_that_git_could_not_hold_are_held(either: Caller) -> None:
    paths = ["a", "a/b", "a//b", "a/", ".", "..", ".git/config", "x.lock", "ü/ñ %2F ?&#", "~tilde"]
    for path in paths:
        either.upload("main", path, path.encode())
    commit = either.commit("main")["id"]
    listed = either.done("GET", f"/refs/{commit}/objects/ls")["results"]
    assert [each["path"] for each in listed] == sorted(paths)
    assert [either.read(commit, path) for path in paths] == [path.encode() for path in paths]


def test_deletion_is_staged_and_committed(either: Caller) -> None:
    for path in ("a", "b", "c"):
        either.upload("main", path)
    first = either.commit("main")["id"]
    either.done("DELETE", "/branches/main/objects", path="a")
    either.done("POST", "/branches/main/objects/delete", json_={"paths": ["b", "nope"]})
    changes = [(each["path"], each["type"]) for each in either.done("GET", "/branches/main/diff")["results"]]
    assert changes == [("a", "removed"), ("b", "removed")]
    second = either.commit("main")["id"]
    assert [either.call("GET", f"/refs/{ref}/objects", path="a").status for ref in (first, second)] == [200, 404]
    assert [each["path"] for each in either.done("GET", f"/refs/{second}/objects/ls")["results"]] == ["c"]


def test_what_is_staged_can_be_taken_back(either: Caller) -> None:
    for path in ("a/1", "a/2", "b"):
        either.upload("main", path)
    either.done("PUT", "/branches/main", json_={"type": "common_prefix", "path": "a/"})
    assert [each["path"] for each in either.done("GET", "/refs/main/objects/ls")["results"]] == ["b"]
    either.done("PUT", "/branches/main", json_={"type": "reset"})
    assert either.done("GET", "/refs/main/objects/ls")["results"] == []


def test_copy_is_an_object_of_its_own(either: Caller) -> None:
    either.upload("main", "a", b"one")
    either.commit("main")
    either.branch("side")
    source = {"src_path": "a", "src_ref": "main"}
    got = either.done("POST", "/branches/side/objects/copy", json_=source, dest_path="b")
    assert (got["path"], got["size_bytes"], either.read("side", "b")) == ("b", 3, b"one")
    assert either.call("POST", "/branches/side/objects/copy", json_={"src_path": "no"}, dest_path="b").status == 404
