"""The sensor observes progress, materializes complete rounds, and repeats neither."""

from pathlib import Path

import dagster as dg
import pytest

from workflows_dagster.lib.annotation.desk import AnnotationRound, Question
from workflows_dagster.resources.annotation import FileAnnotation
from workflows_dagster.sensors.pilot_responses import pilot_responses_sensor

ROUND = AnnotationRound("r1", [Question("a", "first", ""), Question("b", "second", "")], "", 1)


@pytest.fixture
def desk(tmp_path: Path) -> FileAnnotation:
    return FileAnnotation(root=str(tmp_path))


def tick(desk: FileAnnotation, requested: str | None, cursor: str | None = None) -> object:
    with dg.DagsterInstance.ephemeral() as instance:
        if requested is not None:
            metadata = {"annotation/round_id": requested}
            instance.report_runless_asset_event(dg.AssetMaterialization("pilot_annotation_request", metadata=metadata))
        context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"annotation_desk": desk})
        return pilot_responses_sensor(context)


def fill(desk: FileAnnotation, *rows: str) -> None:
    form = Path(desk.root) / "r1" / "pilot.csv"
    form.write_text("review_id,label,annotator\n" + "\n".join(rows) + "\n")


def test_sensor_skips_before_a_round_is_requested(desk: FileAnnotation) -> None:
    result = tick(desk, None)
    assert isinstance(result, dg.SkipReason)
    assert "materialize pilot_annotation_request" in str(result.skip_message)


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
