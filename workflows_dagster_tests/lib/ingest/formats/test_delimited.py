"""csv and tsv: one case for each way a real export is broken."""

import io
from typing import Any

import pytest

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.rows import BrokenRow, Row
from workflows_dagster.lib.ingest.text import MAX_RECORD_CHARS, Lines
from workflows_dagster_tests.lib.ingest.described import source


def read(content: bytes, **fields: Any) -> list[Row | BrokenRow]:
    return list(source(**fields).rows(io.BytesIO(content), "a.csv"))


def outline(rows: list[Row | BrokenRow]) -> list[tuple[int, int | None, str | None]]:
    """Row, line, and the text of the row or the reason against it."""
    return [(row.row, row.line, row.reason if isinstance(row, BrokenRow) else row.cells[0]) for row in rows]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"", [], id="empty file"),
        pytest.param(b"id,text\n", [], id="header alone"),
        pytest.param(b"\xef\xbb\xbf", [], id="byte order mark alone"),
        pytest.param(b"\xef\xbb\xbfid,text\n1,a\n", [(1, 2, "a")], id="byte order mark"),
        pytest.param(b'\xef\xbb\xbf"id","text"\n1,a\n', [(1, 2, "a")], id="byte order mark before a quote"),
        pytest.param(b"id,text\r\n1,a\r\n2,b", [(1, 2, "a"), (2, 3, "b")], id="CRLF, no end of line at the end"),
        pytest.param(b"id,text\r1,a\r2,b\r", [(1, 2, "a"), (2, 3, "b")], id="CR"),
        pytest.param(b'id,text\n1,"a\nb\r\nc"\n2,d\n', [(1, 2, "a\nb\r\nc"), (2, 5, "d")], id="line ends in a cell"),
        pytest.param(b"\n\nid,text\n\n1,a\n\n", [(1, 5, "a")], id="blank lines"),
        pytest.param(
            "id,text\n1,a\u0085b\u2028c\x0cd\n2,e\n".encode(),
            [(1, 2, "a\u0085b\u2028c\x0cd"), (2, 3, "e")],
            id="what str.splitlines would split",
        ),
        pytest.param(b'id,text\n1,"say ""hi"""\n', [(1, 2, 'say "hi"')], id="quote in a cell"),
        pytest.param(b'id,text\n1,5" tall\n', [(1, 2, '5" tall')], id="quote in the middle of a bare cell"),
        pytest.param(b"id,text\n1\n2,b\n", [(1, 2, "too_few_fields"), (2, 3, "b")], id="too few"),
        pytest.param(b"id,text\n1,a,x\n2,b\n", [(1, 2, "too_many_fields"), (2, 3, "b")], id="too many"),
        pytest.param(b"id,text\n1,a\0\n2,b\n", [(1, 2, "nul_byte"), (2, 3, "b")], id="NUL"),
        pytest.param(b"id,text\n1,caf\xe9\n2,b\n", [(1, 2, "undecodable"), (2, 3, "b")], id="not UTF-8"),
        pytest.param(
            b'id,text\n1,"never closed\n2,b\n3,c\n',
            [(1, 2, "bad_quoting"), (2, 3, "b"), (3, 4, "c")],
            id="a quote that never closes",
        ),
        pytest.param(
            b'id,text\n1,"never closed\n2,"b"\n3,c\n',
            [(1, 2, "bad_quoting"), (2, 3, "b"), (3, 4, "c")],
            id="a quote that only the next row's would close",
        ),
        pytest.param(b'id,text\n1,"a" b\n2,c\n', [(1, 2, "bad_quoting"), (2, 3, "c")], id="text after a quote"),
    ],
)
def test_csv_row_is_read_or_rejected(content: bytes, expected: list[tuple[int, int, str]]) -> None:
    assert outline(read(content)) == expected


def test_quote_that_never_closes_costs_one_row_of_a_long_file() -> None:
    filler = b"".join(b"%d,%s\n" % (number, b"x" * 100) for number in range(5_000))
    rows = read(b'id,text\n0,"open\n' + filler)
    assert outline(rows)[:2] == [(1, 2, "bad_quoting"), (2, 3, "x" * 100)]
    assert len(rows) == 5_001
    assert [row.line for row in rows] == list(range(2, 5_003))


def test_line_beyond_the_limit_is_one_reject() -> None:
    rows = read(b"id,text\n1," + b"x" * (3 * MAX_RECORD_CHARS) + b"\n2,b\n")
    assert outline(rows) == [(1, 2, "record_too_long"), (2, 3, "b")]


