"""What a file unpacks to: every compression, each member, and what is refused by name."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest import archives
from workflows_dagster.lib.ingest.archives import parts_of
from workflows_dagster.lib.ingest.locations import reaching, stat_file
from workflows_dagster.lib.ingest.source import Source
from workflows_dagster_tests.lib.ingest.described import source as shop
from workflows_dagster_tests.lib.ingest.workbooks import ods, packed, xlsx

CONTENT = b"id,text\n" + b"".join(b"%d,review number %d\n" % (number, number) for number in range(500))
LONG_WINDOW = {zstd.CompressionParameter.window_log: 30, zstd.CompressionParameter.enable_long_distance_matching: 1}


def streamed(options: dict[Any, int]) -> Callable[[bytes], bytes]:
    """Compresses as a stream does, which does not know how much is to come, and so states its whole window."""

    def compress(content: bytes) -> bytes:
        compressor = zstd.ZstdCompressor(options=options)
        return compressor.compress(content) + compressor.flush()

    return compress


COMPRESSIONS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": (".gz", gzip.compress),
    "bz2": (".bz2", bz2.compress),
    "xz": (".xz", lzma.compress),
    "zstd": (".zst", zstd.compress),
    "zstd with a window of 1 GiB": (".zst", streamed(LONG_WINDOW)),
    "zstd after a frame to skip": (".zst", lambda content: b"\x5e\x2a\x4d\x18\x03\0\0\0abc" + zstd.compress(content)),
}


def unpacked(path: Path, **fields: Any) -> dict[str, bytes]:
    """The content of each part of a file."""
    described = shop(location=str(path), **fields)
    with reaching(described, path.name), parts_of(described, stat_file(described, str(path))) as parts:
        return {part.name: read(described, part) for part in parts}


def read(described: Source, part: archives.Part) -> bytes:
    with reaching(described, part.name), part.open() as content:
        return content.read()


@pytest.mark.parametrize(("suffix", "compress"), COMPRESSIONS.values(), ids=COMPRESSIONS)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_every_compression_is_unpacked(
    tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes], kind: str
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(compress(CONTENT[:1000]) + compress(CONTENT[1000:]))
    assert unpacked(path, format=kind) == {path.name: CONTENT}


@pytest.mark.parametrize(("suffix", "compress"), COMPRESSIONS.values(), ids=COMPRESSIONS)
@pytest.mark.parametrize("cut", [1, 60])
def test_cut_archive_is_refused(tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes], cut: int) -> None:
    path = tmp_path / f"a.csv{suffix}"
    path.write_bytes(compress(CONTENT)[:-cut])
    with pytest.raises(SourceUnreadableError, match=path.name):
        unpacked(path)


@pytest.mark.parametrize(("suffix", "compress"), COMPRESSIONS.values(), ids=COMPRESSIONS)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_file_that_grows_without_measure_is_refused(
    tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED_BYTES", 1_000)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(compress(b"\n" * 2_000_000))
    with pytest.raises(SourceUnreadableError, match="raise max_expansion of the source"):
        unpacked(path, format=kind)
    assert len(unpacked(path, format=kind, max_expansion=100_000)[path.name]) == 2_000_000


def zipped(**members: bytes) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as into:
        for name, content in members.items():
            into.writestr(name.replace("__", "/"), content)
    return archive.getvalue()


def test_each_member_of_a_zip_is_a_part(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    hidden = {"_MACOSX__b.csv": b"x", ".DS_Store": b"x"}
    path.write_bytes(zipped(**{"b.csv": b"b", "sub__a.csv": b"a", "c.csv.gz": gzip.compress(b"c")}, **hidden))
    assert unpacked(path) == {"a.zip/b.csv": b"b", "a.zip/sub/a.csv": b"a", "a.zip/c.csv.gz": b"c"}
    assert unpacked(path, format="parquet")["a.zip/b.csv"] == b"b"


def test_members_share_what_an_archive_may_unpack_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED_BYTES", 1_500_000)
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(a=b"\n" * 1_000_000, b=b"\n" * 1_000_000))
    with pytest.raises(SourceUnreadableError, match=r"a\.zip of source shop unpacks to too much"):
        unpacked(path)


def test_archive_of_countless_members_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 2)
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(a=b"", b=b"", c=b""))
    with pytest.raises(SourceUnreadableError, match="3 members"):
        unpacked(path)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
ENCRYPTED = bytearray(zipped(a=b"text"))
ENCRYPTED[6] |= 1
ENCRYPTED[ENCRYPTED.find(b"PK\x01\x02") + 8] |= 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", POINTER, "a Git LFS pointer.*git lfs pull"),
        ("a.csv.gz", POINTER, "a Git LFS pointer"),
        ("a.csv", b"PAR1\0\0", "a Parquet file.*set format: parquet"),
        ("a.csv", xlsx({"one": []}), "a workbook.*set format: xlsx"),
        ("a.csv", ods([]), "a workbook.*set format: ods"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1", "an old or encrypted Office document"),
        ("a.csv", b"SQLite format 3\0", "an SQLite database.*as csv"),
        ("a.csv", b"%PDF-1.4", "a PDF document"),
        ("a.csv", b"\n<!DOCTYPE html><html>", "a web page"),
        ("a.csv", "id,text\n".encode("utf-16"), "text in UTF-16.*set encoding: utf-16"),
        ("a.csv", b"a.csv" + b"\0" * 252 + b"ustar", "a tar archive"),
        ("a.csv.gz", gzip.compress(b"a.csv" + b"\0" * 252 + b"ustar"), "a tar archive"),
        ("a.csv", b"\x80\x04\x95", "a Python pickle"),
        ("a.zip", bytes(ENCRYPTED), "encrypted.*with its password"),
        ("a.zip", zipped(**{"b.zip": zipped(a=b"")}), "an archive inside an archive"),
        ("a.zip", zipped(a=b"text")[:-10], "cannot be read"),
        ("a.zip", b"text", "not the archive that its name says"),
    ],
)  # fmt: skip
def test_content_of_another_kind_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceUnreadableError, match=message):
        unpacked(tmp_path / name)


def test_content_is_known_in_the_format_that_it_has(tmp_path: Path) -> None:
    for name, content in (("a.xlsx", xlsx({"one": []})), ("a.ods", ods([])), ("a.parquet", b"PAR1")):
        (tmp_path / name).write_bytes(content)
        assert unpacked(tmp_path / name, format=name[2:]) == {name: content}
    (tmp_path / "a.zip").write_bytes(packed({}))
    assert unpacked(tmp_path / "a.zip") == {}
