"""The sensor watches the round of synthetic rows, by what its own request says."""

from pathlib import Path

import dagster as dg
import pytest

from workflows_dagster.lib.annotation.desk import AnnotationRound, Deadline, Question
from workflows_dagster.lib.synthesis.review_request import REVIEW
from workflows_dagster.resources.annotation import FileAnnotation
from workflows_dagster.sensors.synthetic_verdicts import synthetic_verdicts_sensor

QUESTIONS = [Question(f"synthetic:{name}", f"text {name}", "", claim="neutral") for name in ("a", "b")]
ROUND = AnnotationRound("s1", QUESTIONS, "", 1, asked_reason="comment", inquiry=REVIEW)


@pytest.fixture
def desk(tmp_path: Path) -> FileAnnotation:
    desk = FileAnnotation(root=str(tmp_path))
    desk.desk().request(ROUND)
    return desk


def fill(desk: FileAnnotation, *rows: str) -> None:
    form = Path(desk.root) / "s1" / "synthetic-ann.csv"
    form.write_text("review_id,label,correction\n" + "\n".join(rows) + "\n")


def requested(instance: dg.DagsterInstance, **metadata: str) -> None:
    given = {f"annotation/{name}": value for name, value in metadata.items()}
    shown = {**Deadline().to_metadata(), **given}
    instance.report_runless_asset_event(dg.AssetMaterialization("synthetic_request", metadata=shown))


def tick(
    desk: FileAnnotation, instance: dg.DagsterInstance, cursor: str | None = None
) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"annotation_desk": desk})
    result = synthetic_verdicts_sensor(context)
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return result


@pytest.mark.parametrize("metadata", [None, {"status": "nobody is asked"}])
def test_sensor_skips_where_nobody_was_asked(desk: FileAnnotation, metadata: dict[str, str] | None) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        if metadata is not None:
            requested(instance, **metadata)
        result = tick(desk, instance)
    assert isinstance(result, dg.SkipReason)
    assert "materialize synthetic_request" in str(result.skip_message)


def test_sensor_observes_progress_then_materializes_the_verdicts_once(desk: FileAnnotation) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        requested(instance, round_id="s1")
        fill(desk, "synthetic:a,keep,")
        first = tick(desk, instance)
        assert isinstance(first, dg.SensorResult)
        [seen] = first.asset_events
        assert (type(seen), seen.asset_key.to_user_string()) == (dg.AssetObservation, "synthetic_verdicts")

        fill(desk, "synthetic:a,keep,", "synthetic:b,fix,Better.")
        second = tick(desk, instance, first.cursor)
        assert isinstance(second, dg.SensorResult)
        [made] = second.asset_events
        assert (type(made), made.asset_key.to_user_string()) == (dg.AssetMaterialization, "synthetic_verdicts")
        assert isinstance(tick(desk, instance, second.cursor), dg.SkipReason)
