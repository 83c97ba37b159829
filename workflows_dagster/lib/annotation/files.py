"""The desk without a server: a folder per round with a CSV form that people fill in.

<root>/<round_id>/pilot.csv       the form, named after what is asked; may be filled in here
<root>/<round_id>/pilot-*.csv     or in copies, one for each annotator
<root>/<round_id>/guidelines.md   what to do
<root>/<round_id>/round.json      what was asked; read by the program, not to be edited
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from workflows_dagster.lib.annotation.desk import (
    FEELING,
    REASON,
    RESPONSE,
    AnnotationRound,
    RejectedResponse,
    ResponseReason,
    Responses,
    RoundStatus,
    count_answered,
)
from workflows_dagster.lib.annotation.form import read_form, write_form
from workflows_dagster.lib.errors import RoundUnknownError
from workflows_dagster.lib.hashing import digest_record

_HOW_TO: Final = Path(__file__).with_name("form.md")
UNNAMED: Final = "unnamed"
"""Annotator of a form that names nobody."""

_RECORD: Final = "round.json"


@dataclass(frozen=True)
class _Vote:
    """One valid answer and where it stands."""

    review_id: str
    annotator: str
    label: str
    submitted_at: datetime
    origin: str
    row: int
    reason: str


@dataclass(frozen=True)
class _Record:
    """What round.json says.

    Attributes:
        needed: Answers that each review needs, by its id.
        requested_at: When it was first written.
        form: Name of the form, without its ending.
        choices: The answers that count.
        comment_column: Where free text stands.
    """

    needed: Mapping[str, int]
    requested_at: datetime
    form: str = FEELING.name
    choices: Sequence[str] = FEELING.choices
    comment_column: str = FEELING.comment_column


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
        needed = {question.review_id: annotation_round.needed(question) for question in annotation_round.questions}
        record = {
            "needed_answers": needed,
            "requested_at": self._requested_at(folder).isoformat(),
            "form": inquiry.name,
            "choices": list(inquiry.choices),
            "comment_column": inquiry.comment_column,
        }
        how_to = _HOW_TO.read_text("utf-8").format(form=inquiry.name, choices=", ".join(inquiry.choices))
        guidelines = f"{annotation_round.guidelines.rstrip()}\n\n{how_to}"
        _replace(folder / "guidelines.md", guidelines.encode())
        asks_reason = annotation_round.asked_reason != "none"
        form = write_form(annotation_round.questions, with_reason=asks_reason, inquiry=inquiry)
        _create(folder / f"{inquiry.name}.csv", form)
        # Last: a round whose record is there is whole.
        _replace(folder / _RECORD, (json.dumps(record, indent=2) + "\n").encode())
        return self.status(annotation_round.round_id)

    def status(self, round_id: str) -> RoundStatus:
        """How far people are; see `AnnotationDesk.status`."""
        record = self._record(round_id)
        responses = self.responses(round_id)
        table = responses.table
        counts = table.group_by("annotator").len().sort("annotator")
        answers = [list(row) for row in table.drop("submitted_at").iter_rows()]
        rejects = [[reject.origin, reject.row, reject.reason, reject.given] for reject in responses.rejected]
        return RoundStatus(
            round_id=round_id,
            desk=self.name,
            where=str(self._root / round_id / f"{record.form}.csv"),
            rows=len(record.needed),
            rows_answered=count_answered(table, record.needed),
            answers=table.height,
            rejected=len(responses.rejected),
            annotators=dict(counts.iter_rows()),
            digest=digest_record([answers, rejects]),
            requested_at=record.requested_at,
        )

    def responses(self, round_id: str) -> Responses:
        """The answers of all forms of the round; see `AnnotationDesk.responses`."""
        record = self._record(round_id)
        votes: list[_Vote] = []
        rejected: list[RejectedResponse] = []
        for path in sorted((self._root / round_id).glob(f"{record.form}*.csv")):
            found, refused = _read(path, record)
            votes.extend(found)
            rejected.extend(refused)
        kept, contradictions = _one_each(votes)
        rows = [(vote.review_id, vote.annotator, vote.label, vote.submitted_at) for vote in kept]
        table = pl.DataFrame(rows, schema=RESPONSE, orient="row").sort("review_id", "annotator")
        said = [(vote.review_id, vote.annotator, vote.reason) for vote in kept if vote.reason]
        reasons = pl.DataFrame(said, schema=REASON, orient="row").sort("review_id", "annotator")
        return Responses(table, [*rejected, *contradictions], reasons=reasons)

    def _requested_at(self, folder: Path) -> datetime:
        """When the round was first requested, which is now where it was not."""
        if (folder / _RECORD).exists():
            return self._record(folder.name).requested_at
        return datetime.now(UTC)

    def _record(self, round_id: str) -> _Record:
        path = self._root / round_id / _RECORD
        try:
            record = json.loads(path.read_text("utf-8"))
        except FileNotFoundError as error:
            held = sorted(path.parent.name for path in self._root.glob(f"*/{_RECORD}"))
            raise RoundUnknownError(
                f"no annotation round of that id in {self._root}",
                given=round_id,
                expected=f"one of {held}" if held else "a round that was requested",
                remedy="materialize what requested it again (pilot_annotation_request, or synthetic_review_request); "
                "the answers of other rounds are left alone",
            ) from error
        if "needed_answers" not in record:
            # A round of before reviews could need more answers than others; its record does not say since when.
            minimum: int = record["minimum_annotators"]
            needed = {review_id: minimum for review_id in record["review_ids"]}
            return _Record(needed, datetime.fromtimestamp(path.stat().st_mtime, UTC))
        asked = {name: record[name] for name in ("form", "choices", "comment_column") if name in record}
        return _Record(record["needed_answers"], datetime.fromisoformat(record["requested_at"]), **asked)


def _read(path: Path, record: _Record) -> tuple[list[_Vote], list[RejectedResponse]]:
    """The votes of one form. Rows that name nobody belong to its only annotator, else to the name of the file."""
    asked = frozenset(record.needed)
    answers, rejected = read_form(path.read_bytes(), path.name, asked, record.choices, record.comment_column)
    names = {answer.annotator for answer in answers if answer.annotator}
    owner = names.pop() if len(names) == 1 else path.stem.removeprefix(record.form).strip(" -_()") or UNNAMED
    at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    votes = [
        _Vote(answer.review_id, answer.annotator or owner, answer.label, at, path.name, answer.row, answer.reason)
        for answer in answers
    ]
    return votes, rejected


def _one_each(votes: Sequence[_Vote]) -> tuple[list[_Vote], list[RejectedResponse]]:
    """One vote of each annotator for each review; where somebody gave two labels, neither counts."""
    by_key: dict[tuple[str, str], list[_Vote]] = {}
    for vote in votes:
        by_key.setdefault((vote.review_id, vote.annotator), []).append(vote)
    kept = [group[0] for group in by_key.values() if len({vote.label for vote in group}) == 1]
    return kept, [
        reject
        for group in by_key.values()
        if len({vote.label for vote in group}) > 1
        for reject in _contradictions(group)
    ]


def _contradictions(group: Sequence[_Vote]) -> Iterator[RejectedResponse]:
    labels = sorted({vote.label for vote in group})
    for vote in group:
        yield RejectedResponse(
            vote.origin,
            vote.row,
            vote.review_id,
            vote.annotator,
            ResponseReason.CONTRADICTS_ITSELF,
            vote.label,
            f"one label of {vote.annotator} for this review, not {' and '.join(labels)}",
        )


def _create(path: Path, data: bytes) -> None:
    """Writes a file whole, or leaves the one that is there."""
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    staged.write_bytes(data)
    try:
        # A link, unlike a rename, never overwrites.
        path.hardlink_to(staged)
    except FileExistsError:
        pass
    finally:
        staged.unlink()


def _replace(path: Path, data: bytes) -> None:
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    staged.write_bytes(data)
    staged.replace(path)
