"""lora_adapter and merged_model, materialized with embedded twins."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from workflows_dagster.assets.finetuning import LoraConfig, lora_adapter, merged_model
from workflows_dagster.io_managers.published import PublishedIOManager
from workflows_dagster.lib.artifact import Artifact, Markdown
from workflows_dagster.resources.accelerator import AcceleratorResource
from workflows_dagster.resources.checkpoints import CheckpointsResource
from workflows_dagster.resources.store import Published, StoreResource
from workflows_dagster_tests.lib.finetuning.tiny import write_reviews, write_tiny_model


class _Copied:
    def to_metadata(self) -> dict[str, object]:
        return {"test/note": Markdown("copied")}


@pytest.fixture
def augmented_reviews(tmp_path: Path, store: StoreResource) -> dg.AssetsDefinition:
    upstream: Artifact = write_reviews(tmp_path / "augmented", {"train": 24, "validation": 9, "test": 12})

    def copy(folder: Path) -> _Copied:
        shutil.copytree(upstream.folder, folder, dirs_exist_ok=True)
        return _Copied()

    @dg.asset(name="augmented_reviews")
    def asset(context: dg.AssetExecutionContext) -> Published:
        yield from store.publish(context, copy)

    return asset


def _materialize(
    augmented_reviews: dg.AssetsDefinition, tmp_path: Path, store: StoreResource, device: str
) -> dg.ExecuteInProcessResult:
    config = LoraConfig(
        model=str(write_tiny_model(tmp_path / "tiny_model")), epochs=1, batch_size=12, max_length=8, rank=2, alpha=4
    )
    return dg.materialize(
        [augmented_reviews, lora_adapter, merged_model],
        resources={
            "store": store,
            "io_manager": PublishedIOManager(store=store),
            "accelerator": AcceleratorResource(device=device),  # pyright: ignore[reportArgumentType]
            "checkpoints": CheckpointsResource(root=str(tmp_path / "checkpoints")),
        },
        run_config=dg.RunConfig(ops={"lora_adapter": config}),
        raise_on_error=False,
    )


def test_adapter_and_merged_model_are_published_with_their_checks(
    augmented_reviews: dg.AssetsDefinition, tmp_path: Path, store: StoreResource
) -> None:
    result = _materialize(augmented_reviews, tmp_path, store, "cpu")
    assert result.success
    blocking = [check for check in result.get_asset_check_evaluations() if check.severity.value == "ERROR"]
    assert len(blocking) == 7
    assert all(check.passed for check in blocking)
    [event] = result.asset_materializations_for_node("lora_adapter")
    assert event.metadata["finetuning/steps_count"].value == 2
    curve = event.metadata["finetuning/learning_curve"].value
    assert isinstance(curve, str)
    assert curve.startswith("![learning curve](data:image/png;base64,")
    assert len(curve) < 100_000
    left = [path for path in (tmp_path / "checkpoints").rglob("checkpoint-*")]
    assert left == []


def test_absent_device_fails_the_run_and_publishes_nothing(
    augmented_reviews: dg.AssetsDefinition, tmp_path: Path, store: StoreResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = _materialize(augmented_reviews, tmp_path, store, "cuda")
    assert not result.success
    [failure] = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    assert "no cuda device" in str(failure.event_specific_data)
    assert not result.asset_materializations_for_node("lora_adapter")
