"""Shares with intervals that hold at their ends."""

import numpy as np
import pytest

from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.export.agreement import agreement, proportion


def test_the_interval_of_full_agreement_does_not_collapse() -> None:
    # Wilson at 10 of 10: the low end is n / (n + z^2) = 10 / 13.8415 = 0.72246, the high end is 1.
    found = agreement(np.arange(10), np.arange(10))
    assert found.value == 1
    assert found.low == pytest.approx(0.72246, abs=1e-5)
    assert found.high == pytest.approx(1)


def test_the_interval_of_one_half_is_symmetric() -> None:
    # Wilson at 5 of 10: 0.5 +- 1.95996 / 13.8415 * sqrt(2.5 + 0.96036) = 0.5 +- 0.26340.
    found = proportion(5, 10)
    assert (found.low, found.high) == (pytest.approx(0.23660, abs=1e-4), pytest.approx(0.76340, abs=1e-4))


def test_no_rows_are_refused() -> None:
    with pytest.raises(NotEnoughDataError, match="n >= 1"):
        proportion(0, 0)
