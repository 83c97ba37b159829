"""When an exported artefact may be published."""

import json
from pathlib import Path

import pytest

from workflows_dagster.checks.export import judge_agreement


def parity(folder: Path, share: float, difference: float, needed: float, limit: float | None) -> Path:
    agreement = {"value": share, "low": share - 0.02, "high": 1.0, "n": 100, "confidence": 0.95}
    record = {
        "agreement": agreement,
        "max_logit_difference": difference,
        "min_agreement": needed,
        "max_logit_difference_allowed": limit,
        "flips": [],
    }
    (folder / "parity.json").write_text(json.dumps(record), "utf-8")
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
    verdict = judge_agreement(parity(tmp_path, share, difference, needed, limit))
    assert verdict.passed is passes
    assert f"{share:.3f} of 100 rows" in verdict.description
