"""What a round is on an Argilla server: one dataset, and a second one for the reviews that more people answer.

Argilla knows one minimum of answers for a whole dataset, and takes a review out of everybody's queue once it is
reached. So a third person would never be shown a review for calibration that stands among those that need two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from workflows_dagster.lib.annotation.argilla.server import Connection
from workflows_dagster.lib.annotation.desk import FEELING, AnnotationRound, AskedReason, Inquiry, Question
from workflows_dagster.lib.errors import RoundUnknownError

TEXT: Final = "text"
CLAIM: Final = "claim"
LABEL: Final = "label"
REASON: Final = "reason"
MEANING: Final = "meaning"
ROUND: Final = "round"
"""Metadata by which a record of ours is told from one that somebody added by hand."""

_CALIBRATION: Final = "-calibration"
_READY: Final = "ready"


@dataclass(frozen=True)
class Part:
    """The questions of a round that need the same number of answers.

    Attributes:
        name: Of the dataset.
        round_id: The round.
        parts: How many parts the round has.
        needed: Answers that each question needs.
        questions: In the order people see them.
        guidelines: What annotators are told.
        asked_reason: Whether people may say why.
        inquiry: What is asked of each.
    """

    name: str
    round_id: str
    parts: int
    needed: int
    questions: Sequence[Question]
    guidelines: str
    asked_reason: AskedReason
    inquiry: Inquiry = FEELING

    @property
    def record(self) -> dict[str, object]:
        """What the dataset says of itself: by it a round is known to be whole."""
        choices = list(self.inquiry.choices)
        return {"round_id": self.round_id, "rows": len(self.questions), "parts": self.parts, "choices": choices}


@dataclass(frozen=True)
class HeldPart:
    """A part as the server holds it.

    Attributes:
        id: Of the dataset.
        name: Of the dataset.
        rows: Questions that were asked in it.
        needed: Answers that each needs.
        requested_at: When the dataset was made.
        url: Where people work.
        choices: The answers that count.
    """

    id: str
    name: str
    rows: int
    needed: int
    requested_at: datetime
    url: str
    choices: Sequence[str] = FEELING.choices


def parts_of(annotation_round: AnnotationRound) -> list[Part]:
    """The parts of a round, the one for calibration first; none is empty."""
    groups: dict[bool, list[Question]] = {}
    for question in annotation_round.questions:
        more = annotation_round.needed(question) > annotation_round.minimum_annotators
        groups.setdefault(more, []).append(question)
    return [
        Part(
            name=dataset_name(annotation_round.round_id, annotation_round.inquiry, calibration=calibration),
            round_id=annotation_round.round_id,
            parts=len(groups),
            needed=annotation_round.needed(questions[0]),
            questions=questions,
            guidelines=annotation_round.guidelines,
            asked_reason=annotation_round.asked_reason,
            inquiry=annotation_round.inquiry,
        )
        for calibration, questions in sorted(groups.items(), reverse=True)
    ]


def dataset_name(round_id: str, inquiry: Inquiry = FEELING, *, calibration: bool) -> str:
    """The name of the dataset of a part."""
    return f"{inquiry.name}-{round_id}{_CALIBRATION if calibration else ''}"


def prepare(connection: Connection, part: Part) -> Any:
    """The published dataset of a part: made, or completed where an earlier attempt was cut off."""
    found = _datasets(connection).get(part.name)
    if found is None:
        body = {
            "name": part.name,
            "workspace_id": str(connection.workspace.id),
            "guidelines": part.guidelines,
            "allow_extra_metadata": False,
            "distribution": {"strategy": "overlap", "min_submitted": part.needed},
            "metadata": part.record,
        }
        # Not by the client, which cannot say what the dataset is for, and which wipes it where a question fails.
        found = connection.call("POST", "/datasets", body)
    else:
        body = {"guidelines": part.guidelines, "metadata": part.record}
        connection.call("PATCH", f"/datasets/{found['id']}", body)
    dataset = connection.ask(lambda: connection.client.datasets(id=found["id"]).get())
    if found["status"] != _READY:
        _complete(connection, dataset, part)
        connection.call("PUT", f"/datasets/{found['id']}/publish")
    return connection.ask(dataset.get)


def held_parts(connection: Connection, round_id: str) -> list[HeldPart]:
    """The parts of a round that the server holds, the one for calibration first.

    Raises:
        RoundUnknownError: There is none, or not all of them.
    """
    # What a dataset says of itself, not its name: that tells also what is asked.
    datasets = [dataset for dataset in _datasets(connection).values() if _round_of(dataset)]
    found = [dataset for dataset in datasets if _round_of(dataset) == round_id and dataset["status"] == _READY]
    found.sort(key=lambda dataset: not dataset["name"].endswith(_CALIBRATION))
    parts = next((dataset["metadata"]["parts"] for dataset in found), 1)
    if len(found) < parts:
        held = sorted({str(_round_of(dataset)) for dataset in datasets})
        raise RoundUnknownError(
            f"no whole annotation round of that id in workspace {connection.server.workspace} of "
            f"{connection.server.url}: never requested, not wholly, or deleted since",
            given=round_id,
            expected=f"one of {held}" if held else "a round that was requested",
            remedy="materialize what requested it again (pilot_annotation_request, or synthetic_review_request); "
            "it makes what is missing and leaves answers alone",
        )
    return [_held(connection, dataset) for dataset in found]


def settings_of(connection: Connection, part: Part) -> dict[str, list[Any]]:
    """The client's settings of a part's dataset, by kind."""
    argilla, client = connection.argilla, connection.client
    dimensions = max(len(question.vector) for question in part.questions)
    fields = [argilla.TextField(name=TEXT, title="Review", use_markdown=False, client=client)]
    if part.inquiry.claim:
        fields.append(
            argilla.TextField(name=CLAIM, title=part.inquiry.claim, use_markdown=False, required=False, client=client)
        )
    return {
        "fields": fields,
        "questions": [_label(argilla, client, part.inquiry), *_reason(argilla, client, part)],
        "metadata": [
            *(_terms(argilla, client, name, name.title()) for name in ("source", "language", "batch")),
            argilla.IntegerMetadataProperty(name="stars", title="Stars", min=0, max=10, client=client),
            _terms(argilla, client, ROUND, "Round", visible=False),
        ],
        "vectors": [argilla.VectorField(name=MEANING, title="Meaning", dimensions=dimensions, _client=client)]
        if dimensions
        else [],
    }


def _complete(connection: Connection, dataset: Any, part: Part) -> None:
    """Adds what an unpublished dataset lacks."""
    for kind, wanted in settings_of(connection, part).items():
        held = {item.name for item in getattr(dataset.settings, kind)}
        for item in wanted:
            if item.name not in held:
                item.dataset = dataset
                connection.ask(item.create)


def _label(argilla: Any, client: Any, inquiry: Inquiry) -> Any:
    return argilla.LabelQuestion(
        name=LABEL,
        title=inquiry.question,
        description=inquiry.hint,
        labels={choice: choice.title() for choice in inquiry.choices},
        visible_labels=len(inquiry.choices),
        required=True,
        client=client,
    )


def _reason(argilla: Any, client: Any, part: Part) -> list[Any]:
    match part.asked_reason:
        case "none":
            return []
        case "comment":
            title = part.inquiry.comment
            return [argilla.TextQuestion(name=REASON, title=title, required=False, client=client)]
        case "span":
            title = "Which words say so? (optional)"
            labels = {"decisive": "Decisive"}
            return [
                argilla.SpanQuestion(name=REASON, field=TEXT, labels=labels, title=title, required=False, client=client)
            ]


def _terms(argilla: Any, client: Any, name: str, title: str, *, visible: bool = True) -> Any:
    return argilla.TermsMetadataProperty(name=name, title=title, visible_for_annotators=visible, client=client)


def _datasets(connection: Connection) -> dict[str, Any]:
    """The datasets of the workspace by name, as the server describes them; the client leaves their metadata out."""
    items = connection.call("GET", "/me/datasets", workspace_id=str(connection.workspace.id))["items"]
    return {item["name"]: item for item in items if item["workspace_id"] == str(connection.workspace.id)}


def _held(connection: Connection, dataset: dict[str, Any]) -> HeldPart:
    return HeldPart(
        id=dataset["id"],
        name=dataset["name"],
        rows=dataset["metadata"]["rows"],
        needed=dataset["distribution"]["min_submitted"],
        requested_at=moment(dataset["inserted_at"]),
        url=f"{connection.server.url.rstrip('/')}/dataset/{dataset['id']}/annotation-mode",
        choices=dataset["metadata"].get("choices", FEELING.choices),
    )


def moment(written: str) -> datetime:
    """A time that the server writes: UTC, said or not."""
    parsed = datetime.fromisoformat(written)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _round_of(dataset: dict[str, Any]) -> str | None:
    """The round that a dataset of the workspace says it belongs to; one that somebody made by hand says nothing."""
    return (dataset["metadata"] or {}).get("round_id")
