"""Watches what annotators answer in the pilot."""

from typing import Final

import dagster as dg

from workflows_dagster.resources.annotation import AnnotationResource
from workflows_dagster.sensors.people import PeopleAtWork

ANNOTATORS: Final = PeopleAtWork(request="pilot_request", responses="pilot_responses")


@dg.sensor(
    name="pilot_responses_sensor",
    minimum_interval_seconds=30,
    description="Observes how far annotators are, and materializes pilot_responses when the round is complete, or "
    "enough of it once its deadline has passed.",
)
def pilot_responses_sensor(
    context: dg.SensorEvaluationContext, annotation_desk: AnnotationResource
) -> dg.SensorResult | dg.SkipReason:
    """Observes progress on the requested round, and materializes pilot_responses once it closes."""
    return ANNOTATORS.look(context, annotation_desk.desk())
