"""Watches which synthetic rows people keep, fix or reject."""

from typing import Final

import dagster as dg

from workflows_dagster.resources.annotation import AnnotationResource
from workflows_dagster.sensors.people import PeopleAtWork

REVIEWERS: Final = PeopleAtWork(request="synthetic_request", responses="synthetic_verdicts")


@dg.sensor(
    name="synthetic_verdicts_sensor",
    minimum_interval_seconds=30,
    description="Observes how far people are with synthetic rows, and materializes synthetic_verdicts when the "
    "round is complete, or enough of it once its deadline has passed.",
)
def synthetic_verdicts_sensor(
    context: dg.SensorEvaluationContext, annotation_desk: AnnotationResource
) -> dg.SensorResult | dg.SkipReason:
    """Observes progress on the requested round, and materializes synthetic_verdicts once it closes."""
    return REVIEWERS.look(context, annotation_desk.desk())
