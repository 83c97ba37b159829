"""The desk without a server: a folder per round with a CSV form that people fill in, in any spreadsheet.

<root>/<round_id>/pilot.csv       the form, named after what is asked; may be filled in here
<root>/<round_id>/pilot-*.csv     or in copies, one for each annotator
<root>/<round_id>/guidelines.md   what to do
<root>/<round_id>/round.json      what was asked; read by the program, not to be edited
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Final

import polars as pl

from workflows_dagster.lib.annotation.desk import (
    REASON,
    RESPONSE,
    AnnotationRound,
    Inquiry,
    Question,
    RejectedResponse,
    ResponseReason,
    Responses,
    RoundStatus,
    count_answered,
)
from workflows_dagster.lib.errors import RoundUnknownError
from workflows_dagster.lib.hashing import digest_record
from workflows_dagster.lib.record import Record

UNNAMED: Final = "unnamed"
"""Annotator of a form that names nobody."""

COLUMNS: Final = ("review_id", "text", "suggestion", "label", "annotator")
_REQUIRED: Final = ("review_id", "label")
_HOW_TO: Final = Path(__file__).with_name("form.md")
_DELIMITERS: Final = ",;\t|"
# What Excel and LibreOffice write; the last one decodes any bytes, and what we read back is ASCII.
_ENCODINGS: Final = ("utf-8-sig", "cp1252", "latin-1")
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
# Whole lines only: a header whose first name is empty begins with its delimiter, which may be a tab.
_BLANK_LINES: Final = re.compile(r"\A\ufeff?(?:[ \t]*[\r\n]+)*")

_FORMULA_START: Final = re.compile(r"^(?=['=+\-@|%\uff1d\uff0b\uff0d\uff20\t\r\n])")
# A reader set to semicolons or tabs begins a cell in the middle of ours. Smileys such as ";-)" stay as they are.
_FORMULA_INSIDE: Final = re.compile(r"(?<=[;\t\r\n])(?=['=+@\uff1d\uff0b\uff20]|-\w)")
_FORMULA_MARK: Final = re.compile(r"(?:^|(?<=[;\t\r\n]))'")


class AskedRound(Record):
    """What a round asked, beside its form.

    Attributes:
        needed_answers: Answers that each review needs, by its id.
        requested_at: When the round was first requested.
        form: Name of the form, without its ending.
        choices: The answers that count.
        comment_column: Column of the free text.
    """

    FILE: ClassVar[str] = "round.json"

    needed_answers: dict[str, int]
    requested_at: datetime
    form: str
    choices: tuple[str, ...]
    comment_column: str


class FileDesk:
    """An `AnnotationDesk` in a local or shared folder.

    Args:
        root: Folder of all rounds; made when the first one is requested.
    """

    name = "files"

    def __init__(self, root: Path) -> None:
        self._root = root

    def request(self, annotation_round: AnnotationRound) -> RoundStatus:
        """Writes the form, the guidelines and the record of the round; an existing form is left as it is."""
        folder = self._root / annotation_round.round_id
        folder.mkdir(parents=True, exist_ok=True)
        inquiry = annotation_round.inquiry
        known = (folder / AskedRound.FILE).exists()
        asked = AskedRound(
            needed_answers={
                question.review_id: annotation_round.needed(question) for question in annotation_round.questions
            },
            requested_at=AskedRound.read(folder).requested_at if known else datetime.now(UTC),
            form=inquiry.name,
            choices=tuple(inquiry.choices),
            comment_column=inquiry.comment_column,
        )
        how_to = _HOW_TO.read_text("utf-8").format(form=inquiry.name, choices=", ".join(inquiry.choices))
        with_reason = annotation_round.asked_reason != "none"
        with TemporaryDirectory(dir=folder, prefix=".") as scratch:
            staged = Path(scratch)
            (staged / "guidelines.md").write_text(f"{annotation_round.guidelines.rstrip()}\n\n{how_to}", "utf-8")
            (staged / "form").write_bytes(write_form(annotation_round.questions, inquiry, with_reason=with_reason))
            asked.write(staged)
            (staged / "guidelines.md").replace(folder / "guidelines.md")
            _link_unless_there(staged / "form", folder / f"{inquiry.name}.csv")
            # Last: a round whose record is there is whole.
            (staged / AskedRound.FILE).replace(folder / AskedRound.FILE)
        return self.status(annotation_round.round_id)

    def status(self, round_id: str) -> RoundStatus:
        """How far people are; see `AnnotationDesk.status`."""
        asked = self._asked(round_id)
        responses = self.responses(round_id)
        table = responses.table
        answers = [list(row) for row in table.drop("submitted_at").iter_rows()]
        rejects = [[reject.origin, reject.row, reject.reason, reject.given] for reject in responses.rejected]
        return RoundStatus(
            round_id=round_id,
            desk=self.name,
            where=str(self._root / round_id / f"{asked.form}.csv"),
            rows=len(asked.needed_answers),
            rows_answered=count_answered(table, asked.needed_answers),
            answers=table.height,
            rejected=len(responses.rejected),
            annotators=dict(table.group_by("annotator").len().sort("annotator").iter_rows()),
            digest=digest_record([answers, rejects]),
            requested_at=asked.requested_at,
        )

    def responses(self, round_id: str) -> Responses:
        """The answers of all forms of the round; see `AnnotationDesk.responses`."""
        asked = self._asked(round_id)
        answers: list[Answer] = []
        rejected: list[RejectedResponse] = []
        for path in sorted((self._root / round_id).glob(f"{asked.form}*.csv")):
            saved_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            read, refused = read_form(path.read_bytes(), path.name, saved_at, asked)
            answers.extend(read)
            rejected.extend(refused)
        kept, contradictions = _one_each(answers)
        rows = [(answer.review_id, answer.annotator, answer.label, answer.submitted_at) for answer in kept]
        table = pl.DataFrame(rows, schema=RESPONSE, orient="row").sort("review_id", "annotator")
        given = [(answer.review_id, answer.annotator, answer.reason) for answer in kept if answer.reason]
        reasons = pl.DataFrame(given, schema=REASON, orient="row").sort("review_id", "annotator")
        return Responses(table, [*rejected, *contradictions], reasons=reasons)

    def _asked(self, round_id: str) -> AskedRound:
        folder = self._root / round_id
        if not (folder / AskedRound.FILE).exists():
            held = sorted(path.parent.name for path in self._root.glob(f"*/{AskedRound.FILE}"))
            raise RoundUnknownError(
                f"no annotation round of that id in {self._root}",
                given=round_id,
                expected=f"one of {held}" if held else "a round that was requested",
                remedy="materialize what requested it again (pilot_request, or synthetic_request); "
                "the answers of other rounds are left alone",
            )
        return AskedRound.read(folder)


def _link_unless_there(source: Path, target: Path) -> None:
    """Gives a file its name, unless another has it: a link, unlike a rename, never overwrites."""
    try:
        target.hardlink_to(source)
    except FileExistsError:
        return


def write_form(questions: Sequence[Question], inquiry: Inquiry, *, with_reason: bool = False) -> bytes:
    """The form with empty labels: UTF-8 with byte order mark, CRLF, every cell quoted, formulas escaped.

    Args:
        questions: In the order of the rows.
        inquiry: What is asked.
        with_reason: Whether there is a column in which people may say why.
    """
    columns = [*COLUMNS]
    if inquiry.claim:
        columns.insert(columns.index("label"), _column_name(inquiry.claim))
    if with_reason:
        columns.append(inquiry.comment_column)
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, columns, restval="", quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writeheader()
    for question in questions:
        row = {
            "review_id": escape_formulas(question.review_id),
            "text": escape_formulas(question.text),
            "suggestion": question.suggestion,
        }
        writer.writerow(row | ({_column_name(inquiry.claim): question.claim} if inquiry.claim else {}))
    return buffer.getvalue().encode("utf-8-sig")


@dataclass(frozen=True)
class Answer:
    """One valid answer, as a form holds it.

    Attributes:
        review_id: The review that was answered.
        annotator: Who answered.
        label: One of the choices.
        submitted_at: When the form was saved.
        origin: Name of the form.
        row: 1-based data row in it.
        reason: The free text that goes with it, or an empty string.
    """

    review_id: str
    annotator: str
    label: str
    submitted_at: datetime
    origin: str
    row: int
    reason: str


def read_form(
    data: bytes, origin: str, saved_at: datetime, asked: AskedRound
) -> tuple[list[Answer], list[RejectedResponse]]:
    """The answers of a filled-in form, and those that do not count.

    Any delimiter, line end, byte order mark, column order, extra column, letter case and blank around a cell is
    accepted. Rows without a label are not answered yet: neither an answer nor a reject. Rows that name nobody belong to
    the only annotator of the form, else to the name of the file.

    Args:
        data: The form.
        origin: Its file name.
        saved_at: When it was saved.
        asked: What the round asked.
    """
    try:
        rows = list(_rows(_decode(data)))
    except csv.Error as error:
        return [], [_whole_form(origin, ResponseReason.UNREADABLE_FILE, str(error), "a CSV file")]
    header = [_column_name(cell) for cell in rows[0]] if rows else []
    if any(column not in header for column in _REQUIRED):
        found = ", ".join(header) or "an empty file"
        expected = f"columns {', '.join(_REQUIRED)} in the first row"
        return [], [_whole_form(origin, ResponseReason.MISSING_COLUMNS, found, expected)]
    answers: list[Answer] = []
    rejected: list[RejectedResponse] = []
    for number, cells in enumerate(rows[1:], start=1):
        record = dict(zip(header, cells, strict=False))
        given = record.get("label", "")
        label = given.strip().casefold()
        if not label:
            continue
        review_id = unescape_formulas(record.get("review_id", "").strip())
        annotator = record.get("annotator", "").strip()
        if review_id not in asked.needed_answers:
            reason, shown, expected = ResponseReason.UNKNOWN_REVIEW, review_id, "an id of this round"
        elif label not in asked.choices:
            reason, shown, expected = ResponseReason.UNKNOWN_LABEL, given, f"one of {', '.join(asked.choices)}"
        else:
            comment = record.get(asked.comment_column, "").strip()
            answers.append(Answer(review_id, annotator, label, saved_at, origin, number, comment))
            continue
        rejected.append(RejectedResponse(origin, number, review_id or None, annotator or None, reason, shown, expected))
    names = {answer.annotator for answer in answers if answer.annotator}
    of_file = Path(origin).stem.removeprefix(asked.form).strip(" -_()") or UNNAMED
    owner = names.pop() if len(names) == 1 else of_file
    return [replace(answer, annotator=answer.annotator or owner) for answer in answers], rejected


def _one_each(answers: Sequence[Answer]) -> tuple[list[Answer], list[RejectedResponse]]:
    """One answer of each annotator to each review; where somebody gave two labels, neither counts."""
    by_key: dict[tuple[str, str], list[Answer]] = {}
    for answer in answers:
        by_key.setdefault((answer.review_id, answer.annotator), []).append(answer)
    kept: list[Answer] = []
    rejected: list[RejectedResponse] = []
    for group in by_key.values():
        labels = sorted({answer.label for answer in group})
        if len(labels) == 1:
            kept.append(group[0])
            continue
        rejected += [
            RejectedResponse(
                answer.origin,
                answer.row,
                answer.review_id,
                answer.annotator,
                ResponseReason.CONTRADICTS_ITSELF,
                answer.label,
                f"one label of {answer.annotator} for this review, not {' and '.join(labels)}",
            )
            for answer in group
        ]
    return kept, rejected


def _whole_form(origin: str, reason: ResponseReason, given: str, expected: str) -> RejectedResponse:
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
    """Rows with content; a leading `sep=;` line, as Excel writes it, is obeyed."""
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

    def known_columns(delimiter: str) -> int:
        header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        return len({_column_name(cell) for cell in header} & set(COLUMNS))

    return max(_DELIMITERS, key=known_columns)


def _column_name(cell: str) -> str:
    return cell.strip().strip("\ufeff").casefold().replace(" ", "_")


def escape_formulas(text: str) -> str:
    """The text, with an apostrophe before each place where a spreadsheet could see the start of a formula.

    Source: OWASP, "CSV Injection". `unescape_formulas` gives back exactly the text.
    """
    return _FORMULA_START.sub("'", _FORMULA_INSIDE.sub("'", text))


def unescape_formulas(text: str) -> str:
    """The text as it was before `escape_formulas`."""
    return _FORMULA_MARK.sub("", text)
