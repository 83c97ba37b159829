"""What the Trainer is asked for."""

from pathlib import Path

import pytest

from workflows_dagster.lib.accelerator import probe
from workflows_dagster.lib.finetuning.settings import FineTuningSettings
from workflows_dagster.lib.finetuning.training import _arguments  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("rows_at_once", "small", "accumulated"),
    # 12 rows in a step; 5 at once would give steps of 10: 4 is the most that divides 12.
    [(12, 12, 1), (6, 6, 2), (5, 4, 3), (3, 3, 4), (1, 1, 12)],
)
def test_a_step_has_the_same_rows_where_memory_is_short(
    rows_at_once: int, small: int, accumulated: int, tmp_path: Path
) -> None:
    arguments = _arguments(FineTuningSettings(batch_size=12), probe("cpu"), tmp_path, rows_at_once, rows=100)
    assert arguments.per_device_train_batch_size == small
    assert arguments.gradient_accumulation_steps == accumulated
    assert arguments.per_device_eval_batch_size == 4 * small
