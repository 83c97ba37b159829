"""Whole files of every format and compression, and what is done with those that cannot be read."""

import gzip
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from workflows_dagster.checks.ingest import (
    dates_read,
    files_read,
    ids_name_one_text,
    mostly_kept,
    rows_accounted,
    some_kept,
)
from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.hashing import digest_folder
from workflows_dagster.lib.ingest import archives, raw_reviews
from workflows_dagster.lib.ingest.locations import list_files
from workflows_dagster.lib.ingest.manifests import Manifest
from workflows_dagster.lib.ingest.raw_reviews import IngestReport, IngestSettings, read_batch
from workflows_dagster.lib.ingest.rows import BrokenRow, Row
from workflows_dagster.lib.ingest.source import Source
from workflows_dagster.lib.schema import RAW_REVIEW, REJECT
from workflows_dagster_tests.lib.ingest.described import source as shop

ROWS = [("1", "good"), ("2", "not, good"), ("3", "né\u2028e")]
SUFFIX = {"gzip": ".gz", "zstd": ".zst", "none": ""}


def write(path: Path, kind: str, compression: str) -> None:
    match kind:
        case "csv":
            content = ("id,text\n" + "".join(f'{own},"{text}"\n' for own, text in ROWS)).encode()
        case "tsv":
            content = ("id\ttext\n" + "".join(f"{own}\t{text}\n" for own, text in ROWS)).encode()
        case "jsonl":
            content = "".join(json.dumps({"id": own, "text": text}) + "\n" for own, text in ROWS).encode()
        case _:
            sink = pa.BufferOutputStream()
            pq.write_table(pa.table({"id": [own for own, _ in ROWS], "text": [text for _, text in ROWS]}), sink)
            content = sink.getvalue().to_pybytes()
    match compression:
        case "gzip":
            content = gzip.compress(content[:20]) + gzip.compress(content[20:])
        case "zstd":
            frame = zstandard.ZstdCompressor()
            content = frame.compress(content[:20]) + frame.compress(content[20:])
        case _:
            pass
    path.write_bytes(content)


def source(location: Path, **fields: Any) -> Source:
    return shop(location=str(location), **fields)


def ingest(described: Source, folder: Path, limit: int | None = None) -> IngestReport:
    folder.mkdir(exist_ok=True)
    manifest = Manifest(source=described.name, files=tuple(list_files(described)))
    return read_batch(manifest, described, IngestSettings(limit=limit), folder)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_file_is_read_in_every_format_and_compression(tmp_path: Path, kind: str, compression: str) -> None:
    path = tmp_path / f"a.{kind}{SUFFIX[compression]}"
    write(path, kind, compression)
    report = ingest(source(path, format=kind), tmp_path / "out")
    assert (report.rows_in, report.rows_kept) == (3, 3)
    table = pq.read_table(tmp_path / "out" / "reviews.parquet")
    assert table.schema.equals(RAW_REVIEW)
    assert list(zip(table["review_id"].to_pylist(), table["text"].to_pylist(), strict=True)) == [
        (f"shop:{own}", text) for own, text in ROWS
    ]


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("cut", [1, 5])
def test_cut_archive_is_refused_by_name(tmp_path: Path, compression: str, cut: int) -> None:
    path = tmp_path / f"a.csv{SUFFIX[compression]}"
    write(path, "csv", compression)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(SourceUnreadableError, match=r"a\.csv\..* of source shop cannot be read"):
        ingest(source(path), tmp_path / "out")


def test_archive_is_known_by_its_bytes_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write(path, "csv", "gzip")
    assert ingest(source(path), tmp_path / "out").rows_kept == 3


