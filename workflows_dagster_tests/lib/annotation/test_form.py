"""What people write is read back whatever the spreadsheet did to the form."""

import csv
import io
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.annotation.desk import FEELING, Question, ResponseReason
from workflows_dagster.lib.annotation.form import COLUMNS, read_form, write_form
from workflows_dagster.lib.schema import LABELS

ASKED = frozenset({"shop:1", "shop:2", "shop:3"})


def test_form_opens_safely_and_is_empty() -> None:
    data = write_form([Question("shop:1", '=1+1;"x"\nnext', "positive")])

    assert data.startswith(b"\xef\xbb\xbf")
    assert list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))) == [
        list(COLUMNS),
        ["shop:1", '\'=1+1;"x"\nnext', "positive", "", ""],
    ]


def test_empty_form_has_no_answers() -> None:
    form = write_form([Question(review_id, "text", "neutral") for review_id in sorted(ASKED)])
    assert read_form(form, "pilot.csv", ASKED) == ([], [])


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
    answers, rejected = read_form(f"review_id;label;annotator\n{row}\n".encode(), "pilot.csv", ASKED)

    assert answers == []
    [reject] = rejected
    assert (reject.reason, reject.given, reject.row, reject.review_id) == (reason, given, 1, review_id)
    assert reject.annotator == "ann"


@pytest.mark.parametrize("data", [b"", b"id,answer\n1,positive\n", b"PK\x03\x04\x14\x00\x06\x00"])
def test_file_without_our_columns_is_rejected_whole(data: bytes) -> None:
    answers, rejected = read_form(data, "pilot.csv", ASKED)

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
    written = dict(zip(sorted(ASKED), labels, strict=True))
    texts = ["Täxt; with, separators\tand\n=lines", "- dash", '"quoted"']

    answers, rejected = read_form(_save(sheet, written, texts, lambda x: before + change(x) + after), "f.csv", ASKED)

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
    form = write_form([Question("shop:1", "text", "", claim="neutral")], with_reason=True, inquiry=inquiry)
    assert form.decode("utf-8-sig").splitlines() == [
        '"review_id","text","suggestion","meant_as","label","annotator","correction"',
        '"shop:1","text","","neutral","","",""',
    ]

    filled = b"review_id,label,correction\nshop:1,Keep,better\nshop:1,positive,\n"
    answers, rejected = read_form(filled, "f.csv", frozenset({"shop:1"}), inquiry.choices, inquiry.comment_column)
    assert [(answer.label, answer.reason) for answer in answers] == [("keep", "better")]
    assert [(reject.given, reject.expected) for reject in rejected] == [("positive", "one of keep, reject")]
