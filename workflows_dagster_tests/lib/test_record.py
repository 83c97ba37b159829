"""Records: written, read back, and refused where they are not what this version of the code wrote."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from workflows_dagster.lib.errors import DataContractError
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.record import Record


class Score(Record):
    FILE: ClassVar[str] = "score.json"
    VERSION: ClassVar[int] = 3

    name: str
    accuracy: Estimate | None
    counts: dict[str, int]
    labels: tuple[str, ...]

    def to_metadata(self) -> Mapping[str, object]:
        return {"benchmark/name": self.name}


SCORE = Score(name="größer", accuracy=Estimate(0.5, 0.25, 0.75, 4), counts={"b": 2, "a": 1}, labels=("x", "y"))


def test_record_is_read_as_it_was_written(tmp_path: Path):
    SCORE.write(tmp_path)
    assert Score.read(tmp_path) == SCORE


def test_estimate_is_written_with_interval_n_and_confidence(tmp_path: Path):
    SCORE.write(tmp_path)
    written = json.loads((tmp_path / "score.json").read_text("utf-8"))
    assert written["accuracy"] == {"value": 0.5, "low": 0.25, "high": 0.75, "n": 4, "confidence": 0.95}
    assert written["record_version"] == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "FileNotFoundError"),
        ("{", "JSONDecodeError"),
        ("[]", "record_version None"),
        ('{"name": "x"}', "record_version None"),
        ('{"record_version": 2, "name": "x"}', "record_version 2"),
        ('{"record_version": 3, "name": "x"}', "accuracy: Field required"),
    ],
)
def test_record_is_refused_with_the_reason(tmp_path: Path, content: str | None, said: str):
    if content is not None:
        (tmp_path / "score.json").write_text(content)
    with pytest.raises(DataContractError, match=said):
        Score.read(tmp_path)


def test_unknown_field_is_refused(tmp_path: Path):
    SCORE.write(tmp_path)
    written = json.loads((tmp_path / "score.json").read_text("utf-8"))
    (tmp_path / "score.json").write_text(json.dumps({**written, "more": 1}))
    with pytest.raises(DataContractError, match="more: Extra inputs"):
        Score.read(tmp_path)


@pytest.mark.parametrize("figure", [math.nan, math.inf])
def test_figure_that_is_no_number_is_not_written(tmp_path: Path, figure: float):
    with pytest.raises(DataContractError, match="Score holds a figure that is not a number"):
        Score(name="x", accuracy=Estimate(figure, 0, 1, 1), counts={}, labels=()).write(tmp_path)
    assert not list(tmp_path.iterdir())