def test_line_beyond_the_limit_is_skipped_inside_an_open_quote() -> None:
    rows = read(b'id,text\n1,"open\n2,' + b"x" * (2 * MAX_RECORD_CHARS) + b"\n3,c\n")
    assert outline(rows) == [(1, 2, "bad_quoting"), (2, 3, "record_too_long"), (3, 4, "c")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b'text\tid\n"It is a\t1\nb"\t0\n', [(1, 2, '"It is a'), (2, 3, 'b"')], id="quotes as text"),
        pytest.param(b'text\tid\n"Great"\t1\nfine\t2\n', [(1, 2, '"Great"'), (2, 3, "fine")], id="a text in quotes"),
        pytest.param(b'text\tid\n"a ""b"""\t1\n"c\nd"\t2\n', [(1, 2, 'a "b"'), (2, 3, "c\nd")], id="quoted fields"),
        pytest.param(b'"text"\t"id"\n"a"\t"1"\n"b"\t"2"\n', [(1, 2, "a"), (2, 3, "b")], id="all fields quoted"),
        pytest.param(
            b"text\tid\n" + b"plain\t3\n" * 1_000 + b'"bad at first\nbut great"\t5\nfine\t6\n',
            [*((row, row + 1, "plain") for row in range(1, 1_001)),
             (1_001, 1_002, "too_few_fields"), (1_002, 1_003, "bad_quoting"), (1_003, 1_004, "fine")],
            id="quoted fields that come late: never half of one",
        ),
    ],
)  # fmt: skip
def test_tsv_shows_whether_quotes_enclose_fields(content: bytes, expected: list[tuple[int, int, str]]) -> None:
    assert outline(read(content, format="tsv")) == expected


@pytest.mark.parametrize("first", [b"sep=;\n", b'"sep=;"\r\n', b"\xef\xbb\xbfSEP=;\r"])
def test_first_line_may_name_the_delimiter(first: bytes) -> None:
    assert outline(read(first + b"id;text\n1;a,b\n")) == [(1, 3, "a,b")]


def test_lines_before_the_header_are_skipped() -> None:
    assert outline(read(b'My "shop\n\nid,text\n1,a\n', skip_lines=2)) == [(1, 4, "a")]
    assert read(b"My shop\n", skip_lines=2) == []


@pytest.mark.parametrize("line", ['x","z\n', '1,"x\n', '","\n', 'a,"\n', '"\n', '""",\n'])
def test_each_line_is_read_a_bounded_number_of_times(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines whose quotes never enclose a field once took time by the square of their number."""
    reads = 0
    once = Lines.__next__

    def count(lines: Lines) -> str:
        nonlocal reads
        reads += 1
        return once(lines)

    monkeypatch.setattr(Lines, "__next__", count)
    count_of_lines = 60_000
    rows = read(b"id,text\n" + line.encode() * count_of_lines)
    assert 0 < len(rows) <= count_of_lines
    assert reads <= 4 * count_of_lines


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252", "latin-1"])
def test_encoding_is_the_sources(encoding: str) -> None:
    rows = read("id,text\n1,café\n".encode(encoding), encoding=encoding)
    assert outline(rows) == [(1, 2, "café")]


def test_byte_order_mark_is_dropped_in_every_encoding() -> None:
    assert outline(read("\ufeffid,text\n1,a\n".encode("utf-16-be"), encoding="utf-16-be")) == [(1, 2, "a")]


def test_quote_may_be_escaped() -> None:
    rows = read(b'id,text\n1,"say \\"hi\\", \\\\"\n2,b\n', escape="\\")
    assert outline(rows) == [(1, 2, 'say "hi", \\'), (2, 3, "b")]


def test_backslash_that_escapes_nothing_stays() -> None:
    rows = read(b'id,text\n1,"C:\\new\\table \\\\ \\"ok\\""\n2,\\_(x)_/ 50\\50\n', escape="\\")
    assert outline(rows) == [(1, 2, 'C:\\new\\table \\ "ok"'), (2, 3, "\\_(x)_/ 50\\50")]


def test_undecodable_bytes_are_replaced_when_asked() -> None:
    assert outline(read(b"id,text\n1,caf\xe9\n", undecodable="replace")) == [(1, 2, "caf\ufffd")]


def test_missing_column_names_what_was_given_and_expected() -> None:
    with pytest.raises(SourceUnreadableError, match=r"a\.csv of source shop .*\['id', 'review'\].*'text'"):
        read(b"id,review\n1,a\n")


def test_column_twice_is_refused() -> None:
    with pytest.raises(SourceUnreadableError, match="more than once"):
        read(b"id,text,text\n1,a,b\n")


def test_broken_header_is_refused() -> None:
    with pytest.raises(SourceUnreadableError, match=r"header of a\.csv"):
        read(b'id,"text\n1,a\n')


def test_unnamed_column_can_be_mapped() -> None:
    rows = read(b",text\n7,a\n", columns={"id": "", "text": "text"})
    assert rows == [Row(1, 2, ("a", "7"))]


def test_error_on_a_missing_column_holds_no_whole_row_of_data() -> None:
    with pytest.raises(SourceUnreadableError, match="lacks columns") as refused:
        read(b"7," + b"x" * 100_000 + b"\n")
    assert len(str(refused.value)) < 1_000
