"""Plots of the report."""

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from workflows_dagster.lib.benchmark.figures import confusion, intervals, trade_off
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.model.figures import learning_curve, page_style, to_markdown, to_svg
from workflows_dagster_tests.lib.benchmark.made_up import made_up_benchmark

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawn(kind: str) -> "Figure":
    with page_style():
        match kind:
            case "intervals":
                return intervals({"<x>" * 20: Estimate(0.5, 0.4, 0.6, 9)}, {"other": Estimate(0.3, 0.2, 0.4, 9)})
            case "curve":
                return learning_curve([(1, 2.0), (2, 1.0)], [(2, 0.5)], 2, 0.4, ("#000000", "#111111"))
            case "curve without points":
                return learning_curve([], [], 0, 0.4, ("#000000", "#111111"))
            case "confusion":
                return confusion([[0, 0, 0], [3, 1, 0], [0, 0, 2]])
            case _:
                return trade_off([made_up_benchmark("a", 90, 1), made_up_benchmark("b", 90, 1)], ["a"], "b")


@pytest.mark.parametrize("kind", ["intervals", "curve", "curve without points", "confusion", "trade-off"])
def test_every_plot_is_well_formed_in_the_colours_of_the_page(kind: str) -> None:
    with page_style():
        svg = to_svg(drawn(kind), "a < b")
    tree = ET.fromstring(svg)
    assert tree.tag == "svg"
    assert "var(--soft)" in svg
    assert "<style" not in svg
    names = [element.get("id") for element in tree.iter() if element.get("id")]
    assert set(names) <= set(re.findall(r"#([\w.-]+)", svg))
    assert len(names) == len(set(names))


def test_a_figure_as_markdown_carries_its_picture() -> None:
    text = to_markdown(drawn("confusion"), "matrix").text
    assert text.startswith("![matrix](data:image/png;base64,iVBOR")
