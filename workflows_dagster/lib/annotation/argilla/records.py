"""Questions as Argilla's records, and its responses as answers."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import polars as pl

from workflows_dagster.lib.annotation.argilla.rounds import (
    CLAIM,
    LABEL,
    MEANING,
    REASON,
    ROUND,
    TEXT,
    HeldPart,
    Part,
    moment,
)
from workflows_dagster.lib.annotation.argilla.server import Connection
from workflows_dagster.lib.annotation.desk import REASON as REASON_SCHEMA
from workflows_dagster.lib.annotation.desk import (
    RESPONSE,
    UNFINISHED,
    Question,
    RejectedResponse,
    ResponseReason,
    Responses,
)
from workflows_dagster.lib.errors import AnnotationError
from workflows_dagster.lib.progress import Progress

PUSHED_ROWS: Final = 200
"""Records of one request: with vectors, about 1.5 MB."""

PULLED_ROWS: Final = 500

_NOT_IN_AGENT: Final = re.compile(r"[^a-zA-Z0-9_:./\s-]")
"""Characters that the server refuses in the name of an agent."""

_AGENT_CHARACTERS: Final = 200


def push(connection: Connection, dataset: Any, part: Part) -> None:
    """Makes or updates the record of each question; responses to it stay.

    Everything is sent anew each time, metadata above all: a record updated without them loses them.
    """
    progress = Progress(f"pushing {part.name}", len(part.questions), "records")
    for start in range(0, len(part.questions), PUSHED_ROWS):
        chunk = part.questions[start : start + PUSHED_ROWS]
        models = [_record(connection, dataset, part, question).api_model() for question in chunk]
        connection.ask(lambda models=models: connection.client.api.records.bulk_upsert(dataset.id, models))
        progress.advance(len(chunk))


def _record(connection: Connection, dataset: Any, part: Part, question: Question) -> Any:
    argilla = connection.argilla
    suggestions = [
        argilla.Suggestion(
            question_name=LABEL,
            value=question.suggestion,
            score=question.suggestion_score,
            agent=_NOT_IN_AGENT.sub(" ", question.suggestion_agent).strip()[:_AGENT_CHARACTERS] or None,
            type="model",
        )
    ]
    record = argilla.Record(
        id=question.review_id,
        fields={TEXT: question.text, CLAIM: question.claim} if part.inquiry.claim else {TEXT: question.text},
        metadata={**question.metadata, ROUND: part.round_id},
        vectors={MEANING: list(question.vector)} if question.vector else {},
        suggestions=suggestions if question.suggestion else [],
    )
    record.dataset = dataset
    return record


@dataclass
class Pulled:
    """What the records of a round hold, gathered part by part.

    Attributes:
        needed: Answers that each review needs, by its id.
        answers: Rows of RESPONSE.
        unfinished: Rows of UNFINISHED.
        reasons: Rows of REASON.
        rejected: Answers that do not count.
    """

    needed: dict[str, int] = field(default_factory=dict[str, int])
    answers: list[tuple[str, str, str, datetime]] = field(default_factory=list[tuple[str, str, str, datetime]])
    unfinished: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    reasons: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    rejected: list[RejectedResponse] = field(default_factory=list[RejectedResponse])

    def add(self, part: HeldPart, record: Mapping[str, Any], users: Mapping[str, str]) -> None:
        """Takes in a record as the server describes it."""
        review_id = record["external_id"] or record["id"]
        ours = (record["metadata"] or {}).get(ROUND) is not None
        if ours:
            self.needed[review_id] = part.needed
        for response in record.get("responses") or []:
            annotator = users.get(response["user_id"], f"user {response['user_id']}")
            if response["status"] != "submitted":
                self.unfinished.append((review_id, annotator, response["status"]))
            elif reject := _reject(part, review_id, annotator, response, ours=ours):
                self.rejected.append(reject)
            else:
                label = response["values"][LABEL]["value"]
                self.answers.append((review_id, annotator, label, moment(response["updated_at"])))
                if reason := _reason(response["values"], record["fields"][TEXT]):
                    self.reasons.append((review_id, annotator, reason))

    def responses(self) -> Responses:
        """The answers as tables, sorted."""
        keys = ["review_id", "annotator"]
        return Responses(
            table=pl.DataFrame(self.answers, schema=RESPONSE, orient="row").sort(keys),
            rejected=sorted(self.rejected, key=lambda reject: (reject.origin, str(reject.annotator))),
            unfinished=pl.DataFrame(self.unfinished, schema=UNFINISHED, orient="row").sort(keys),
            reasons=pl.DataFrame(self.reasons, schema=REASON_SCHEMA, orient="row").sort(keys),
        )


def pull(connection: Connection, parts: Sequence[HeldPart]) -> Pulled:
    """Everything that people answered in some parts.

    Raises:
        AnnotationMissingError: A dataset was deleted meanwhile.
        AnnotationError: The server does not show all of its records.
    """
    users = _users(connection)
    pulled = Pulled()
    for part in parts:
        for record in _records(connection, part):
            pulled.add(part, record, users)
    return pulled


def _records(connection: Connection, part: HeldPart) -> Iterator[dict[str, Any]]:
    """Each record once, as the server describes it.

    The client's own iterator ends without a word where a page fails, and leaves out when people answered.
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


def _users(connection: Connection) -> dict[str, str]:
    """Names of people by id, as far as the key may know them: an owner all, an admin those of the workspace."""
    client = connection.client
    listed = client.users if str(client.me.role) in {"owner", "Role.owner"} else connection.workspace.users
    return {str(user.id): user.username for user in connection.ask(lambda: list(listed))}


def _reject(
    part: HeldPart, review_id: str, annotator: str, response: Mapping[str, Any], *, ours: bool
) -> RejectedResponse | None:
    """Why a submitted response does not count, or None where it does."""
    origin = f"{part.name}/{review_id}"
    given = str(((response["values"] or {}).get(LABEL) or {}).get("value", ""))
    if not ours:
        expected = "a review of this round; this record was added by hand"
        return RejectedResponse(origin, None, review_id, annotator, ResponseReason.UNKNOWN_REVIEW, review_id, expected)
    if given not in part.choices:
        expected = f"one of {', '.join(part.choices)}"
        return RejectedResponse(origin, None, review_id, annotator, ResponseReason.UNKNOWN_LABEL, given, expected)
    return None


def _reason(values: Mapping[str, Any], text: str) -> str:
    """What somebody wrote, or the words of the review that they marked."""
    value = (values.get(REASON) or {}).get("value")
    if isinstance(value, list):
        spans: list[dict[str, Any]] = sorted(value, key=lambda span: span["start"])  # pyright: ignore[reportUnknownArgumentType]
        return " … ".join(text[span["start"] : span["end"]] for span in spans)
    return str(value or "").strip()
