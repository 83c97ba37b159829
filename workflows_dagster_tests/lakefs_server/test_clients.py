"""The clients that talk to lakeFS, driven against the server."""

import json
from collections.abc import Iterator

import lakefs
import pytest
import urllib3
from lakefs.client import Client
from lakefs.exceptions import (
    BadRequestException,
    ConflictException,
    NotAuthorizedException,
    NotFoundException,
    ObjectExistsException,
)
from lakefs_sdk.exceptions import ApiException
from lakefs_sdk.models.branch_creation import BranchCreation
from lakefs_sdk.models.commit_creation import CommitCreation
from lakefs_spec import LakeFSFileSystem

from workflows_dagster_tests.lakefs_server.caller import Caller
from workflows_dagster_tests.lakefs_server.server import LoopbackLakeFS


@pytest.fixture
def client(caller: Caller) -> Client:
    return Client(host=caller.endpoint, username=caller.access_key_id, password=caller.secret_access_key)


@pytest.fixture
def repository(caller: Caller, client: Client) -> lakefs.Repository:
    return lakefs.Repository(caller.repository, client)


@pytest.fixture
def files(caller: Caller) -> Iterator[LakeFSFileSystem]:
    LakeFSFileSystem.clear_instance_cache()
    yield LakeFSFileSystem(
        host=caller.endpoint,
        username=caller.access_key_id,
        password=caller.secret_access_key,
        create_branch_ok=False,
        use_listings_cache=False,
    )
    LakeFSFileSystem.clear_instance_cache()


def test_wrapper_publishes_on_a_branch_and_merges(repository: lakefs.Repository) -> None:
    branch = repository.branch("tx-1").create("main")
    branch.object("asset/a.bin").upload(b"hello", metadata={"k": "v"}, content_type="application/x-test")
    with branch.object("asset/b.bin").writer("wb") as writer:
        writer.write(b"x" * 100_000)
    assert [change.path for change in branch.uncommitted()] == ["asset/a.bin", "asset/b.bin"]
    commit = branch.commit("first", metadata={"run": "7"}).get_commit()
    reference = branch.merge_into("main", message="merged")
    main = repository.branch("main")
    assert [each.id for each in main.log(objects=["asset/a.bin"])] == [commit.id]
    assert main.get_commit().id == reference
    assert [change.type for change in repository.ref(commit.parents[0]).diff(reference, type="two_dot")] == [
        "added"
    ] * 2
    stored = repository.ref(commit.id).object("asset/a.bin")
    assert (stored.stat().metadata, stored.stat().content_type) == ({"k": "v"}, "application/x-test")
    with stored.reader("rb") as reader:
        reader.seek(1)
        assert (reader.read(3), reader.read()) == (b"ell", b"o")
    tag = repository.tag("v1").create(commit.id)
    assert tag.get_commit().id == commit.id
    branch.delete()
    assert [each.id for each in repository.branches()] == ["main"]


def test_links_to_the_ui_open(caller: Caller) -> None:
    got = urllib3.request("GET", f"{caller.endpoint}/repositories/{caller.repository}/objects?ref=main")
    assert (got.status, got.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_wrapper_names_each_refusal(repository: lakefs.Repository, client: Client) -> None:
    with pytest.raises(ConflictException):
        lakefs.Repository(repository.id, client).create("local://other")
    with pytest.raises(NotFoundException):
        repository.branch("nope").get_commit()
    with pytest.raises(BadRequestException, match="commit: no changes"):
        repository.branch("main").commit("nothing")
    repository.branch("main").object("a").upload(b"x")
    with pytest.raises(ObjectExistsException):
        repository.branch("main").object("a").upload(b"y", mode="xb")
    stranger = Client(host=client.config.host, username="nobody", password="none")
    with pytest.raises(NotAuthorizedException):
        list(lakefs.Repository(repository.id, stranger).branches())


def test_wrapper_deletes_many_and_lists_prefixes(repository: lakefs.Repository) -> None:
    main = repository.branch("main")
    for path in ("a/1", "a/2", "b"):
        main.object(path).upload(path)
    main.commit("all")
    main.delete_objects(["a/1", "b"])
    assert [each.path for each in main.objects(prefix="a/")] == ["a/2"]
    assert [type(each).__name__ for each in main.objects(delimiter="/")] == ["CommonPrefix"]
    main.reset_changes()
    assert len(list(main.objects())) == 3


def test_sdk_uploads_forms_and_reads_conflicts(caller: Caller, client: Client) -> None:
    sdk = client.sdk_client
    for branch in ("one", "two"):
        sdk.branches_api.create_branch(caller.repository, BranchCreation(name=branch, source="main"))
        sdk.objects_api.upload_object(caller.repository, branch, "a", content=branch.encode())
        sdk.commits_api.commit(caller.repository, branch, CommitCreation(message=branch))
    assert sdk.refs_api.merge_into_branch(caller.repository, "one", "main").reference
    with pytest.raises(ApiException) as caught:
        sdk.refs_api.merge_into_branch(caller.repository, "two", "main")
    assert (caught.value.status, json.loads(str(caught.value.body))) == (409, {"reference": ""})
    assert sdk.objects_api.get_object(caller.repository, "main", "a", range="bytes=1-1") == b"n"
    storage = sdk.config_api.get_config().storage_config
    assert storage
    assert not storage.pre_sign_support


def test_fsspec_reads_lists_and_tells_versions_apart(
    server: LoopbackLakeFS, caller: Caller, files: LakeFSFileSystem
) -> None:
    content = bytes(range(256)) * 40_000
    caller.upload("main", "raw/reviews.csv", content)
    caller.upload("main", "raw/deep/er.csv", b"x")
    commit = caller.commit("main")["id"]
    root = f"lakefs://{caller.repository}/{commit}"
    assert [
        each["name"].rpartition("/")[2] for each in files.ls(f"{root}/raw/", detail=True) if each["type"] == "file"
    ] == ["reviews.csv"]
    assert sorted(files.find(f"{root}/raw/")) == [
        f"{caller.repository}/{commit}/raw/deep/er.csv",
        f"{caller.repository}/{commit}/raw/reviews.csv",
    ]
    assert files.info(f"{root}/raw/reviews.csv").get("size") == len(content)
    assert files.exists(f"{root}/raw/reviews.csv")
    assert not files.exists(f"{root}/raw/nope")
    assert files.checksum(f"{root}/raw/reviews.csv")
    with files.open(f"{root}/raw/reviews.csv", "rb") as file:
        file.seek(1_000_000)
        assert file.read(100) == content[1_000_000:1_000_100]
    assert server.requests.matching("GET", "/objects[?]", status=206)
    with pytest.raises(FileNotFoundError):
        files.info(f"{root}/nope.csv")
    with pytest.raises(PermissionError):
        LakeFSFileSystem(host=caller.endpoint, username="no", password="body", create_branch_ok=False).info(
            f"{root}/raw/reviews.csv"
        )
