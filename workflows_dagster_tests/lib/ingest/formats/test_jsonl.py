"""jsonl: one case for each kind of line."""

import io

import pytest

from workflows_dagster.lib.errors import SourceUnreadableError
from workflows_dagster.lib.ingest.rows import BrokenRow, Row
from workflows_dagster.lib.ingest.text import MAX_RECORD_CHARS
from workflows_dagster_tests.lib.ingest.described import source


def read(content: bytes) -> list[Row | BrokenRow]:
    described = source(format="jsonl", columns={"text": "text", "stars": "stars"})
    return list(described.rows(io.BytesIO(content), "a.jsonl"))


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        (b'{"text": "a", "stars": 5}', ["a", "5"]),
        (b'{"text": "a", "stars": 5.0}', ["a", "5"]),
        (b'{"text": "a", "stars": null, "other": [1]}', ["a", None]),
        (b'{"text": "a\\u2028b"}', ["a\u2028b", None]),
        ('{"text": "a\u2028b\u0085c"}'.encode(), ["a\u2028b\u0085c", None]),
        (b'{"text": true, "stars": NaN}', ["true", None]),
        (b'\xef\xbb\xbf{"text": "a"}\r', ["a", None]),
    ],
)
def test_json_line_is_read(line: bytes, cells: list[str | None]) -> None:
    assert read(line + b"\n") == [Row(1, 1, cells)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a"', "broken_json"),
        (b"[" * 100_000, "broken_json"),
        (b'{"text": ' + b"9" * 5_000 + b"}", "broken_json"),
        (b'["a"]', "not_an_object"),
        (b'{"text": ["a"]}', "wrong_type"),
        (b'{"text": "caf\xe9"}', "undecodable"),
        (b'{"text": "\\ud800"}', "undecodable"),
        (b'{"text": "' + b"x" * MAX_RECORD_CHARS + b'"}', "record_too_long"),
    ],
)
def test_json_line_is_rejected_and_reading_goes_on(line: bytes, reason: str) -> None:
    broken, whole = read(line + b'\n\n{"text": "b"}\n')
    assert isinstance(broken, BrokenRow)
    assert (broken.row, broken.line, broken.reason) == (1, 1, reason)
    assert whole == Row(2, 3, ["b", None])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"text": "a"}, {"text": "b"}]', "one array.*set format: json"),
        (b'[\n{"text": "a"},\n{"text": "b"}\n]', "one array.*set format: json"),
        (b'{\n "text": "a"\n}', "several lines.*set format: json"),
        (b"{'text': 'a'}\n{'text': None}\n", "Python dicts.*json.dumps"),
        (b'[{"text": "' + b"x" * 2 * MAX_RECORD_CHARS + b'"}]', "one array"),
    ],
)
def test_file_of_another_layout_is_refused_with_what_to_do(content: bytes, message: str) -> None:
    with pytest.raises(SourceUnreadableError, match=message):
        read(content)


def test_lines_may_end_in_bare_carriage_returns() -> None:
    assert read(b'{"text": "a"}\r{"text": "b"}\r') == [Row(1, 1, ["a", None]), Row(2, 2, ["b", None])]


def test_nested_field_is_found_by_its_path_and_a_flat_one_of_that_name_first() -> None:
    described = source(format="jsonl", columns={"text": "review.text"})
    lines = b'{"review": {"text": "a"}}\n{"review.text": "b", "review": {"text": "c"}}\n{"review": "d"}\n'
    assert [row[2] for row in described.rows(io.BytesIO(lines), "a.jsonl")] == [["a"], ["b"], [None]]
