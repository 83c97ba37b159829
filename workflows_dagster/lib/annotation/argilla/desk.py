"""The desk on an Argilla server."""

from collections import Counter

from workflows_dagster.lib.annotation.argilla.records import Pulled, pull, push
from workflows_dagster.lib.annotation.argilla.rounds import HeldPart, held_parts, parts_of, prepare
from workflows_dagster.lib.annotation.argilla.server import AnnotationMissingError, ArgillaServer, Connection
from workflows_dagster.lib.annotation.desk import AnnotationRound, Responses, RoundStatus, count_answered
from workflows_dagster.lib.errors import RoundUnknownError
from workflows_dagster.lib.hashing import digest_record


class ArgillaDesk:
    """An `AnnotationDesk` on an Argilla server of version 2.8.

    Records are keyed by review_id and rounds by the name of their dataset: asked again, a round that broke off goes on
    where it stopped, and a whole one stays as it is.

    Args:
        server: Where it is and how it is asked.
    """

    name = "argilla"

    def __init__(self, server: ArgillaServer) -> None:
        self._server = server

    def request(self, annotation_round: AnnotationRound) -> RoundStatus:
        """Makes the datasets of the round and pushes its records; see `AnnotationDesk.request`."""
        with self._server.connect() as connection:
            for part in parts_of(annotation_round):
                push(connection, prepare(connection, part), part)
            return self._status(connection, annotation_round.round_id)

    def status(self, round_id: str) -> RoundStatus:
        """How far people are; see `AnnotationDesk.status`."""
        with self._server.connect() as connection:
            return self._status(connection, round_id)

    def responses(self, round_id: str) -> Responses:
        """What people answered; see `AnnotationDesk.responses`."""
        with self._server.connect() as connection:
            return _pull(connection, held_parts(connection, round_id), round_id).responses()

    def _status(self, connection: Connection, round_id: str) -> RoundStatus:
        parts = held_parts(connection, round_id)
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


def _pull(connection: Connection, parts: list[HeldPart], round_id: str) -> Pulled:
    try:
        return pull(connection, parts)
    except AnnotationMissingError as error:
        raise RoundUnknownError(
            "the annotation round was deleted while it was read",
            given=round_id,
            expected="a round that stays where it is",
            remedy="materialize what requested it again (pilot_annotation_request, or synthetic_review_request)",
        ) from error


def _where(parts: list[HeldPart], pulled: Pulled) -> str:
    """The first part that still needs answers, else the last: people begin with the one for calibration."""
    answers = Counter(review_id for review_id, *_ in pulled.answers)
    for part in parts:
        asked = [review_id for review_id, needed in pulled.needed.items() if needed == part.needed]
        if len(asked) < part.rows or any(answers[review_id] < part.needed for review_id in asked):
            return part.url
    return parts[-1].url
