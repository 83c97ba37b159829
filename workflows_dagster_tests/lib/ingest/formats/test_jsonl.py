"""jsonl: one case for each kind of line."""

import io

import pytest

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
