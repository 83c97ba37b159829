"""The file desk: asking again wipes nothing, and every form of the folder is read."""

import os
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.annotation.desk import AnnotationRound, Question, ResponseReason, RoundState
from workflows_dagster.lib.annotation.files import UNNAMED, FileDesk
from workflows_dagster.lib.errors import RoundUnknownError

ROUND = AnnotationRound(
    "r1", [Question("a", "=first", "positive"), Question("b", "second", "negative")], "# Guidelines\n", 1
)
HEADER = "review_id,label,annotator\n"


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


def test_status_follows_the_answers(desk: FileDesk, tmp_path: Path) -> None:
    waiting = desk.request(ROUND)
    fill(tmp_path, "pilot.csv", "a,positive,ann", "b,,")
    partial = desk.status("r1")
    fill(tmp_path, "pilot.csv", "a,positive,ann", "b,neutral,")
    complete = desk.status("r1")

    assert [status.state for status in (waiting, partial, complete)] == ["waiting", "partial", "complete"]
    assert len({status.digest for status in (waiting, partial, complete)}) == 3
    assert dict(complete.annotators) == {"ann": 2}


def test_round_is_complete_only_with_the_minimum_of_annotators(desk: FileDesk, tmp_path: Path) -> None:
    desk.request(AnnotationRound("r1", ROUND.questions, "", 2))
    fill(tmp_path, "pilot-ann.csv", "a,positive,", "b,positive,")
    fill(tmp_path, "pilot-bob.csv", "a,negative,")

    status = desk.status("r1")

    assert (status.state, status.rows_answered, dict(status.annotators)) == ("partial", 1, {"ann": 2, "bob": 1})


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


def test_responses_are_empty_before_anybody_answered(desk: FileDesk) -> None:
    desk.request(ROUND)
    responses = desk.responses("r1")
    assert (responses.table.height, list(responses.rejected)) == (0, [])
    assert responses.table.schema["submitted_at"] == pl.Datetime("us", "UTC")
