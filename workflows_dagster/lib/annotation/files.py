"""The desk without a server: a folder per round with a CSV form that people fill in.

<root>/<round_id>/pilot.csv       the form; may be filled in here
<root>/<round_id>/pilot-*.csv     or in copies, one for each annotator
<root>/<round_id>/guidelines.md   what to do
<root>/<round_id>/round.json      what was asked; read by the program, not to be edited
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from workflows_dagster.lib.annotation.desk import (
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

FORM: Final = "pilot.csv"
UNNAMED: Final = "unnamed"
"""Annotator of a form that names nobody."""

_COPIES: Final = "pilot*.csv"


@dataclass(frozen=True)
class _Vote:
    """One valid answer and where it stands."""

    review_id: str
    annotator: str
    label: str
    submitted_at: datetime
    origin: str
    row: int


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
        asked = [question.review_id for question in annotation_round.questions]
        record = {"minimum_annotators": annotation_round.minimum_annotators, "review_ids": asked}
        _replace(folder / "guidelines.md", annotation_round.guidelines.encode())
        _create(folder / FORM, write_form(annotation_round.questions))
        # Last: a round whose record is there is whole.
        _replace(folder / "round.json", (json.dumps(record, indent=2) + "\n").encode())
        return self.status(annotation_round.round_id)

    def status(self, round_id: str) -> RoundStatus:
        """How far people are; see `AnnotationDesk.status`."""
        asked, minimum = self._record(round_id)
        responses = self.responses(round_id)
        table = responses.table
        counts = table.group_by("annotator").len().sort("annotator")
        answers = [list(row) for row in table.drop("submitted_at").iter_rows()]
        rejects = [[reject.origin, reject.row, reject.reason, reject.given] for reject in responses.rejected]
        return RoundStatus(
            round_id=round_id,
            desk=self.name,
            where=str(self._root / round_id / FORM),
            rows=len(asked),
            rows_answered=count_answered(table, minimum),
            answers=table.height,
            rejected=len(responses.rejected),
            annotators=dict(counts.iter_rows()),
            digest=digest_record([answers, rejects]),
        )

    def responses(self, round_id: str) -> Responses:
        """The answers of all forms of the round; see `AnnotationDesk.responses`."""
        asked, _ = self._record(round_id)
        votes: list[_Vote] = []
        rejected: list[RejectedResponse] = []
        for path in sorted((self._root / round_id).glob(_COPIES)):
            found, refused = _read(path, asked)
            votes.extend(found)
            rejected.extend(refused)
        kept, contradictions = _one_each(votes)
        rows = [(vote.review_id, vote.annotator, vote.label, vote.submitted_at) for vote in kept]
        table = pl.DataFrame(rows, schema=RESPONSE, orient="row").sort("review_id", "annotator")
        return Responses(table, [*rejected, *contradictions])

    def _record(self, round_id: str) -> tuple[frozenset[str], int]:
        """The ids that were asked, and the minimum of annotators."""
        try:
            record = json.loads((self._root / round_id / "round.json").read_text("utf-8"))
        except FileNotFoundError as error:
            held = sorted(path.parent.name for path in self._root.glob("*/round.json"))
            raise RoundUnknownError(
                f"no annotation round of that id in {self._root}",
                given=round_id,
                expected=f"one of {held}" if held else "a round that was requested",
                remedy="materialize pilot_annotation_request again; it leaves the answers of other rounds alone",
            ) from error
        return frozenset(record["review_ids"]), record["minimum_annotators"]


def _read(path: Path, asked: frozenset[str]) -> tuple[list[_Vote], list[RejectedResponse]]:
    """The votes of one form. Rows that name nobody belong to its only annotator, else to the name of the file."""
    answers, rejected = read_form(path.read_bytes(), path.name, asked)
    names = {answer.annotator for answer in answers if answer.annotator}
    owner = names.pop() if len(names) == 1 else path.stem.removeprefix("pilot").strip(" -_()") or UNNAMED
    at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    votes = [
        _Vote(answer.review_id, answer.annotator or owner, answer.label, at, path.name, answer.row)
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
