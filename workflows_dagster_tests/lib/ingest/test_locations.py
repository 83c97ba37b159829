"""Finding and opening files on local disk, in memory and on S3."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workflows_dagster.lib.errors import ConfigurationError, SourceUnreadableError
from workflows_dagster.lib.ingest.locations import list_files, look, short_name, stat_file
from workflows_dagster.lib.ingest.manifests import Manifest
from workflows_dagster.lib.ingest.raw_reviews import IngestSettings, read_batch
from workflows_dagster.lib.ingest.source import Source
from workflows_dagster.lib.ingest.storage_options import Options
from workflows_dagster_tests.lib.ingest.described import source as shop


def source(location: object, **fields: Any) -> Source:
    return shop(location=str(location), columns={"text": "text"}, **fields)


def names(described: Source) -> list[str]:
    return [short_name(described, file.uri) for file in list_files(described)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.csv", "a.csv", ".hidden.csv", "_part.csv", "sub/c.csv", "sub/deep/d.csv", "note.txt"):
        path = tmp_path / "inbox" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text\ngood\n")
    return tmp_path / "inbox"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("", ["a.csv", "b.csv", "note.txt"]),
        ("*.csv", ["a.csv", "b.csv"]),
        ("**/*.csv", ["a.csv", "b.csv", "sub/c.csv", "sub/deep/d.csv"]),
        ("sub/*.csv", ["c.csv"]),
        ("a.csv", ["a.csv"]),
        ("_part.csv", ["_part.csv"]),
        ("*.json", []),
    ],
)
def test_location_is_a_folder_a_glob_or_a_file(folder: Path, location: str, expected: list[str]) -> None:
    assert names(source(folder / location)) == expected


def test_link_is_the_file_it_points_to(folder: Path) -> None:
    (folder / "link.csv").symlink_to(folder / "a.csv")
    files = {Path(file.uri).name: file for file in list_files(source(folder / "*.csv"))}
    assert (files["link.csv"].size, files["link.csv"].version) == (files["a.csv"].size, files["a.csv"].version)


@pytest.mark.parametrize(
    "name", ["reviews[1].csv", "a::b.csv", "what?.csv", "a b*.csv", "[x].csv", "{a,b}.csv", "%41.csv"]
)
@pytest.mark.parametrize("below", ["", "proj [2024]", "a::b", "**", "[!a] *"])
def test_path_is_a_path_whatever_signs_it_holds(tmp_path: Path, below: str, name: str) -> None:
    place = tmp_path / below
    place.mkdir(exist_ok=True)
    for one in (name, "other.csv"):
        (place / one).write_text("text\ngood\n")
    for location, found in ((name, [name]), ("", sorted([name, "other.csv"])), ("other.*", ["other.csv"])):
        described = source(place / location)
        assert sorted(names(described)) == found
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        manifest = Manifest(source="shop", files=tuple(list_files(described)))
        assert read_batch(manifest, described, IngestSettings(), out).rows_kept == len(found)


def test_what_cannot_be_used_costs_itself_and_is_named(folder: Path) -> None:
    (folder / "broken.csv").symlink_to(folder / "nowhere.csv")
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    os.mkfifo(folder / "pipe.csv")
    (folder / os.fsdecode(b"caf\xe9.csv")).write_text("text\ngood\n")
    listing = look(source(folder / "*.csv"))
    assert [Path(file.uri).name for file in listing.files] == ["a.csv", "b.csv"]
    problems = {name: error.given for name, error in listing.failures.items()}
    assert problems == {
        "broken.csv": "No such file or directory",
        "loop.csv": "Too many levels of symbolic links",
        "pipe.csv": "it is not a regular file",
        "caf\\xe9.csv": "a name with bytes that are not UTF-8",
    }


def test_folders_that_lead_back_are_gone_through_once(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / "sub" / name).symlink_to(folder)
    assert names(source(folder / "**/*.csv")) == ["a.csv", "b.csv", "sub/c.csv", "sub/deep/d.csv"]


def test_files_beside_those_of_a_pattern_are_told(folder: Path) -> None:
    (folder / "UPPER.CSV").write_text("text\ngood\n")
    assert look(source(folder / "*.csv")).passed_over == ("UPPER.CSV", "note.txt")


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadableError, match=r"gone\.csv of source shop"):
        list_files(source(tmp_path / "gone.csv"))


def test_file_version_changes_with_size_and_time(folder: Path) -> None:
    described = source(folder / "a.csv")
    (before,) = list_files(described)
    assert stat_file(described, before.uri) == before
    (folder / "a.csv").write_text("text\nbad\n")
    assert stat_file(described, before.uri).identity != before.identity


def test_unknown_protocol_is_a_mistake_in_the_catalog() -> None:
    with pytest.raises(ConfigurationError, match="source shop"):
        list_files(source("nosuch://bucket/a.csv"))


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, Any]]:
    """Storage options of an S3 server on loopback that holds the bucket called shop."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    ).create_bucket(Bucket="shop")
    yield {"key": "test", "secret": "test", "client_kwargs": {"endpoint_url": endpoint, "region_name": "us-east-1"}}
    server.stop()


@pytest.mark.slow
def test_s3_is_listed_read_and_watched(s3: dict[str, Any], tmp_path: Path) -> None:
    import s3fs

    bucket = s3fs.S3FileSystem(**s3, skip_instance_cache=True)
    bucket.pipe("shop/inbox/a.csv", b"text\ngood\n")
    bucket.pipe("shop/inbox/b.csv", b'text\n"not\ngood"\nx,y\n')
    described = source("s3://shop/inbox/*.csv", storage_options=Options(s3))

    files = list_files(described)
    assert [file.uri for file in files] == ["s3://shop/inbox/a.csv", "s3://shop/inbox/b.csv"]
    report = read_batch(Manifest(source="shop", files=tuple(files)), described, IngestSettings(), tmp_path)
    assert [(file.uri, file.rows_kept, file.rows_rejected) for file in report.files] == [
        ("a.csv", 1, 0),
        ("b.csv", 1, 1),
    ]

    bucket.pipe("shop/inbox/a.csv", b"text\nbest\n")
    bucket.pipe("shop/inbox/c.csv", b"text\ngood\n")
    assert [file.uri[-5:] for file in list_files(described) if file not in files] == ["a.csv", "c.csv"]
    report = read_batch(Manifest(source="shop", files=tuple(files)), described, IngestSettings(), tmp_path)
    assert [file.uri for file in report.files] == ["b.csv"]
    (failure,) = report.failures
    assert failure.uri == "a.csv"
    assert "has changed since its batch was made" in failure.problem


@pytest.mark.slow
@pytest.mark.parametrize("location", ["s3://nosuch/a.csv", "s3://shop/gone.csv"])
def test_s3_that_cannot_be_read_is_named(s3: dict[str, Any], location: str) -> None:
    with pytest.raises(SourceUnreadableError, match=location):
        list_files(source(location, storage_options=Options(s3)))


@pytest.mark.slow
def test_s3_server_that_is_not_there_is_named() -> None:
    options = {
        "client_kwargs": {"endpoint_url": "http://127.0.0.1:9"},
        "config_kwargs": {"retries": {"max_attempts": 0}},
        "anon": True,
    }
    with pytest.raises(SourceUnreadableError, match="s3://shop"):
        list_files(source("s3://shop/*.csv", storage_options=options))


@pytest.mark.slow
def test_option_that_the_file_system_does_not_know_is_named() -> None:
    with pytest.raises(SourceUnreadableError, match=r"s3://shop.*no_such_option"):
        list_files(source("s3://shop/*.csv", storage_options={"no_such_option": 1}))
