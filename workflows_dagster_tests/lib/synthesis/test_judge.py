"""The judge of synthetic texts where there is hardly anything to learn from."""

import polars as pl
import pytest

from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.synthesis.judge import FOLDS, fold_of, judge

ONE_CLASS = pl.DataFrame(
    {
        "text": [f"the lamp number {number} works well" for number in range(6)],
        "label": ["positive"] * 6,
        "group_key": [f"g{number}" for number in range(6)],
    }
)


def test_judge_that_cannot_be_fitted_is_no_error_when_nothing_is_asked() -> None:
    judgement = judge(ONE_CLASS, [], [], [])

    assert (judgement.likeliest, judgement.margin, judgement.macro_f1, judgement.rows) == ([], [], 0.0, 6)


def test_one_row_and_no_text_is_no_error() -> None:
    assert judge(ONE_CLASS.head(1), [], [], []).rows == 1


def test_one_class_is_an_error_when_there_is_a_text_to_judge() -> None:
    fold = fold_of("g0")
    assert 0 <= fold < FOLDS

    with pytest.raises(NotEnoughDataError, match="at least two classes"):
        judge(ONE_CLASS, ["the lamp broke"], ["negative"], [fold])
