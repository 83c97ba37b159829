"""Watches what people answer in a round, so that no worker waits for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from workflows_dagster.lib.annotation.desk import AnnotationDesk, Deadline, RoundStatus
from workflows_dagster.lib.errors import AnnotationUnavailableError, RoundUnknownError
from workflows_dagster.resources.metadata import link_metadata, report_metadata
from workflows_dagster.resources.store import data_version_tag


@dataclass(frozen=True)
class PeopleAtWork:
    """People whose answers are an external asset: no run makes it.

    Attributes:
        request: The asset that requests a round.
        responses: The asset of their answers.
    """

    request: str
    responses: str

    def look(self, context: dg.SensorEvaluationContext, desk: AnnotationDesk) -> dg.SensorResult | dg.SkipReason:
        """Observes progress on the requested round, and materializes the answers once it closes.

        The cursor holds the round, the digest of the answers and whether it was closed, so that each is reported once.
        A desk that does not answer is asked again at the next tick; a refused key or another version fails the tick.
        """
        asked = self._requested(context.instance)
        if asked is None:
            return dg.SkipReason(f"no round was requested yet: materialize {self.request}")
        round_id, deadline = str(asked["annotation/round_id"]), Deadline.from_metadata(asked)
        try:
            status = desk.status(round_id)
        except (RoundUnknownError, AnnotationUnavailableError) as error:
            context.log.warning("%s", error)
            return dg.SkipReason(str(error))
        closed = deadline.closes(status, datetime.now(UTC))
        cursor = f"{round_id}:{status.digest}:{'closed' if closed else 'open'}"
        if cursor == context.cursor:
            return dg.SkipReason(f"no new answers: {deadline.sentence(status)}")
        if closed and self._is_recorded(context.instance, status):
            return dg.SensorResult(skip_reason=f"recorded before: {deadline.sentence(status)}", cursor=cursor)
        done = "materialized" if closed else "observed"
        # A tick that requests no run shows as skipped, so its reason says what the tick did.
        return dg.SensorResult(
            skip_reason=f"{done}: {deadline.sentence(status)}",
            asset_events=[self._event(status, closed)],
            cursor=cursor,
        )

    def record_closed_round(self, instance: dg.DagsterInstance, desk: AnnotationDesk) -> str:
        """Materializes the answers at once if the round is closed; returns how far people are, as a sentence.

        For the webhook, which hears of an answer before the sensor's next tick. The sensor then sees that it was done.

        Raises:
            RoundUnknownError: The desk does not hold the round that was requested last.
            AnnotationUnavailableError: The desk does not answer.
        """
        asked = self._requested(instance)
        if asked is None:
            return "no round was requested yet"
        status, deadline = desk.status(str(asked["annotation/round_id"])), Deadline.from_metadata(asked)
        if not deadline.closes(status, datetime.now(UTC)):
            return deadline.sentence(status)
        if self._is_recorded(instance, status):
            return f"recorded before: {deadline.sentence(status)}"
        instance.report_runless_asset_event(self._event(status, closed=True))
        return f"materialized: {deadline.sentence(status)}"

    def _is_recorded(self, instance: dg.DagsterInstance, status: RoundStatus) -> bool:
        """Whether the asset was last materialized with these answers of this round."""
        event = instance.get_latest_materialization_event(dg.AssetKey(self.responses))
        found = event.asset_materialization if event else None
        if found is None or "annotation/round_id" not in found.metadata:
            return False
        same_round = found.metadata["annotation/round_id"].value == status.round_id
        return same_round and data_version_tag(status.digest).items() <= (found.tags or {}).items()

    def _event(self, status: RoundStatus, closed: bool) -> dg.AssetObservation | dg.AssetMaterialization:
        metadata = {**report_metadata(status), "annotation/where": link_metadata(status.where)}
        if not closed:
            return dg.AssetObservation(self.responses, metadata=metadata)
        # The tag makes the answers the data version: downstream wakes for changed answers only.
        return dg.AssetMaterialization(self.responses, metadata=metadata, tags=data_version_tag(status.digest))

    def _requested(self, instance: dg.DagsterInstance) -> Mapping[str, Any] | None:
        """Metadata of the last request; None where nobody was asked."""
        event = instance.get_latest_materialization_event(dg.AssetKey(self.request))
        if event is None or event.asset_materialization is None:
            return None
        asked = {name: value.value for name, value in event.asset_materialization.metadata.items()}
        return asked if "annotation/round_id" in asked else None
