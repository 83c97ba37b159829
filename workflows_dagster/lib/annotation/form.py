"""The CSV form that a person fills in: how it is written, and how it is read back after a spreadsheet had it."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from workflows_dagster.lib.annotation.desk import FEELING, Inquiry, Question, RejectedResponse, ResponseReason
from workflows_dagster.lib.annotation.shield import shield, unshield

COLUMNS: Final = ("review_id", "text", "suggestion", "label", "annotator")
_NEEDED: Final = ("review_id", "label")
_DELIMITERS: Final = ",;\t|"
# What Excel and LibreOffice write; the last one decodes any bytes, and what we read back is ASCII.
_ENCODINGS: Final = ("utf-8-sig", "cp1252", "latin-1")
# Whole lines only: a header whose first name is empty begins with its delimiter, which may be a tab.
_BLANK_LINES: Final = re.compile(r"\A\ufeff?(?:[ \t]*[\r\n]+)*")
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Answer:
    """One valid answer of a form, as it was read.

    Attributes:
        review_id: The review that was answered.
        label: One of the choices.
        annotator: The name in the row, or an empty string.
        row: 1-based data row.
        reason: Why they answered so, or what else was asked for in free text; or an empty string.
    """

    review_id: str
    label: str
    annotator: str
    row: int
    reason: str = ""


def write_form(questions: Sequence[Question], *, with_reason: bool = False, inquiry: Inquiry = FEELING) -> bytes:
    """The form with empty labels: UTF-8 with byte order mark, CRLF, every cell quoted, formulas made harmless.

    Args:
        questions: In the order of the rows.
        with_reason: Whether there is a column in which people may say why.
        inquiry: What is asked.
    """
    columns = [*COLUMNS]
    if inquiry.claim:
        columns.insert(columns.index("label"), _name(inquiry.claim))
    if with_reason:
        columns.append(inquiry.comment_column)
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, columns, restval="", quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writeheader()
    for question in questions:
        row = {"review_id": shield(question.review_id), "text": shield(question.text)}
        claimed = {_name(inquiry.claim): question.claim} if inquiry.claim else {}
        writer.writerow({**row, "suggestion": question.suggestion, **claimed})
    return buffer.getvalue().encode("utf-8-sig")


def read_form(
    data: bytes,
    origin: str,
    asked: frozenset[str],
    choices: Sequence[str] = FEELING.choices,
    comment_column: str = FEELING.comment_column,
) -> tuple[list[Answer], list[RejectedResponse]]:
    """The answers of a filled-in form, and those that do not count.

    Any delimiter, line end, byte order mark, column order, extra column, letter case and blank around a cell is
    accepted. Rows without a label are not answered yet: neither an answer nor a reject.

    Args:
        data: The file.
        origin: Its name, for the rejects.
        asked: The ids that the round asks about.
        choices: The answers that count.
        comment_column: Where free text stands.
    """
    try:
        rows = list(_rows(_decode(data)))
    except csv.Error as error:
        return [], [_whole(origin, ResponseReason.UNREADABLE_FILE, str(error), "a CSV file")]
    header = [_name(cell) for cell in rows[0]] if rows else []
    if any(column not in header for column in _NEEDED):
        expected = f"columns {', '.join(_NEEDED)} in the first row"
        return [], [_whole(origin, ResponseReason.MISSING_COLUMNS, ", ".join(header) or "an empty file", expected)]
    answers: list[Answer] = []
    rejected: list[RejectedResponse] = []
    for number, cells in enumerate(rows[1:], start=1):
        record = dict(zip(header, cells, strict=False))
        match _answer(record, number, origin, asked, choices):
            case Answer() as answer:
                answers.append(replace(answer, reason=record.get(comment_column, "").strip()))
            case RejectedResponse() as reject:
                rejected.append(reject)
            case None:
                pass
    return answers, rejected


def _answer(
    record: dict[str, str], number: int, origin: str, asked: frozenset[str], choices: Sequence[str]
) -> Answer | RejectedResponse | None:
    given = record.get("label", "")
    label = given.strip().casefold()
    if not label:
        return None
    review_id = unshield(record.get("review_id", "").strip())
    annotator = record.get("annotator", "").strip()
    who = annotator or None
    if review_id not in asked:
        return RejectedResponse(
            origin, number, review_id or None, who, ResponseReason.UNKNOWN_REVIEW, review_id, "an id of this round"
        )
    if label not in choices:
        expected = f"one of {', '.join(choices)}"
        return RejectedResponse(origin, number, review_id, who, ResponseReason.UNKNOWN_LABEL, given, expected)
    return Answer(review_id, label, annotator, number)


def _whole(origin: str, reason: ResponseReason, given: str, expected: str) -> RejectedResponse:
    return RejectedResponse(origin, None, None, None, reason, given, expected)


def _decode(data: bytes) -> str:
    if data.startswith(_UTF16_MARKS):
        return data.decode("utf-16", "replace")
    for encoding in _ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError("latin-1 decodes every byte")


def _rows(text: str) -> Iterator[list[str]]:
    """Rows that hold anything; a leading `sep=;` line, as Excel writes it, is obeyed."""
    body = _BLANK_LINES.sub("", text).lstrip("\ufeff ")
    delimiter = ""
    if body[:4].casefold() == "sep=":
        line, _, body = body.partition("\n")
        delimiter = line[4:5]
    delimiter = delimiter or _delimiter(body)
    for row in csv.reader(io.StringIO(body, newline=""), delimiter=delimiter):
        if any(cell.strip() for cell in row):
            yield row


def _delimiter(text: str) -> str:
    """The delimiter under which the first row names the most of our columns."""

    def named(delimiter: str) -> int:
        header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        return len({_name(cell) for cell in header} & set(COLUMNS))

    return max(_DELIMITERS, key=named)


def _name(cell: str) -> str:
    return cell.strip().strip("\ufeff").casefold().replace(" ", "_")
