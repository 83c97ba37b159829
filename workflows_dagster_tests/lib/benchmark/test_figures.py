"""Plots of the report."""

import re
import xml.etree.ElementTree as ET
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from matplotlib.text import Text

from workflows_dagster.lib.artifact import Markdown
from workflows_dagster.lib.benchmark.figures import intervals, trade_off, trade_off_picture
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.model.figures import learning_curve, page_style, to_markdown, to_svg
from workflows_dagster_tests.lib.benchmark.made_up import made_up_benchmark, made_up_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drawn(kind: str) -> "Figure":
    with page_style():
        match kind:
            case "intervals":
                return intervals({"<x>" * 20: Estimate(0.5, 0.4, 0.6, 90)}, {"other": Estimate(0.3, 0.2, 0.4, 90)})
            case "curve":
                return learning_curve([(1, 2.0), (2, 1.0)], [(2, 0.5)], 2, 0.4, ("#000000", "#111111"))
            case "curve without points":
                return learning_curve([], [], 0, 0.4, ("#000000", "#111111"))
            case _:
                return trade_off([made_up_benchmark("a", 90, 1), made_up_benchmark("b", 90, 1)], "b")


@pytest.mark.parametrize("kind", ["intervals", "curve", "curve without points", "trade-off"])
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


@pytest.mark.parametrize(
    "points",
    [
        {"torch-fp32": (945, 1.0), "torch-int8": (944, 1.7), "onnx-fp32": (233, 1.3), "onnx-int8": (131, 3.2)},
        {f"technique-{number}": (500, 2.0) for number in range(6)},
        {f"technique-{number}": (100 + 5 * number, 1 + number / 50) for number in range(8)},
        {"left": (1, 1.0), "right": (1000, 1.0), "top": (1000, 9.0)},
    ],
)
def test_labels_stand_by_their_points_and_apart_from_each_other(points: dict[str, tuple[float, float]]) -> None:
    measured = [
        made_up_benchmark(name, speed=speed).model_copy(update={"peak_memory_bytes": int(memory * 1e6)})
        for name, (memory, speed) in points.items()
    ]
    with page_style():
        figure = trade_off(measured, "onnx-int8")
        figure.draw_without_rendering()
    (axes,) = figure.axes
    labels = [text for text in axes.texts if text.get_text()]
    assert [text.get_text().removesuffix(" (pick)") for text in labels] == list(points)
    boxes = [Text.get_window_extent(text) for text in labels]  # of an annotation, it would include the line
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    for box, point in zip(boxes, points.values(), strict=True):
        x, y = axes.transData.transform(point)
        assert not (box.x0 < x < box.x1 and box.y0 < y < box.y1)
        away = max(box.x0 - x, x - box.x1, box.y0 - y, y - box.y1)
        assert away < 120
        assert axes.get_window_extent().contains(box.x0, box.y0)
        assert axes.get_window_extent().contains(box.x1, box.y1)


def test_the_picture_for_other_places_is_small() -> None:
    report = made_up_report("b", made_up_benchmark("a", 90, 1), made_up_benchmark("b", 20, 3))
    picture = trade_off_picture(report).text
    assert picture.startswith("![Speed and memory of each export](data:image/png;base64,iVBOR")
    assert len(picture) < 80_000  # it is stored with the event of the materialization
    shown = report.to_metadata()
    assert shown["benchmark/trade_off"] == Markdown(picture)
    table = shown["benchmark/comparison"]
    assert isinstance(table, Markdown)
    head, _, *rows = table.text.splitlines()
    assert head == "| export | speed | macro-F1 | same class | ms | RAM MB | MB |"
    assert [row.split(" | ")[0] for row in rows] == ["| a", "| b (pick)"]
    assert [row.split(" | ")[1] for row in rows] == ["1.00", "3.00"]


def test_a_figure_as_markdown_carries_its_picture() -> None:
    text = to_markdown(drawn("trade-off"), "matrix").text
    assert text.startswith("![matrix](data:image/png;base64,iVBOR")
