"""The datasets of a round on an Argilla server: one, and a second one for the reviews that more people answer.

Argilla has one minimum of answers for a whole dataset, and takes a review out of everybody's queue once it is reached.
A third person would never see a review for calibration if it stood among those that need two answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import BaseModel

from workflows_dagster.lib.annotation.argilla.server import Connection
from workflows_dagster.lib.annotation.desk import FEELING, AnnotationRound, AskedReason, Inquiry, Question
from workflows_dagster.lib.errors import RoundUnknownError

TEXT: Final = "text"
CLAIM: Final = "claim"
LABEL: Final = "label"
REASON: Final = "reason"
MEANING: Final = "meaning"
ROUND: Final = "round"
"""Metadata that records of ours carry, and records that somebody added by hand do not."""

_CALIBRATION: Final = "-calibration"
_READY: Final = "ready"


class DatasetNote(BaseModel):
    """What a dataset of ours says in its metadata, by which a whole round is recognized.

    Attributes:
        round_id: The round.
        rows: Questions of this dataset.
        parts: How many datasets the round has.
        choices: The answers that count.
    """

    round_id: str
    rows: int
    parts: int
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """The questions of a round that need the same number of answers: one dataset.

    Attributes:
        round: The round.
        questions: In the order people see them; at least one.
        parts: How many parts the round has.
    """

    round: AnnotationRound
    questions: Sequence[Question]
    parts: int

    @property
    def needed(self) -> int:
        """Answers that each question needs."""
        return self.round.needed(self.questions[0])

    @property
    def name(self) -> str:
        """The name of the dataset."""
        calibration = self.needed > self.round.minimum_annotators
        return dataset_name(self.round.round_id, self.round.inquiry, calibration=calibration)

    @property
    def note(self) -> dict[str, Any]:
        """The metadata of the dataset."""
        choices = tuple(self.round.inquiry.choices)
        note = DatasetNote(round_id=self.round.round_id, rows=len(self.questions), parts=self.parts, choices=choices)
        return note.model_dump(mode="json")


@dataclass(frozen=True)
class PublishedPart:
    """A part on the server.

    Attributes:
        id: Of the dataset.
        name: Of the dataset.
        rows: Questions that were asked in it.
        needed: Answers that each needs.
        requested_at: When the dataset was created.
        url: Where people work.
        choices: The answers that count.
    """

    id: str
    name: str
    rows: int
    needed: int
    requested_at: datetime
    url: str
    choices: Sequence[str]


def parts_of(annotation_round: AnnotationRound) -> list[Part]:
    """The parts of a round, the one for calibration first; none is empty."""
    groups: dict[bool, list[Question]] = {}
    for question in annotation_round.questions:
        more = annotation_round.needed(question) > annotation_round.minimum_annotators
        groups.setdefault(more, []).append(question)
    return [Part(annotation_round, questions, len(groups)) for _, questions in sorted(groups.items(), reverse=True)]


def dataset_name(round_id: str, inquiry: Inquiry = FEELING, *, calibration: bool) -> str:
    """The name of the dataset of a part."""
    return f"{inquiry.name}-{round_id}{_CALIBRATION if calibration else ''}"


def publish_part(connection: Connection, part: Part) -> Any:
    """The published dataset of a part: created, or completed if an earlier attempt was interrupted."""
    found = _datasets(connection).get(part.name)
    if found is None:
        body = {
            "name": part.name,
            "workspace_id": str(connection.workspace.id),
            "guidelines": part.round.guidelines,
            "allow_extra_metadata": False,
            "distribution": {"strategy": "overlap", "min_submitted": part.needed},
            "metadata": part.note,
        }
        # Not by the client: it cannot set a dataset's metadata, and deletes the dataset where a question fails.
        found = connection.call("POST", "/datasets", body)
    else:
        connection.call(
            "PATCH", f"/datasets/{found['id']}", {"guidelines": part.round.guidelines, "metadata": part.note}
        )
    dataset = connection.ask(lambda: connection.client.datasets(id=found["id"]).get())
    if found["status"] != _READY:
        _add_settings(connection, dataset, part)
        connection.call("PUT", f"/datasets/{found['id']}/publish")
    return connection.ask(dataset.get)


def published_parts(connection: Connection, round_id: str) -> list[PublishedPart]:
    """The parts of a round on the server, the one for calibration first.

    Raises:
        RoundUnknownError: There is none, or not all of them.
    """
    # By the note, not by the name: a name begins with what is asked, which is not known here.
    datasets = [dataset for dataset in _datasets(connection).values() if _round_of(dataset)]
    found = [dataset for dataset in datasets if _round_of(dataset) == round_id and dataset["status"] == _READY]
    found.sort(key=lambda dataset: not dataset["name"].endswith(_CALIBRATION))
    notes = [DatasetNote.model_validate(dataset["metadata"]) for dataset in found]
    if not notes or len(notes) < notes[0].parts:
        held = sorted({str(_round_of(dataset)) for dataset in datasets})
        raise RoundUnknownError(
            f"no whole annotation round of that id in workspace {connection.server.workspace} of "
            f"{connection.server.url}: never requested, not wholly, or deleted since",
            given=round_id,
            expected=f"one of {held}" if held else "a round that was requested",
            remedy="materialize what requested it again (pilot_request, or synthetic_request); "
            "it makes what is missing and leaves answers alone",
        )
    return [
        PublishedPart(
            id=dataset["id"],
            name=dataset["name"],
            rows=note.rows,
            needed=dataset["distribution"]["min_submitted"],
            requested_at=parse_time(dataset["inserted_at"]),
            url=f"{connection.server.url.rstrip('/')}/dataset/{dataset['id']}/annotation-mode",
            choices=note.choices,
        )
        for dataset, note in zip(found, notes, strict=True)
    ]


def parse_time(written: str) -> datetime:
    """A time of the server's, which is UTC with or without a zone."""
    parsed = datetime.fromisoformat(written)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def _datasets(connection: Connection) -> dict[str, Any]:
    """The datasets of the workspace by name, as the server describes them; the client leaves their metadata out."""
    items = connection.call("GET", "/me/datasets", workspace_id=str(connection.workspace.id))["items"]
    return {item["name"]: item for item in items if item["workspace_id"] == str(connection.workspace.id)}