@pytest.mark.parametrize("content", [b"", b"id,text\n1,a\n"])
def test_file_that_is_not_the_archive_it_is_called_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content)
    with pytest.raises(SourceUnreadableError, match="not the archive that its name says"):
        ingest(source(path), tmp_path / "out")


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_empty_file_has_no_rows(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(b"")
    report = ingest(source(path, format=kind), tmp_path / "out")
    assert report.rows_in == 0
    for name, schema in (("reviews", RAW_REVIEW), ("rejects", REJECT)):
        assert pq.read_table(tmp_path / "out" / f"{name}.parquet").schema.equals(schema)
    assert rows_accounted(tmp_path / "out").passed


def test_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write(tmp_path / f"{name}.csv", "csv", "none")
    for folder in ("one", "two"):
        ingest(source(tmp_path / "*.csv"), tmp_path / folder)
    assert digest_folder(tmp_path / "one") == digest_folder(tmp_path / "two")


def test_limit_is_counted_for_each_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.csv", "csv", "none")
    report = ingest(source(tmp_path / "*.csv"), tmp_path / "out", limit=2)
    assert [(file.rows_in, file.rows_kept, file.rows_skipped_by_limit) for file in report.files] == [(3, 2, 1)] * 2
    verdict = rows_accounted(tmp_path / "out")
    assert verdict.passed
    assert verdict.metadata["rows_skipped_by_limit"] == 2


def test_rows_accounted_fails_when_a_row_is_lost(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "csv", "none")
    out = tmp_path / "out"
    ingest(source(tmp_path / "a.csv"), out)
    pl.read_parquet(out / "reviews.parquet").head(2).write_parquet(out / "reviews.parquet")
    verdict = rows_accounted(out)
    assert not verdict.passed
    assert "{'a.csv': (3, 2)}" in verdict.description


def test_mostly_kept_fails_when_the_source_is_described_wrongly(tmp_path: Path) -> None:
    reasons = {"unknown_label": 20}
    IngestReport(source="shop", files=(), rows_in=100, rows_kept=80, rows_rejected=20, reasons=reasons).write(tmp_path)
    verdict = mostly_kept(tmp_path)
    assert not verdict.passed
    assert verdict.metadata["rejected_ratio"] == 0.2


def test_ids_that_start_anew_in_each_file_are_found_and_can_be_told_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"id,text\n1,{name}\n2,same\n")
    ingest(source(tmp_path / "*.csv"), tmp_path / "out")
    assert ids_name_one_text(tmp_path / "out").metadata["ids_with_several_texts"] == 1
    ingest(source(tmp_path / "*.csv", id_scope="file"), tmp_path / "out")
    assert ids_name_one_text(tmp_path / "out").passed


def damaged(path: Path, kind: str) -> Path:
    """A file that cannot be read."""
    match kind:
        case "cut archive":
            path = path.with_name(f"{path.name}.gz")
            path.write_bytes(gzip.compress(b"id,text\n" + b"1,cut in the middle of this\n" * 1_000)[:-20])
        case "wrong columns":
            path.write_text("id,review\n1,good\n")
        case "pointer":
            path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
        case "unknown archive":
            path.write_bytes(b"7z\xbc\xaf\x27\x1c")
        case _:
            path = path.with_name(f"{path.name}.zip")
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("good.csv", "id,text\n9,in the archive\n")
                archive.writestr("bad.csv", "id,review\n1,good\n")
    return path


@pytest.mark.parametrize("kind", ["cut archive", "wrong columns", "pointer", "unknown archive", "member of an archive"])
def test_file_that_cannot_be_read_costs_itself(tmp_path: Path, kind: str) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for name in ("a.csv", "z.csv"):
        write(inbox / name, "csv", "none")
    bad = damaged(inbox / "m.csv", kind)
    report = ingest(source(inbox), tmp_path / "out")
    member = kind == "member of an archive"
    assert [failure.uri for failure in report.failures] == [f"{bad.name}/bad.csv" if member else bad.name]
    assert (report.rows_in, report.rows_kept) == (7, 7) if member else (6, 6)
    files = pl.read_parquet(tmp_path / "out" / "reviews.parquet")["file"].unique(maintain_order=True).to_list()
    assert files == ["a.csv", *([f"{bad.name}/good.csv"] if member else []), "z.csv"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "rejects.parquet",
        "report.json",
        "reviews.parquet",
    ]
    assert rows_accounted(tmp_path / "out").passed
    assert some_kept(tmp_path / "out").passed
    verdict = files_read(tmp_path / "out")
    assert not verdict.passed
    assert bad.name in verdict.description


