"""When an exported artefact may be published."""

from pathlib import Path

import pytest

from workflows_dagster.checks.export import judge_agreement
from workflows_dagster.lib.export.exported_model import ExportRecord, Parity
from workflows_dagster.lib.export.registry import technique
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.model.reference import ModelReference


def tried(folder: Path, share: float, difference: float, needed: float, limit: float | None) -> Path:
    parity = Parity(Estimate(share, share - 0.02, 1.0, 100), difference, (), needed, limit)
    model = ModelReference("model/weights", "0" * 64, 1, 1, {}, ("negative",), 8, 0)
    ExportRecord.of(technique("torch-fp32")(), model, {}, "0" * 64, parity).write(folder)
    return folder


@pytest.mark.parametrize(
    ("share", "difference", "needed", "limit", "passes"),
    [
        (1.0, 1e-5, 1.0, 1e-3, True),
        (0.99, 1e-5, 1.0, 1e-3, False),  # lossless: one flip is too many
        (1.0, 2e-3, 1.0, 1e-3, False),  # lossless: logits too far apart
        (0.96, 0.7, 0.95, None, True),  # lossy: only the classes count
        (0.94, 0.1, 0.95, None, False),
    ],
)
def test_agreement_is_judged_by_kind(
    tmp_path: Path, share: float, difference: float, needed: float, limit: float | None, passes: bool
) -> None:
    verdict = judge_agreement(tried(tmp_path, share, difference, needed, limit))
    assert verdict.passed is passes
    assert f"{share:.3f} of 100 rows" in verdict.description
