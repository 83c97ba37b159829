"""Round trips of any table, and accounting of any bytes."""

import csv
import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows_dagster.checks.ingest import rows_accounted
from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.locations import list_files
from workflows_dagster.lib.ingest.manifests import Manifest
from workflows_dagster.lib.ingest.raw_reviews import IngestSettings, read_batch
from workflows_dagster.lib.ingest.rows import Row
from workflows_dagster.lib.ingest.source import Source
from workflows_dagster_tests.lib.ingest.described import source as shop

STORABLE = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
ONE_LINE = st.characters(exclude_categories=["Cs"], exclude_characters="\0\t\r\n")
# Weighted towards what breaks csv readers.
MESSY = st.text(st.one_of(st.sampled_from("\",\n\r\t\u0085\u2028\ufeff\\' "), STORABLE))


def tables(cell: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    return st.lists(st.lists(cell, min_size=3, max_size=3), max_size=20)


def source(**fields: Any) -> Source:
    return shop(columns={"text": "b", "id": "a", "title": "c"}, **fields)


def cells_of(content: bytes, described: Source) -> list[list[str | None]]:
    """The cells of all rows, in the order a, b, c."""
    read = list(described.rows(io.BytesIO(content), "a"))
    assert [row.row for row in read] == list(range(1, len(read) + 1))
    return [[row.cells[1], row.cells[0], row.cells[2]] for row in read if isinstance(row, Row)]


# Before Python 3.13 csv.writer leaves a bare line end unquoted when it is no part of the terminator.
DIALECTS = [(csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\n"), (csv.QUOTE_ALL, "\r\n"), (csv.QUOTE_ALL, "\r")]


@given(tables(MESSY), st.sampled_from(DIALECTS), st.sampled_from([",", ";", "\t", "|"]))
def test_what_csv_writes_is_read_back(table: list[list[str]], dialect: tuple[Any, str], delimiter: str) -> None:
    quoting, terminator = dialect
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator=terminator, delimiter=delimiter, quoting=quoting)
    writer.writerows([["a", "b", "c"], *table])
    content = written.getvalue().encode("utf-8-sig")
    assert cells_of(content, source(format="csv", delimiter=delimiter)) == table


@given(tables(st.text(st.one_of(st.sampled_from('"\u0085\u2028,'), ONE_LINE))), st.sampled_from(["\n", "\r\n"]))
def test_tsv_without_quoting_is_read_back(table: list[list[str]], terminator: str) -> None:
    content = "".join("\t".join(row) + terminator for row in [["a", "b", "c"], *table]).encode("utf-8-sig")
    assert cells_of(content, source(format="tsv")) == table


@given(tables(MESSY), st.booleans())
def test_jsonl_is_read_back(table: list[list[str]], ascii_only: bool) -> None:
    lines = [json.dumps(dict(zip("abc", row, strict=True)), ensure_ascii=ascii_only) + "\n" for row in table]
    assert cells_of("".join(lines).encode(), source(format="jsonl")) == table


GARBAGE = st.one_of(
    st.binary(max_size=400),
    st.lists(
        st.sampled_from([b'"', b",", b"\n", b"\r", b"\t", b"a", b"b,c", b"\0", b"\xff", b'{"b": "t"}', b"\xe2\x80\xa8"])
    ).map(b"".join),
)


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
@settings(max_examples=60)
@given(garbage=GARBAGE, header=st.booleans(), archive=st.sampled_from(["", ".gz", "cut"]))
def test_any_bytes_are_accounted_for_or_refused(kind: str, garbage: bytes, header: bool, archive: str) -> None:
    content = (b"a,b,c\n" if kind == "csv" else b"a\tb\tc\n" if kind == "tsv" else b"") * header + garbage
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{kind}{archive and '.gz'}"
        path.write_bytes(gzip.compress(content)[: -3 if archive == "cut" else None] if archive else content)
        described = source(location=str(path), format=kind)
        out = Path(folder) / "out"
        out.mkdir()
        try:
            report = read_batch(
                Manifest(source="shop", files=tuple(list_files(described))), described, IngestSettings(), out
            )
        except SourceUnreadableError:
            return
        assert report.rows_in == report.rows_kept + report.rows_rejected
        assert rows_accounted(out).passed
        assert pl.read_parquet(out / "rejects.parquet").height == sum(report.reasons.values())


def newlines(content: bytes) -> int:
    return content.count(b"\n")


@given(st.lists(st.sampled_from([b'"', b",", b"a", b"\n", b'""', b'",\n'])).map(b"".join))
def test_no_line_of_a_csv_disappears(garbage: bytes) -> None:
    """Each physical line is the start of a row, inside a row that says so, or blank."""
    described = source(format="csv", header=False, names=["a", "b", "c"])
    rows = list(described.rows(io.BytesIO(garbage), "a"))
    lines = [row.line for row in rows if row.line is not None]
    assert lines == sorted(set(lines))
    assert all(1 <= line <= newlines(garbage) + 1 for line in lines)
    starts = garbage.split(b"\n")
    assert len(rows) <= sum(bool(line) for line in starts)
    assert bool(rows) == any(starts)
