"""The desk on an Argilla server: questions become Argilla's records, its responses become answers."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import polars as pl

from workflows_dagster.lib.annotation.argilla.datasets import (
    CLAIM,
    LABEL,
    MEANING,
    REASON,
    ROUND,
    TEXT,
    Part,
    PublishedPart,
    parse_time,
    parts_of,
    publish_part,
    published_parts,
)
from workflows_dagster.lib.annotation.argilla.server import AnnotationMissingError, ArgillaServer, Connection
from workflows_dagster.lib.annotation.desk import REASON as REASON_SCHEMA
from workflows_dagster.lib.annotation.desk import (
    RESPONSE,
    UNFINISHED,
    AnnotationRound,
    Question,
    RejectedResponse,
    ResponseReason,
    Responses,
    RoundStatus,
    count_answered,
)
from workflows_dagster.lib.errors import AnnotationError, RoundUnknownError
from workflows_dagster.lib.hashing import digest_record
from workflows_dagster.lib.progress import Progress

PUSHED_ROWS: Final = 200
"""Records of one request: with vectors, about 1.5 MB."""

PULLED_ROWS: Final = 500

_NOT_IN_AGENT: Final = re.compile(r"[^a-zA-Z0-9_:./\s-]")
"""Characters that the server refuses in the name of an agent."""

_AGENT_CHARACTERS: Final = 200


class ArgillaDesk:
    """An `AnnotationDesk` on an Argilla server of version 2.8.

    Records are keyed by review_id and rounds by the note of their datasets: a second request for an interrupted round
    completes it, and one for a whole round changes nothing.

    Args:
        server: Where it is and how it is asked.
    """

    name = "argilla"

    def __init__(self, server: ArgillaServer) -> None:
        self._server = server

    def request(self, annotation_round: AnnotationRound) -> RoundStatus:
        """Creates the datasets of the round and pushes its records; see `AnnotationDesk.request`."""
        with self._server.connect() as connection:
            for part in parts_of(annotation_round):
                _push(connection, publish_part(connection, part), part)
            return self._status(connection, annotation_round.round_id)

    def status(self, round_id: str) -> RoundStatus:
        """How far people are; see `AnnotationDesk.status`."""
        with self._server.connect() as connection:
            return self._status(connection, round_id)

    def responses(self, round_id: str) -> Responses:
        """What people answered; see `AnnotationDesk.responses`."""
        with self._server.connect() as connection:
            return _pull(connection, published_parts(connection, round_id), round_id).responses()

    def _status(self, connection: Connection, round_id: str) -> RoundStatus:
        parts = published_parts(connection, round_id)
        pulled = _pull(connection, parts, round_id)
        responses = pulled.responses()
        answers = [list(row) for row in responses.table.drop("submitted_at").iter_rows()]
        rejects = [[reject.origin, reject.annotator, reject.reason, reject.given] for reject in responses.rejected]
        reasons = [list(row) for row in responses.reasons.iter_rows()]
        asked = sum(part.rows for part in parts)
        return RoundStatus(
            round_id=round_id,
            desk=self.name,
            where=_where(parts, pulled),
            rows=asked,
            rows_answered=count_answered(responses.table, pulled.needed),
            answers=responses.table.height,
            rejected=len(responses.rejected),
            annotators=dict(sorted(Counter(responses.table["annotator"]).items())),
            digest=digest_record([answers, rejects, reasons]),
            missing=asked - len(pulled.needed),
            requested_at=min(part.requested_at for part in parts),
        )


def _push(connection: Connection, dataset: Any, part: Part) -> None:
    """Creates or updates the record of each question; responses to it stay.

    Every field is sent each time: an update without metadata would delete the metadata of a record.
    """
    progress = Progress(f"pushing {part.name}", len(part.questions), "records")
    for start in range(0, len(part.questions), PUSHED_ROWS):
        chunk = part.questions[start : start + PUSHED_ROWS]
        models = [_record(connection, dataset, part, question).api_model() for question in chunk]
        connection.ask(lambda models=models: connection.client.api.records.bulk_upsert(dataset.id, models))
        progress.advance(len(chunk))


def _record(connection: Connection, dataset: Any, part: Part, question: Question) -> Any:
    argilla = connection.argilla
    suggestion = argilla.Suggestion(
        question_name=LABEL,
        value=question.suggestion,
        score=question.suggestion_score,
        agent=_NOT_IN_AGENT.sub(" ", question.suggestion_agent).strip()[:_AGENT_CHARACTERS] or None,
        type="model",
    )
    record = argilla.Record(
        id=question.review_id,
        fields={TEXT: question.text, CLAIM: question.claim} if part.round.inquiry.claim else {TEXT: question.text},
        metadata={**question.metadata, ROUND: part.round.round_id},
        vectors={MEANING: list(question.vector)} if question.vector else {},
        suggestions=[suggestion] if question.suggestion else [],
    )
    record.dataset = dataset
    return record


@dataclass
class _Pulled:
    """The content of a round's records, gathered part by part.

    Attributes:
        needed: Answers that each review needs, by its id.
        answers: Rows of RESPONSE.
        unfinished: Rows of UNFINISHED.
        reasons: Rows of the reasons.
        rejected: Answers that do not count.
    """

    needed: dict[str, int] = field(default_factory=dict[str, int])
    answers: list[tuple[str, str, str, datetime]] = field(default_factory=list[tuple[str, str, str, datetime]])
    unfinished: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    reasons: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    rejected: list[RejectedResponse] = field(default_factory=list[RejectedResponse])

    def add(self, part: PublishedPart, record: Mapping[str, Any], users: Mapping[str, str]) -> None:
        """Adds a record as the server describes it."""
        review_id = record["external_id"] or record["id"]
        ours = (record["metadata"] or {}).get(ROUND) is not None
        if ours:
            self.needed[review_id] = part.needed
        for response in record.get("responses") or []:
            annotator = users.get(response["user_id"], f"user {response['user_id']}")
            if response["status"] != "submitted":
                self.unfinished.append((review_id, annotator, response["status"]))
                continue
            values = response["values"] or {}
            label = str((values.get(LABEL) or {}).get("value", ""))
            if not ours:
                reason, given = ResponseReason.UNKNOWN_REVIEW, review_id
                expected = "a review of this round; this record was added by hand"
            elif label not in part.choices:
                reason, given = ResponseReason.UNKNOWN_LABEL, label
                expected = f"one of {', '.join(part.choices)}"
            else:
                self.answers.append((review_id, annotator, label, parse_time(response["updated_at"])))
                if words := _reason(values, record["fields"][TEXT]):
                    self.reasons.append((review_id, annotator, words))
                continue
            origin = f"{part.name}/{review_id}"
            self.rejected.append(RejectedResponse(origin, None, review_id, annotator, reason, given, expected))

    def responses(self) -> Responses:
        """The answers as tables, sorted."""
        keys = ["review_id", "annotator"]
        return Responses(
            table=pl.DataFrame(self.answers, schema=RESPONSE, orient="row").sort(keys),
            rejected=sorted(self.rejected, key=lambda reject: (reject.origin, str(reject.annotator))),
            unfinished=pl.DataFrame(self.unfinished, schema=UNFINISHED, orient="row").sort(keys),
            reasons=pl.DataFrame(self.reasons, schema=REASON_SCHEMA, orient="row").sort(keys),
        )


def _pull(connection: Connection, parts: Sequence[PublishedPart], round_id: str) -> _Pulled:
    """Everything that people answered in a round.

    Raises:
        RoundUnknownError: A dataset was deleted while it was read.
        AnnotationError: The server does not show all of its records.
    """
    # An owner may know all users, an admin those of the workspace.
    client = connection.client
    listed = client.users if str(client.me.role) in {"owner", "Role.owner"} else connection.workspace.users
    users = {str(user.id): user.username for user in connection.ask(lambda: list(listed))}
    pulled = _Pulled()
    try:
        for part in parts:
            for record in _records(connection, part):
                pulled.add(part, record, users)
    except AnnotationMissingError as error:
        raise RoundUnknownError(
            "the annotation round was deleted while it was read",
            given=round_id,
            expected="a round that stays where it is",
            remedy="materialize what requested it again (pilot_request, or synthetic_request)",
        ) from error
    return pulled


def _records(connection: Connection, part: PublishedPart) -> Iterator[dict[str, Any]]:
    """Each record once, as the server describes it.

    The client's own iterator ends silently where a page fails, and leaves out when people answered.
    """
    seen: set[str] = set()
    offset, total = 0, 1
    while offset < total:
        path = f"/datasets/{part.id}/records"
        page = connection.call("GET", path, include="responses", offset=offset, limit=PULLED_ROWS)
        total = page["total"]
        for record in page["items"]:
            if record["id"] not in seen:
                seen.add(record["id"])
                yield record
        if not page["items"]:
            break
        offset += len(page["items"])
    if len(seen) < total:
        # Pages are ordered by the time of insertion alone, and a record removed meanwhile moves the others up.
        raise AnnotationError(
            f"Argilla does not show all records of {part.name}",
            given=f"{len(seen)} of {total}",
            expected="each record on one page",
            remedy="try again once nobody adds or removes records",
        )


def _reason(values: Mapping[str, Any], text: str) -> str:
    """What somebody wrote, or the words of the review that they marked."""
    value = (values.get(REASON) or {}).get("value")
    if isinstance(value, list):
        spans: list[dict[str, Any]] = sorted(value, key=lambda span: span["start"])  # pyright: ignore[reportUnknownArgumentType]
        return " … ".join(text[span["start"] : span["end"]] for span in spans)
    return str(value or "").strip()


def _where(parts: Sequence[PublishedPart], pulled: _Pulled) -> str:
    """The address of the first part that still needs answers, else of the last: people begin with calibration."""
    answers = Counter(review_id for review_id, *_ in pulled.answers)
    for part in parts:
        asked = [review_id for review_id, needed in pulled.needed.items() if needed == part.needed]
        if len(asked) < part.rows or any(answers[review_id] < part.needed for review_id in asked):
            return part.url
    return parts[-1].url
