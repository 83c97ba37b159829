"""Plots of the report."""

import xml.etree.ElementTree as ET

import pytest

from workflows_dagster.lib.benchmark.figures import Interval, confusion_plot, curve_plot, interval_plot, round_up


@pytest.mark.parametrize(
    ("value", "end"), [(100, 100), (101, 200), (91, 100), (3.4, 4), (1.05, 2), (0.5, 0.8), (410, 800)]
)
def test_scales_end_so_that_their_quarters_are_round(value: float, end: float) -> None:
    # Quarters of 1, 2, 2.5 or 5 times a power of ten: 100 -> 25, 3.4 -> 1, 1.05 -> 0.5, 0.5 -> 0.2, 410 -> 200.
    assert round_up(value) == pytest.approx(end)


@pytest.mark.parametrize(
    "svg",
    [
        interval_plot("a < b", [("<x>" * 20, {"ours": Interval(0.5, 0.4, 0.6), "theirs": Interval(0.3, 0.2, 0.4)})]),
        interval_plot("none", []),
        curve_plot("curve", [], [(10, 0.5)]),
        curve_plot("curve", [(1, 2.0), (2, 1.0)], []),
        confusion_plot("matrix", ("a", "b"), [[0, 0], [3, 1]]),
    ],
)
def test_every_plot_is_well_formed_whatever_it_is_given(svg: str) -> None:
    assert ET.fromstring(svg).tag == "svg"
