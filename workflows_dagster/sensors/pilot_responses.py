"""Watches what annotators answer, so that no worker waits for people."""

import dagster as dg

from workflows_dagster.lib.annotation.desk import RoundState, RoundStatus
from workflows_dagster.lib.errors import RoundUnknownError
from workflows_dagster.resources.annotation import AnnotationResource
from workflows_dagster.resources.metadata import report_metadata

_REQUEST = dg.AssetKey("pilot_annotation_request")
_RESPONSES = dg.AssetKey("pilot_responses")


@dg.sensor(
    name="pilot_responses_sensor",
    minimum_interval_seconds=30,
    description="Observes how far annotators are, and materializes pilot_responses when the round is complete.",
)
def pilot_responses_sensor(
    context: dg.SensorEvaluationContext, annotation_desk: AnnotationResource
) -> dg.SensorResult | dg.SkipReason:
    """Observes progress on the requested round, and materializes pilot_responses when it is complete."""
    round_id = _requested_round(context.instance)
    if round_id is None:
        return dg.SkipReason("no round was requested yet: materialize pilot_annotation_request")
    try:
        status = annotation_desk.desk().status(round_id)
    except RoundUnknownError as error:
        return dg.SkipReason(str(error))
    cursor = f"{round_id}:{status.digest}"
    if cursor == context.cursor:
        return dg.SkipReason(f"no new answers: {_progress(status)}")
    event = _event(status)
    done = "materialized" if isinstance(event, dg.AssetMaterialization) else "observed"
    # A tick that requests no run shows as skipped, so its reason says what the tick did.
    return dg.SensorResult(skip_reason=f"{done}: {_progress(status)}", asset_events=[event], cursor=cursor)


def _progress(status: RoundStatus) -> str:
    return f"{status.rows_answered} of {status.rows} reviews are answered in {status.where}"


def _event(status: RoundStatus) -> dg.AssetObservation | dg.AssetMaterialization:
    metadata = report_metadata(status)
    if status.state is not RoundState.COMPLETE:
        return dg.AssetObservation(_RESPONSES, metadata=metadata)
    # The tag makes the answers the data version: downstream wakes for changed answers only.
    return dg.AssetMaterialization(_RESPONSES, metadata=metadata, tags={"dagster/data_version": status.digest})


def _requested_round(instance: dg.DagsterInstance) -> str | None:
    event = instance.get_latest_materialization_event(_REQUEST)
    if event is None or event.asset_materialization is None:
        return None
    return str(event.asset_materialization.metadata["annotation/round_id"].value)
