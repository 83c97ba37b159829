"""Records: written, read back, and refused where they are not what this version of the code wrote."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@given(
    name=st.text(st.characters(exclude_categories=["Cs"])),
    figures=st.none() | st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 3),
    counts=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers()),
)
def test_any_record_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    figures: tuple[float, float, float] | None,
    counts: dict[str, int],
):
    folder = tmp_path_factory.mktemp("record")
    record = Score(name=name, accuracy=Estimate(*figures, 1) if figures else None, counts=counts, labels=())
    record.write(folder)
    assert Score.read(folder) == record


def test_record_is_the_same_bytes_in_any_order_of_keys(tmp_path: Path):
    for folder, counts in ((tmp_path / "one", {"a": 1, "b": 2}), (tmp_path / "other", {"b": 2, "a": 1})):
        folder.mkdir()
        SCORE.model_copy(update={"counts": counts}).write(folder)
    assert (tmp_path / "one" / "score.json").read_bytes() == (tmp_path / "other" / "score.json").read_bytes()


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
