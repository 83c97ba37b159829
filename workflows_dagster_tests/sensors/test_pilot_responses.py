"""The sensor observes progress, materializes complete rounds, and repeats neither."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from workflows_dagster.lib.annotation.desk import AnnotationRound, Deadline, Question, Responses, RoundStatus
from workflows_dagster.lib.errors import AnnotationPermissionError, AnnotationUnavailableError, WorkflowError
from workflows_dagster.resources.annotation import AnnotationResource, FileAnnotation
from workflows_dagster.sensors.pilot_responses import ANNOTATORS, pilot_responses_sensor

ROUND = AnnotationRound("r1", [Question("a", "first", ""), Question("b", "second", "")], "", 1)


@pytest.fixture
def desk(tmp_path: Path) -> FileAnnotation:
    return FileAnnotation(root=str(tmp_path))


def tick(
    desk: AnnotationResource, requested: str | None, cursor: str | None = None, terms: dict[str, float] | None = None
) -> object:
    with dg.DagsterInstance.ephemeral() as instance:
        if requested is not None:
            metadata = {"annotation/round_id": requested, **(terms or Deadline().to_metadata())}
            instance.report_runless_asset_event(dg.AssetMaterialization("pilot_request", metadata=metadata))
        context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"annotation_desk": desk})
        return pilot_responses_sensor(context)


def fill(desk: FileAnnotation, *rows: str) -> None:
    form = Path(desk.root) / "r1" / "pilot.csv"
    form.write_text("review_id,label,annotator\n" + "\n".join(rows) + "\n")


def test_sensor_skips_before_a_round_is_requested(desk: FileAnnotation) -> None:
    result = tick(desk, None)
    assert isinstance(result, dg.SkipReason)
    assert "materialize pilot_request" in str(result.skip_message)


def test_sensor_skips_when_the_round_was_removed(desk: FileAnnotation) -> None:
    result = tick(desk, "gone")
    assert isinstance(result, dg.SkipReason)
    assert "'gone'" in str(result.skip_message)


def test_sensor_observes_progress_once(desk: FileAnnotation) -> None:
    desk.desk().request(ROUND)
    fill(desk, "a,positive,ann")

    first = tick(desk, "r1")
    assert isinstance(first, dg.SensorResult)
    [event] = first.asset_events
    assert isinstance(event, dg.AssetObservation)
    assert event.metadata["annotation/answered_rows"].value == 1
    assert first.skip_reason is not None
    assert str(first.skip_reason.skip_message).startswith("observed: 1 of 2 reviews")

    again = tick(desk, "r1", first.cursor)
    assert isinstance(again, dg.SkipReason)
    assert "1 of 2 reviews" in str(again.skip_message)


def test_sensor_materializes_a_complete_round_with_the_answers_as_data_version(desk: FileAnnotation) -> None:
    desk.desk().request(ROUND)
    versions: list[str] = []
    for label in ("positive", "negative"):
        fill(desk, f"a,{label},ann", "b,neutral,ann")
        result = tick(desk, "r1")
        assert isinstance(result, dg.SensorResult)
        [event] = result.asset_events
        assert isinstance(event, dg.AssetMaterialization)
        assert event.asset_key == dg.AssetKey("pilot_responses")
        assert result.skip_reason is not None
        assert str(result.skip_reason.skip_message).startswith("materialized: 2 of 2 reviews")
        versions.append((event.tags or {})["dagster/data_version"])
    assert versions[0] != versions[1]


def requested_days_ago(desk: FileAnnotation, days: float) -> None:
    """Moves the request of the round into the past."""
    record = Path(desk.root) / "r1" / "round.json"
    content = json.loads(record.read_text())
    content["requested_at"] = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    record.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("days", "ratio", "closes"), [(6.9, 0.5, False), (7.1, 0.5, True), (7.1, 0.51, False), (70, 1.0, False)]
)
def test_sensor_closes_a_round_after_its_deadline_with_enough_answers(
    desk: FileAnnotation, days: float, ratio: float, closes: bool
) -> None:
    desk.desk().request(ROUND)
    fill(desk, "a,positive,ann")
    requested_days_ago(desk, days)
    terms = {"annotation/deadline_days": 7.0, "annotation/deadline_minimum_ratio": ratio}

    result = tick(desk, "r1", terms=terms)

    assert isinstance(result, dg.SensorResult)
    assert isinstance(result.asset_events[0], dg.AssetMaterialization) == closes
    said = str(result.skip_reason.skip_message) if result.skip_reason else ""
    assert "1 of 2 reviews" in said
    assert f"UTC on, {ratio:.0%} are enough" in said


def test_deadline_alone_closes_a_round_that_was_observed_before(desk: FileAnnotation) -> None:
    desk.desk().request(ROUND)
    fill(desk, "a,positive,ann")
    terms = {"annotation/deadline_days": 7.0, "annotation/deadline_minimum_ratio": 0.5}
    observed = tick(desk, "r1", terms=terms)
    assert isinstance(observed, dg.SensorResult)
    requested_days_ago(desk, 8)

    closed = tick(desk, "r1", observed.cursor, terms)

    assert isinstance(closed, dg.SensorResult)
    assert isinstance(closed.asset_events[0], dg.AssetMaterialization)
    assert isinstance(tick(desk, "r1", closed.cursor, terms), dg.SkipReason)


class BrokenDesk:
    """A desk whose server is in trouble."""

    def __init__(self, error: WorkflowError) -> None:
        self.error = error

    def request(self, annotation_round: AnnotationRound) -> RoundStatus:
        raise self.error

    def status(self, round_id: str) -> RoundStatus:
        raise self.error

    def responses(self, round_id: str) -> Responses:
        raise self.error


class BrokenAnnotation(AnnotationResource):
    refused: bool

    def desk(self) -> BrokenDesk:
        kind = AnnotationPermissionError if self.refused else AnnotationUnavailableError
        return BrokenDesk(kind("no luck", given="http://127.0.0.1:6900", expected="an answer", remedy="try again"))


def test_sensor_says_so_and_waits_while_the_server_is_down() -> None:
    result = tick(BrokenAnnotation(refused=False), "r1")
    assert isinstance(result, dg.SkipReason)
    assert "no luck. Given: 'http://127.0.0.1:6900'" in str(result.skip_message)


def test_sensor_fails_where_the_key_is_refused() -> None:
    with pytest.raises(AnnotationPermissionError):
        tick(BrokenAnnotation(refused=True), "r1")


def test_round_recorded_at_once_is_not_recorded_again_by_the_sensor(desk: FileAnnotation) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        desk.desk().request(ROUND)
        assert ANNOTATORS.record_closed_round(instance, desk.desk()) == "no round was requested yet"
        metadata = {"annotation/round_id": "r1", **Deadline().to_metadata()}
        instance.report_runless_asset_event(dg.AssetMaterialization("pilot_request", metadata=metadata))
        fill(desk, "a,positive,ann")
        assert ANNOTATORS.record_closed_round(instance, desk.desk()).startswith("1 of 2 reviews")
        fill(desk, "a,positive,ann", "b,neutral,ann")

        assert ANNOTATORS.record_closed_round(instance, desk.desk()).startswith("materialized: 2 of 2 reviews")
        assert ANNOTATORS.record_closed_round(instance, desk.desk()).startswith("recorded before: 2 of 2 reviews")
        context = dg.build_sensor_context(instance=instance, resources={"annotation_desk": desk})
        result = pilot_responses_sensor(context)

        assert isinstance(result, dg.SensorResult)
        assert (list(result.asset_events), bool(result.cursor)) == ([], True)
        fill(desk, "a,negative,ann", "b,neutral,ann")
        assert ANNOTATORS.record_closed_round(instance, desk.desk()).startswith("materialized")