def _round_of(dataset: dict[str, Any]) -> str | None:
    """The round that a dataset says it belongs to; None for one that somebody created by hand."""
    return (dataset["metadata"] or {}).get("round_id")


def _add_settings(connection: Connection, dataset: Any, part: Part) -> None:
    """Adds the settings that an unpublished dataset lacks."""
    for kind, wanted in _settings(connection, part).items():
        held = {item.name for item in getattr(dataset.settings, kind)}
        for item in wanted:
            if item.name not in held:
                item.dataset = dataset
                connection.ask(item.create)


def _settings(connection: Connection, part: Part) -> dict[str, list[Any]]:
    """The client's settings of a part's dataset, by kind."""
    argilla, client, inquiry = connection.argilla, connection.client, part.round.inquiry

    def terms(name: str, title: str, *, visible: bool = True) -> Any:
        return argilla.TermsMetadataProperty(name=name, title=title, visible_for_annotators=visible, client=client)

    fields = [argilla.TextField(name=TEXT, title="Review", use_markdown=False, client=client)]
    if inquiry.claim:
        claim = argilla.TextField(name=CLAIM, title=inquiry.claim, use_markdown=False, required=False, client=client)
        fields.append(claim)
    label = argilla.LabelQuestion(
        name=LABEL,
        title=inquiry.question,
        description=inquiry.hint,
        labels={choice: choice.title() for choice in inquiry.choices},
        visible_labels=len(inquiry.choices),
        required=True,
        client=client,
    )
    reason: dict[AskedReason, list[Any]] = {
        "none": [],
        "comment": [argilla.TextQuestion(name=REASON, title=inquiry.comment, required=False, client=client)],
        "span": [
            argilla.SpanQuestion(
                name=REASON,
                field=TEXT,
                labels={"decisive": "Decisive"},
                title="Which words say so? (optional)",
                required=False,
                client=client,
            )
        ],
    }
    dimensions = max(len(question.vector) for question in part.questions)
    vector = (
        argilla.VectorField(name=MEANING, title="Meaning", dimensions=dimensions, _client=client)
        if dimensions
        else None
    )
    return {
        "fields": fields,
        "questions": [label, *reason[part.round.asked_reason]],
        "metadata": [
            *(terms(name, name.title()) for name in ("source", "language", "batch")),
            argilla.IntegerMetadataProperty(name="stars", title="Stars", min=0, max=10, client=client),
            terms(ROUND, "Round", visible=False),
        ],
        "vectors": [vector] if vector else [],
    }
