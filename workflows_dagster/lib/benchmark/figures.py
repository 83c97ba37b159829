"""Plots of the report."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from workflows_dagster.lib.artifact import Markdown
from workflows_dagster.lib.benchmark.export_benchmark import BenchmarkRecord
from workflows_dagster.lib.benchmark.pick import pareto_front
from workflows_dagster.lib.benchmark.slices import KINDS
from workflows_dagster.lib.metrics import TOO_FEW_ROWS, Estimate
from workflows_dagster.lib.model.figures import (
    PICTURE_COLOURS,
    learning_curve,
    new_figure,
    page_style,
    to_markdown,
    to_svg,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

    from workflows_dagster.lib.benchmark.report import ReportRecord

WIDTH: Final = 5.0  # inches: 480 pixels of a page, which a phone shows at three quarters of their size
FIRST, SECOND = "C0", "C1"
Intervals = Mapping[str, Estimate]
Point = tuple[float, float]

_NEAR: Final = 24
"""Pixels from which a label needs a line to its point."""


def draw(report: "ReportRecord") -> dict[str, str]:
    """The plots by name, as SVG with a description for readers who cannot see them."""
    adapter = report.adapter
    ours, linear = adapter.model, adapter.baseline
    scored = {"class": (ours.per_class, linear.per_class, "F1 of each class, model and baseline")}
    if ours.gold:
        scored["gold"] = ours.per_label_source, linear.per_label_source, "Macro-F1 by origin of the label"
    for kind in KINDS:
        of_kind = [one for one in report.slices if one.kind == kind]
        model, baseline = ({one.name: getattr(one, of) for one in of_kind} for of in ("model", "baseline"))
        scored[kind] = model, baseline, f"Macro-F1 by {kind}, model and baseline"
    with page_style():
        curve = learning_curve(
            adapter.losses,
            adapter.validation_scores,
            adapter.best_step,
            adapter.baseline_validation_macro_f1,
            (FIRST, SECOND),
        )
        drawn = {"curve": (curve, "Training loss and validation macro-F1 over the optimizer steps")}
        drawn |= {
            name: (intervals(model, baseline), title)
            for name, (model, baseline, title) in scored.items()
            if any(one.n >= TOO_FEW_ROWS for one in model.values())
        }
        if report.benchmarks:
            said = "; ".join(
                f"{one.technique} {one.peak_memory_bytes / 1e6:,.0f} MB, {one.speed_ratio} times"
                for one in report.benchmarks
            )
            figure = trade_off(report.benchmarks, report.pick.technique)
            drawn["trade_off"] = (figure, f"Peak memory and speed of each artefact: {said}")
        return {name: to_svg(figure, title) for name, (figure, title) in drawn.items()}


def trade_off_picture(report: "ReportRecord") -> Markdown:
    """Memory and speed of each artefact as a picture on white, of about 20 kB; for places that show no SVG."""
    with page_style(PICTURE_COLOURS):
        return to_markdown(trade_off(report.benchmarks, report.pick.technique), "Speed and memory of each export")


def intervals(model: Intervals, baseline: Intervals) -> "Figure":
    """Dots with intervals from 0 to 1: one line for each name, the model above its baseline; not of too few rows."""
    model, baseline = ({name: one for name, one in of.items() if one.n >= TOO_FEW_ROWS} for of in (model, baseline))
    figure = new_figure(WIDTH, 0.75 + 0.42 * len(model))
    axes = figure.add_subplot()
    for series, colour, marker, offset, label in (
        (model, FIRST, "o", -0.16, "fine-tuned model"),
        (baseline, SECOND, "D", 0.16, "linear baseline"),
    ):
        places = [(row + offset, series[name]) for row, name in enumerate(model) if name in series]
        axes.errorbar(
            [found.value for _, found in places],
            [place for place, _ in places],
            xerr=[[found.value - found.low for _, found in places], [found.high - found.value for _, found in places]],
            fmt=marker,
            color=colour,
            markersize=6 if marker == "o" else 5,
            linewidth=2,
            label=label,
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(len(model) - 0.5, -0.5)
    axes.set_yticks(range(len(model)), [_shortened(name) for name in model])
    axes.grid(visible=False, axis="y")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def trade_off(benchmarks: Sequence[BenchmarkRecord], chosen: str | None) -> "Figure":
    """Peak memory against speed with its interval; a line joins the Pareto front, the pick has a colour of its own."""
    figure = new_figure(WIDTH, 3.6)
    axes = figure.add_subplot()
    axes.set_xlabel("peak memory, MB (less is better)")
    axes.set_ylabel("speed, times the merged model")
    axes.set_xlim(0, 1.15 * max(one.peak_memory_bytes for one in benchmarks) / 1e6)
    axes.set_ylim(0, 1.15 * max(one.speed_ratio.high for one in benchmarks))
    axes.axhline(1, color="C2", linewidth=1, linestyle="--", zorder=0)
    front = [(one.peak_memory_bytes / 1e6, one.speed_ratio.value) for one in pareto_front(benchmarks)]
    axes.plot(*zip(*front, strict=True), color="C2", linewidth=1.2, zorder=1)
    for one in benchmarks:
        x, speed = one.peak_memory_bytes / 1e6, one.speed_ratio
        picked = one.technique == chosen
        axes.errorbar(
            x,
            speed.value,
            yerr=[[speed.value - speed.low], [speed.high - speed.value]],
            fmt="D" if picked else "o",
            color=SECOND if picked else FIRST,
            markersize=9 if picked else 7,
            linewidth=2,
            capsize=3,
        )
    points = {
        one.technique + (" (pick)" if one.technique == chosen else ""): (one.peak_memory_bytes / 1e6, one.speed_ratio)
        for one in benchmarks
    }
    bars = [((x, speed.low), (x, speed.high)) for x, speed in points.values()]
    no_faster = ((0, 1), (axes.get_xlim()[1], 1))
    _label(axes, {name: (x, speed.value) for name, (x, speed) in points.items()}, [*bars, no_faster])
    return figure


def _label(axes: "Axes", points: Mapping[str, Point], lines: Sequence[tuple[Point, Point]]) -> None:
    """Names points: each label at the nearest place inside the axes that no line and no other label takes.

    Args:
        axes: With its limits set.
        points: Places by name.
        lines: Their ends; upright or level ones.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.transforms import Bbox

    figure = axes.get_figure(root=True)
    if figure is None:
        raise RuntimeError("these axes stand in no figure")
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()  # the layout decides where the axes end
    inside, at = axes.get_window_extent(), axes.transData.transform
    taken = [Bbox([at(start), at(end)]).padded(8, 3) for start, end in lines]
    for name, point in points.items():
        label = axes.annotate(name, point, fontweight="bold")
        box = label.get_window_extent(renderer)
        x, y = at(point)
        label.remove()
        # Where there is no free place, the label stands right of its point.
        distance, place = next(
            (
                (distance, place)
                for distance, place in _places(x, y, box.width, box.height)
                if _within(place, inside) and not any(place.overlaps(other) for other in taken)
            ),
            next(_places(x, y, box.width, box.height)),
        )
        taken.append(place)
        leader: Any = {"arrowprops": {"arrowstyle": "-", "color": "C2", "linewidth": 0.8}} if distance > _NEAR else {}
        corner = ((place.x0 - x) * 72 / figure.dpi, (place.y0 - y) * 72 / figure.dpi)
        axes.annotate(name, point, xytext=corner, textcoords="offset points", va="bottom", fontweight="bold", **leader)


def _places(x: float, y: float, width: float, height: float) -> Iterator[tuple[float, "Bbox"]]:
    """Places for a label around a point with their distance, the nearest first, in display units."""
    from matplotlib.transforms import Bbox

    # Beside the point first, then above and below.
    for distance, (across, up) in product(
        range(12, 120, 6), ((1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1))
    ):
        left, bottom = x + across * distance - width / 2 * (1 - across), y + up * distance - height / 2
        yield distance, Bbox.from_bounds(left, bottom, width, height)


def _within(box: "Bbox", other: "Bbox") -> bool:
    return box.x0 >= other.x0 and box.x1 <= other.x1 and box.y0 >= other.y0 and box.y1 <= other.y1


def _shortened(text: str, limit: int = 22) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
