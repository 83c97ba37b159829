"""Whole files of every format and compression, and what is done with those that cannot be read."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from workflows_dagster.checks.ingest import ids_name_one_text, mostly_kept, rows_accounted
from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.hashing import digest_folder
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
