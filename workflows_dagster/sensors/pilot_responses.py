"""Watches what annotators answer, so that no worker waits for people."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from workflows_dagster.lib.annotation.closing import Closing
from workflows_dagster.lib.annotation.desk import AnnotationDesk, RoundStatus
from workflows_dagster.lib.errors import AnnotationUnavailableError, RoundUnknownError
from workflows_dagster.resources.annotation import AnnotationResource
from workflows_dagster.resources.metadata import link_metadata, report_metadata

_REQUEST = dg.AssetKey("pilot_annotation_request")
_RESPONSES = dg.AssetKey("pilot_responses")
_DATA_VERSION = "dagster/data_version"


@dg.sensor(
    name="pilot_responses_sensor",
    minimum_interval_seconds=30,
    description="Observes how far annotators are, and materializes pilot_responses when the round is complete, or "
    "enough of it once its deadline has passed.",
)
def pilot_responses_sensor(
    context: dg.SensorEvaluationContext, annotation_desk: AnnotationResource
) -> dg.SensorResult | dg.SkipReason:
    """Observes progress on the requested round, and materializes pilot_responses once it closes.

    The cursor names the round, what was answered and whether it was closed: each is reported once. A desk that does not
    answer is asked again at the next tick; a refused key or another version fails the tick.
    """
    request = _request(context.instance)
    if request is None:
        return dg.SkipReason("no round was requested yet: materialize pilot_annotation_request")
    round_id, closing = str(request["annotation/round_id"]), _closing(request)
    try:
        status = annotation_desk.desk().status(round_id)
    except (RoundUnknownError, AnnotationUnavailableError) as error:
        context.log.warning("%s", error)
        return dg.SkipReason(str(error))
    closed = closing.closes(status, datetime.now(UTC))
    cursor = f"{round_id}:{status.digest}:{'closed' if closed else 'open'}"
    if cursor == context.cursor:
        return dg.SkipReason(f"no new answers: {closing.sentence(status)}")
    if closed and _is_recorded(context.instance, status):
        return dg.SensorResult(skip_reason=f"recorded before: {closing.sentence(status)}", cursor=cursor)
    done = "materialized" if closed else "observed"
    # A tick that requests no run shows as skipped, so its reason says what the tick did.
    return dg.SensorResult(
        skip_reason=f"{done}: {closing.sentence(status)}", asset_events=[_event(status, closed)], cursor=cursor
    )


def record_closed_round(instance: dg.DagsterInstance, desk: AnnotationDesk) -> str:
    """Materializes pilot_responses at once if the round is closed, and says how far people are.

    For whoever learns sooner than the sensor's next tick that somebody answered; the sensor sees that it was done.

    Raises:
        RoundUnknownError: The desk does not hold the round that was requested last.
        AnnotationUnavailableError: The desk does not answer.
    """
    request = _request(instance)
    if request is None:
        return "no round was requested yet"
    status, closing = desk.status(str(request["annotation/round_id"])), _closing(request)
    if not closing.closes(status, datetime.now(UTC)):
        return closing.sentence(status)
    if _is_recorded(instance, status):
        return f"recorded before: {closing.sentence(status)}"
    instance.report_runless_asset_event(_event(status, closed=True))
    return f"materialized: {closing.sentence(status)}"


def _is_recorded(instance: dg.DagsterInstance, status: RoundStatus) -> bool:
    """Whether pilot_responses was last materialized with these answers of this round."""
    event = instance.get_latest_materialization_event(_RESPONSES)
    found = event.asset_materialization if event else None
    if found is None or "annotation/round_id" not in found.metadata:
        return False
    same_round = found.metadata["annotation/round_id"].value == status.round_id
    return same_round and (found.tags or {}).get(_DATA_VERSION) == status.digest


def _event(status: RoundStatus, closed: bool) -> dg.AssetObservation | dg.AssetMaterialization:
    metadata = {**report_metadata(status), "annotation/where": link_metadata(status.where)}
    if not closed:
        return dg.AssetObservation(_RESPONSES, metadata=metadata)
    # The tag makes the answers the data version: downstream wakes for changed answers only.
    return dg.AssetMaterialization(_RESPONSES, metadata=metadata, tags={_DATA_VERSION: status.digest})


def _closing(request: dict[str, Any]) -> Closing:
    """The terms of a round; a request of before there were deadlines has none."""
    days, ratio = request.get("annotation/deadline_days"), request.get("annotation/deadline_minimum_ratio", 1.0)
    return Closing(None if days is None else float(days), float(ratio))


def _request(instance: dg.DagsterInstance) -> dict[str, Any] | None:
    """Metadata of the last request."""
    event = instance.get_latest_materialization_event(_REQUEST)
    if event is None or event.asset_materialization is None:
        return None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}
