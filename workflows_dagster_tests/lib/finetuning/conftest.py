"""Fixtures of the fine-tuning tests."""

from pathlib import Path

import pytest

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.finetuning.settings import FineTuningSettings
from workflows_dagster_tests.lib.finetuning.tiny import write_reviews, write_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny model."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny_model"))


@pytest.fixture(scope="session")
def tiny_settings(tiny_model: Path) -> FineTuningSettings:
    """Two steps on the tiny model."""
    return FineTuningSettings(
        model=str(tiny_model),
        epochs=1,
        batch_size=12,
        max_length=8,
        adapted_layers=1,
        rank=2,
        alpha=4,
        evaluations_per_epoch=2,
        learning_rate=1e-2,
        head_learning_rate=1e-2,
    )


@pytest.fixture(scope="session")
def tiny_reviews(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """24 training, 9 validation and 12 test rows of two sources."""
    return write_reviews(
        tmp_path_factory.mktemp("corpus") / "augmented_reviews", {"train": 24, "validation": 9, "test": 12}
    )
