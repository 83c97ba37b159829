"""Plots of the report."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from workflows_dagster.lib.benchmark.export_benchmark import BenchmarkRecord
from workflows_dagster.lib.benchmark.pick import pareto_front
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.model.figures import PAGE_COLOURS, learning_curve, new_figure, page_style, to_svg
from workflows_dagster.lib.schema import LABELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from workflows_dagster.lib.benchmark.report import ReportRecord

WIDTH: Final = 6.7  # inches: 640 pixels of a page
INK, SOFT, FIRST, SECOND = (PAGE_COLOURS[name] for name in ("ink", "soft", "a", "b"))
Intervals = Mapping[str, Estimate]


def draw(report: "ReportRecord") -> dict[str, str]:
    """The plots by name, as SVG."""
    adapter = report.adapter
    ours, linear = adapter.model, adapter.baseline
    with page_style():
        drawn = {
            "per_class": (intervals(ours.per_class, linear.per_class), "F1 of each class"),
            "per_source": (intervals(ours.per_source, linear.per_source), "Macro-F1 on each source"),
            "confusion": (confusion(ours.confusion), "Confusion matrix on the test rows"),
            "curve": (
                learning_curve(
                    adapter.losses,
                    adapter.validation_scores,
                    adapter.best_step,
                    adapter.baseline_validation_macro_f1,
                    (FIRST, SECOND),
                ),
                "Learning curve",
            ),
        }
        if ours.gold:
            by_label_source = intervals(ours.per_label_source, linear.per_label_source)
            drawn["gold"] = (by_label_source, "Macro-F1 by origin of the label")
        if report.benchmarks:
            drawn["trade_off"] = (
                trade_off(
                    report.benchmarks, [one.technique for one in pareto_front(report.benchmarks)], report.pick.technique
                ),
                "Size and speed of each artefact",
            )
        return {name: to_svg(figure, title) for name, (figure, title) in drawn.items()}


def intervals(model: Intervals, baseline: Intervals) -> "Figure":
    """Dots with intervals from 0 to 1: one line for each name, the model above its baseline."""
    figure = new_figure(WIDTH, 0.75 + 0.36 * len(model))
    axes = figure.add_subplot()
    for series, colour, offset, label in (
        (model, FIRST, -0.15, "fine-tuned model"),
        (baseline, SECOND, 0.15, "TF-IDF baseline"),
    ):
        places = [(row + offset, series[name]) for row, name in enumerate(model) if name in series]
        axes.errorbar(
            [found.value for _, found in places],
            [place for place, _ in places],
            xerr=[[found.value - found.low for _, found in places], [found.high - found.value for _, found in places]],
            fmt="o",
            color=colour,
            markersize=6,
            linewidth=2,
            label=label,
        )
        for place, found in places:
            axes.annotate(
                f"{found.value:.3f}",
                (1, place),
                xytext=(6, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                color=SOFT,
            )
    axes.set_xlim(0, 1)
    axes.set_ylim(len(model) - 0.5, -0.5)
    axes.set_yticks(range(len(model)), [_shortened(name) for name in model])
    axes.grid(visible=False, axis="y")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def confusion(counts: Sequence[Sequence[int]]) -> "Figure":
    """True classes down, predicted classes across; shaded by share of the true class."""
    figure = new_figure(4.2, 2.5)
    axes = figure.add_subplot()
    for row, line in enumerate(counts):
        for column, rows in enumerate(line):
            share = rows / max(1, sum(line))
            axes.bar(column, 0.94, 0.96, row - 0.47, color=FIRST, alpha=0.06 + 0.6 * share)
            axes.text(column, row - 0.14, f"{rows:,}", ha="center", va="center", fontweight="bold")
            axes.text(column, row + 0.2, f"{share:.0%}", ha="center", va="center", fontsize="small")
    axes.set_xlim(-0.5, len(counts) - 0.5)
    axes.set_ylim(len(counts) - 0.5, -0.5)
    axes.set_xticks(range(len(counts)), LABELS)
    axes.set_yticks(range(len(counts)), LABELS)
    axes.set_xlabel("predicted")
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.grid(visible=False)
    axes.tick_params(length=0, labelcolor=INK)
    axes.spines[:].set_visible(False)
    return figure


def trade_off(benchmarks: Sequence[BenchmarkRecord], front: Sequence[str], chosen: str | None) -> "Figure":
    """Size against speed with macro-F1 as text; a ring around the Pareto front, another colour for the pick."""
    figure = new_figure(WIDTH, 3.5)
    axes = figure.add_subplot()
    axes.set_xlabel("size of the weights, MB")
    axes.set_ylabel("speed, ratio to the merged model")
    axes.set_xlim(0, 1.2 * max(one.size_bytes for one in benchmarks) / 1e6)
    axes.set_ylim(0, 1.1 * max(one.speed_ratio.high for one in benchmarks))
    axes.yaxis.set_major_formatter("{x:g}x")
    labelled: list[tuple[float, float]] = []
    for one in sorted(benchmarks, key=lambda one: one.speed_ratio.value):
        x, speed = one.size_bytes / 1e6, one.speed_ratio
        colour = SECOND if one.technique == chosen else FIRST
        axes.vlines(x, speed.low, speed.high, color=colour, linewidth=2, alpha=0.5)
        axes.plot(x, speed.value, "o", color=colour, markersize=8)
        if one.technique in front:
            axes.plot(x, speed.value, "o", markeredgecolor=colour, markerfacecolor="none", markersize=16)
        width, height = axes.get_xlim()[1], axes.get_ylim()[1]
        leftward = x > 0.7 * width
        middle, y = x + (-0.14 if leftward else 0.14) * width, speed.value
        # A label moves up as long as another one stands there.
        while any(
            abs(middle - other_middle) < 0.22 * width and abs(y - other_y) < 0.12 * height
            for other_middle, other_y in labelled
        ):
            y += 0.01 * height
        labelled.append((middle, y))
        beside: Any = {"xytext": (-13 if leftward else 13, 0), "textcoords": "offset points"}
        beside |= {"ha": "right" if leftward else "left"}
        axes.annotate(one.technique, (x, y), va="bottom", fontweight="bold", **beside)
        axes.annotate(f"macro-F1 {one.quality.macro_f1.value:.3f}", (x, y), va="top", color=SOFT, **beside)
    return figure


def _shortened(text: str, limit: int = 22) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
