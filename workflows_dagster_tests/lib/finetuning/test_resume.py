"""A training that is killed goes on from its last whole checkpoint and ends as if nothing had happened."""

import logging
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from workflows_dagster.lib.accelerator import session
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import AlreadyRunningError
from workflows_dagster.lib.finetuning import training
from workflows_dagster.lib.finetuning.adapter import AdapterReport, build_adapter, discard_checkpoints
from workflows_dagster.lib.finetuning.settings import FineTuningSettings
from workflows_dagster.lib.process_guard import LOCK_FILE, exclusive

STEPS = 6


@pytest.fixture(scope="module")
def settings(tiny_settings: FineTuningSettings) -> FineTuningSettings:
    # 24 rows in batches of 12 are 2 steps an epoch, each with a checkpoint; dropout makes the random state matter.
    return tiny_settings.model_copy(update={"epochs": 3, "patience": 10, "dropout": 0.2})


@pytest.fixture(scope="module")
def uninterrupted(
    tmp_path_factory: pytest.TempPathFactory, tiny_reviews: Artifact, settings: FineTuningSettings
) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    _build(tiny_reviews, settings, tmp_path_factory.mktemp("checkpoints"), folder)
    return folder


def _build(reviews: Artifact, settings: FineTuningSettings, checkpoints: Path, folder: Path) -> AdapterReport:
    folder.mkdir(exist_ok=True)
    with session("cpu") as opened:
        return build_adapter(reviews, settings, opened, checkpoints, folder)


def _build_and_die(reviews: Artifact, settings: FineTuningSettings, checkpoints: Path, at_step: int) -> None:
    """Trains until the checkpoint of a step is written, then kills itself."""
    from transformers import TrainerCallback

    class Kill(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == at_step:
                os.kill(os.getpid(), signal.SIGKILL)

    training.progress_callback = Kill
    _build(reviews, settings, checkpoints, checkpoints.parent / "never_published")


def _killed(reviews: Artifact, settings: FineTuningSettings, tmp_path: Path, at_step: int) -> Path:
    checkpoints = tmp_path / "checkpoints"
    process = multiprocessing.get_context("spawn").Process(
        target=_build_and_die, args=(reviews, settings, checkpoints, at_step)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    return checkpoints


@pytest.mark.slow
def test_killed_training_resumes_and_ends_with_the_same_adapter(
    tmp_path: Path, tiny_reviews: Artifact, settings: FineTuningSettings, uninterrupted: Path
) -> None:
    # Step 3 is in the middle of the second epoch: the order of the rows left in it has to be restored too.
    checkpoints = _killed(tiny_reviews, settings, tmp_path, at_step=3)
    report = _build(tiny_reviews, settings, checkpoints, tmp_path / "out")
    assert report.run["resumed_from_step"] == 3
    assert report.record.steps == STEPS
    name = "adapter/adapter_model.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (uninterrupted / name).read_bytes()


@pytest.mark.slow
def test_damaged_checkpoint_is_skipped_with_a_warning(
    tmp_path: Path, tiny_reviews: Artifact, settings: FineTuningSettings, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = _killed(tiny_reviews, settings, tmp_path, at_step=3)
    last = next(checkpoints.glob("*/checkpoint-3/optimizer.pt"))
    last.write_bytes(last.read_bytes()[:100])
    with caplog.at_level(logging.WARNING, logger="workflows_dagster"):
        report = _build(tiny_reviews, settings, checkpoints, tmp_path / "out")
    assert report.run["resumed_from_step"] == 2
    assert report.record.steps == STEPS
    assert "checkpoint-3 is left out and removed: optimizer.pt is damaged" in caplog.text


def test_finished_training_is_not_repeated_when_publishing_was_interrupted(
    tmp_path: Path,
    tiny_reviews: Artifact,
    tiny_settings: FineTuningSettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _build(tiny_reviews, tiny_settings, tmp_path / "checkpoints", tmp_path / "first")
    with caplog.at_level(logging.WARNING, logger="workflows_dagster"):
        _build(tiny_reviews, tiny_settings, tmp_path / "checkpoints", tmp_path / "second")
    assert "training had ended before the interruption" in caplog.text
    for name in ("adapter/adapter_model.safetensors", "report.json", "test_predictions.parquet"):
        assert (tmp_path / "second" / name).read_bytes() == (tmp_path / "first" / name).read_bytes()


def test_checkpoints_are_removed_but_for_the_lock(
    tmp_path: Path, tiny_reviews: Artifact, tiny_settings: FineTuningSettings
) -> None:
    checkpoints = tmp_path / "checkpoints"
    _build(tiny_reviews, tiny_settings, checkpoints, tmp_path / "out")
    with session("cpu") as opened:
        discard_checkpoints(tiny_reviews, tiny_settings, opened, checkpoints)
    assert [path.name for path in checkpoints.rglob("*") if path.is_file()] == [LOCK_FILE]


def test_second_trainer_on_the_same_checkpoints_is_refused(
    tmp_path: Path, tiny_reviews: Artifact, tiny_settings: FineTuningSettings
) -> None:
    checkpoints = tmp_path / "checkpoints"
    _build(tiny_reviews, tiny_settings, checkpoints, tmp_path / "first")
    held = next(checkpoints.iterdir())
    with exclusive(held), pytest.raises(AlreadyRunningError, match="in use by another process"):
        _build(tiny_reviews, tiny_settings, checkpoints, tmp_path / "second")