def test_file_that_changes_while_its_batch_is_read_costs_itself(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write(tmp_path / name, "csv", "none")
    described = source(tmp_path / "*.csv")
    manifest = Manifest(source="shop", files=tuple(list_files(described)))
    (tmp_path / "b.csv").write_text("id,text\n1,changed\n")
    out = tmp_path / "out"
    out.mkdir()
    report = read_batch(manifest, described, IngestSettings(), out)
    assert [failure.uri for failure in report.failures] == ["b.csv"]
    assert report.rows_kept == 3


def test_batch_of_which_no_file_can_be_read_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        damaged(tmp_path / f"{name}.csv", "wrong columns")
    with pytest.raises(SourceUnreadableError, match=r"none of the 2 files .*a\.csv of source shop lacks columns"):
        ingest(source(tmp_path / "*.csv"), tmp_path / "out")


def test_batch_of_which_no_row_is_kept_has_failed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1\n2\n")
    ingest(source(tmp_path / "a.csv"), tmp_path / "out")
    verdict = some_kept(tmp_path / "out")
    assert not verdict.passed
    assert "too_few_fields 2" in verdict.description


def test_dates_that_a_wrong_pattern_cannot_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text,day\n1,good,03/04/2021\n2,bad,04/04/2021\n")
    for written, passed in (("%d/%m/%Y", True), ("%Y-%m-%d", False)):
        columns = {"id": "id", "text": "text", "created_at": "day"}
        ingest(source(tmp_path / "a.csv", columns=columns, created_at_format=written), tmp_path / "out")
        assert dates_read(tmp_path / "out").passed == passed


@pytest.mark.parametrize("chars", [10, 100_000])
def test_rows_are_mapped_in_lists_that_are_bounded_in_characters(
    tmp_path: Path, chars: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_reviews, "CHUNK_CHARS", 1_000_000)
    (tmp_path / "a.csv").write_text("id,text\n" + f"1,{'x' * chars}\n" * 100)
    ingest(source(tmp_path / "a.csv"), tmp_path / "out")
    groups = pq.ParquetFile(tmp_path / "out" / "reviews.parquet").num_row_groups
    assert groups == (1 if chars == 10 else 10)


def test_values_that_one_file_repeats_without_measure_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED_BYTES", 1_000_000)
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), pa.array(["x" * 10_000]))
    pq.write_table(pa.table({"id": ["1"] * 10_000, "text": repeated}), tmp_path / "a.parquet", store_schema=False)
    with pytest.raises(SourceUnreadableError, match=r"unpacks to too much.*raise max_expansion"):
        ingest(source(tmp_path / "a.parquet", format="parquet"), tmp_path / "out")


def test_what_a_scraper_left_around_a_text_is_removed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        'id,text\n1,Review: good\n2,"Review: bad READ MORE "\n3,READ MORE books!\n4,READ MORE\n'
    )
    ingest(source(tmp_path / "a.csv", text_prefix="Review:", text_suffix="READ MORE"), tmp_path / "out")
    assert pl.read_parquet(tmp_path / "out" / "reviews.parquet")["text"].to_list() == [
        "good",
        "bad",
        "READ MORE books!",
    ]
    assert pl.read_parquet(tmp_path / "out" / "rejects.parquet")["reason"].to_list() == ["missing_text"]


class WordsSource(Source):
    """A format that the project does not know: rows are the words of a file."""

    format: Literal["words"]
    upper: bool = False

    def rows(self, content: BinaryIO, file: str) -> Iterator[Row | BrokenRow]:
        for number, word in enumerate(content.read().decode().split(), 1):
            yield Row(number, None, [word.upper() if self.upper else word])


def test_format_is_one_class_that_reads_rows(tmp_path: Path) -> None:
    (tmp_path / "a.words").write_bytes(gzip.compress(b"good bad"))
    fields = {"name": "shop", "location": str(tmp_path / "*.words"), "format": "words", "columns": {"text": "word"}}
    assert ingest(WordsSource.model_validate(fields | {"upper": True}), tmp_path / "out").rows_kept == 2
    assert pl.read_parquet(tmp_path / "out" / "reviews.parquet")["text"].to_list() == ["GOOD", "BAD"]
