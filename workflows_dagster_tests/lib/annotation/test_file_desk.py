"""The desk of files: every form of a round is read, whatever a spreadsheet did to it, and nothing is overwritten."""

import csv
import io
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.annotation.desk import FEELING, AnnotationRound, Question, ResponseReason, RoundState
from workflows_dagster.lib.annotation.file_desk import (
    COLUMNS,
    UNNAMED,
    AskedRound,
    FileDesk,
    escape_formulas,
    read_form,
    unescape_formulas,
    write_form,
)
from workflows_dagster.lib.errors import RoundUnknownError
from workflows_dagster.lib.schema import LABELS
from workflows_dagster_tests.lib.annotation.desk_contract import Answers, DeskContract

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
IDS: tuple[str, ...] = ("shop:1", "shop:2", "shop:3")
ASKED = AskedRound(
    needed_answers=dict.fromkeys(IDS, 1), requested_at=NOW, form="pilot", choices=LABELS, comment_column="reason"
)
ROUND = AnnotationRound(
    "r1", [Question("a", "=first", "positive"), Question("b", "second", "negative")], "# Guidelines\n", 1
)
HEADER = "review_id,label,annotator\n"


class FileBench:
    """People who each fill in a copy of the form."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.desk = FileDesk(root)

    def answer(self, round_id: str, answers: Answers, reason: str = "") -> None:
        for annotator in sorted({annotator for annotator, *_ in answers}):
            own = {review: label for who, review, label in answers if who == annotator}
            [form] = (form for form in (self.root / round_id).glob("*.csv") if "-" not in form.name)
            with form.open(encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file))
            with form.with_name(f"{form.stem}-{annotator}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, rows[0].keys())
                writer.writeheader()
                for row in rows:
                    label = own.get(row["review_id"], "")
                    free_text = list(rows[0])[-1]
                    writer.writerow({**row, "label": label, free_text: reason if label else ""})

    def add_strange_review(self, round_id: str) -> None:
        form = self.root / round_id / "pilot-annotator_1.csv"
        form.write_text("review_id,label\nstrange,positive\n", "utf-8")


@pytest.fixture
def bench(tmp_path: Path) -> FileBench:
    return FileBench(tmp_path)


class TestFileDesk(DeskContract):
    """The desk of files does what every desk does."""


@pytest.fixture
def desk(tmp_path: Path) -> FileDesk:
    return FileDesk(tmp_path)


def fill(tmp_path: Path, name: str, *rows: str) -> Path:
    path = tmp_path / "r1" / name
    path.write_text(HEADER + "\n".join(rows) + "\n", "utf-8")
    return path


def test_request_writes_form_and_waits(desk: FileDesk, tmp_path: Path) -> None:
    status = desk.request(ROUND)

    assert (status.state, status.rows, status.answers) == (RoundState.WAITING, 2, 0)
    assert status.where == str(tmp_path / "r1" / "pilot.csv")
    assert sorted(path.name for path in (tmp_path / "r1").iterdir()) == ["guidelines.md", "pilot.csv", "round.json"]


@given(content=st.binary(max_size=200))
def test_request_again_leaves_every_form_as_it_is(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    root = tmp_path_factory.mktemp("desk")
    desk = FileDesk(root)
    desk.request(ROUND)
    for name in ("pilot.csv", "pilot-ann.csv"):
        (root / "r1" / name).write_bytes(content)

    before = desk.status("r1")

    assert desk.request(ROUND) == before
    assert [(root / "r1" / name).read_bytes() for name in ("pilot.csv", "pilot-ann.csv")] == [content, content]


def test_digest_ignores_a_file_that_was_only_saved_again(desk: FileDesk, tmp_path: Path) -> None:
    desk.request(ROUND)
    path = fill(tmp_path, "pilot.csv", "a,positive,ann")
    before = desk.status("r1").digest
    os.utime(path, (1, 1))

    assert desk.status("r1").digest == before


@pytest.mark.parametrize(
    ("name", "row", "annotator"),
    [
        ("pilot.csv", "a,positive,", UNNAMED),
        ("pilot-ann.csv", "a,positive,", "ann"),
        ("pilot (1).csv", "a,positive,", "1"),
        ("pilot-ann.csv", "a,positive,Bob", "Bob"),
    ],
)
def test_annotator_is_the_one_named(desk: FileDesk, tmp_path: Path, name: str, row: str, annotator: str) -> None:
    desk.request(ROUND)
    fill(tmp_path, name, row)

    assert desk.responses("r1").table["annotator"].to_list() == [annotator]


def test_same_answer_in_two_forms_counts_once(desk: FileDesk, tmp_path: Path) -> None:
    desk.request(ROUND)
    fill(tmp_path, "pilot.csv", "a,positive,ann")
    fill(tmp_path, "pilot-copy.csv", "a,positive,ann")

    assert desk.responses("r1").table.height == 1


def test_two_labels_of_one_annotator_count_for_neither(desk: FileDesk, tmp_path: Path) -> None:
    desk.request(ROUND)
    fill(tmp_path, "pilot.csv", "a,positive,ann", "b,neutral,ann")
    fill(tmp_path, "pilot-copy.csv", "a,negative,ann")

    responses = desk.responses("r1")

    assert responses.table["review_id"].to_list() == ["b"]
    assert [(reject.origin, reject.row, reject.reason, reject.given) for reject in responses.rejected] == [
        ("pilot-copy.csv", 1, ResponseReason.CONTRADICTS_ITSELF, "negative"),
        ("pilot.csv", 1, ResponseReason.CONTRADICTS_ITSELF, "positive"),
    ]


def test_unknown_round_names_those_that_are_held(desk: FileDesk) -> None:
    desk.request(ROUND)
    with pytest.raises(RoundUnknownError, match=r"'r2'.*\['r1'\]"):
        desk.status("r2")


def test_form_opens_safely_and_is_empty() -> None:
    data = write_form([Question("shop:1", '=1+1;"x"\nnext', "positive")], FEELING)

    assert data.startswith(b"\xef\xbb\xbf")
    assert list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))) == [
        list(COLUMNS),
        ["shop:1", '\'=1+1;"x"\nnext', "positive", "", ""],
    ]


def test_empty_form_has_no_answers() -> None:
    form = write_form([Question(review_id, "text", "neutral") for review_id in IDS], FEELING)
    assert read_form(form, "pilot.csv", NOW, ASKED) == ([], [])


@pytest.mark.parametrize(
    ("row", "reason", "given", "review_id"),
    [
        ("shop:1;mixed;ann", ResponseReason.UNKNOWN_LABEL, "mixed", "shop:1"),
        ("shop:9;positive;ann", ResponseReason.UNKNOWN_REVIEW, "shop:9", "shop:9"),
        (";positive;ann", ResponseReason.UNKNOWN_REVIEW, "", None),
    ],
)
def test_answer_is_rejected_with_what_was_given(
    row: str, reason: ResponseReason, given: str, review_id: str | None
) -> None:
    answers, rejected = read_form(f"review_id;label;annotator\n{row}\n".encode(), "pilot.csv", NOW, ASKED)

    assert answers == []
    [reject] = rejected
    assert (reject.reason, reject.given, reject.row, reject.review_id) == (reason, given, 1, review_id)
    assert reject.annotator == "ann"


@pytest.mark.parametrize("data", [b"", b"id,answer\n1,positive\n", b"PK\x03\x04\x14\x00\x06\x00"])
def test_file_without_our_columns_is_rejected_whole(data: bytes) -> None:
    answers, rejected = read_form(data, "pilot.csv", NOW, ASKED)

    assert answers == []
    assert [(reject.reason, reject.row) for reject in rejected] == [(ResponseReason.MISSING_COLUMNS, None)]


@dataclass(frozen=True)
class Spreadsheet:
    """One way of saving a CSV."""

    delimiter: str
    line_end: str
    encoding: str
    quoting: int
    columns: tuple[str, ...]
    announce: bool


SPREADSHEETS = st.builds(
    Spreadsheet,
    delimiter=st.sampled_from(",;\t"),
    line_end=st.sampled_from(["\r\n", "\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    columns=st.permutations([*COLUMNS, "notes", ""]).map(tuple),
    announce=st.booleans(),
)
BLANKS = st.text(" \t\u00a0", max_size=2)


@given(
    sheet=SPREADSHEETS,
    labels=st.lists(st.sampled_from(["", *LABELS]), min_size=3, max_size=3),
    change=st.sampled_from([str.upper, str.title, str.lower]),
    blanks=st.tuples(BLANKS, BLANKS),
)
def test_labels_survive_any_spreadsheet(sheet: Spreadsheet, labels: list[str], change: object, blanks: object) -> None:
    assert callable(change)
    assert isinstance(blanks, tuple)
    before, after = blanks
    written = dict(zip(IDS, labels, strict=True))
    texts = ["Täxt; with, separators\tand\n=lines", "- dash", '"quoted"']

    answers, rejected = read_form(
        _save(sheet, written, texts, lambda x: before + change(x) + after), "f.csv", NOW, ASKED
    )

    assert rejected == []
    assert {answer.review_id: answer.label for answer in answers} == {i: x for i, x in written.items() if x}


def _save(sheet: Spreadsheet, labels: dict[str, str], texts: list[str], change: object) -> bytes:
    assert callable(change)
    buffer = io.StringIO(newline="")
    if sheet.announce:
        buffer.write(f"sep={sheet.delimiter}{sheet.line_end}")
    writer = csv.writer(buffer, delimiter=sheet.delimiter, lineterminator=sheet.line_end, quoting=sheet.quoting)  # pyright: ignore[reportArgumentType]
    writer.writerow([change(column) for column in sheet.columns])
    for text, (review_id, label) in zip(texts, labels.items(), strict=True):
        cells = {"review_id": f"{review_id} ", "text": text, "label": change(label), "annotator": "Änn", "notes": "x"}
        writer.writerow([cells.get(column, "") for column in sheet.columns])
    return buffer.getvalue().encode(sheet.encoding)


def test_form_of_another_inquiry_has_its_columns_and_takes_its_choices_alone() -> None:
    inquiry = replace(FEELING, choices=("keep", "reject"), claim="Meant as", comment_column="correction")
    form = write_form([Question("shop:1", "text", "", claim="neutral")], inquiry, with_reason=True)
    assert form.decode("utf-8-sig").splitlines() == [
        '"review_id","text","suggestion","meant_as","label","annotator","correction"',
        '"shop:1","text","","neutral","","",""',
    ]

    filled = b"review_id,label,correction\nshop:1,Keep,better\nshop:1,positive,\n"
    asked = ASKED.model_copy(update={"choices": inquiry.choices, "comment_column": inquiry.comment_column})
    answers, rejected = read_form(filled, "f.csv", NOW, asked)
    assert [(answer.label, answer.reason) for answer in answers] == [("keep", "better")]
    assert [(reject.given, reject.expected) for reject in rejected] == [("positive", "one of keep, reject")]


SPREADSHEET_TEXT = st.text(st.one_of(st.sampled_from("=+-@'|%;\t\r\n \"a)1"), st.characters(codec="utf-8")))


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("good", "good"),
        ('=HYPERLINK("http://x")', '\'=HYPERLINK("http://x")'),
        ("- too small", "'- too small"),
        ("@shop", "'@shop"),
        ("+1 would buy", "'+1 would buy"),
        ("'tis fine", "''tis fine"),
        ("fine;=cmd()", "fine;'=cmd()"),
        ("fine\n=cmd()", "fine\n'=cmd()"),
        ("fine ;-) really", "fine ;-) really"),
        ("\uff1dcmd()", "'\uff1dcmd()"),
    ],
)
def test_escape_marks_starts_of_formulas(text: str, escaped: str) -> None:
    assert escape_formulas(text) == escaped


@given(SPREADSHEET_TEXT)
def test_unescape_gives_back_the_text(text: str) -> None:
    assert unescape_formulas(escape_formulas(text)) == text


@given(SPREADSHEET_TEXT)
def test_escaped_text_never_starts_like_a_formula(text: str) -> None:
    assert not escape_formulas(text).startswith(("=", "+", "-", "@", "\t", "\r"))
