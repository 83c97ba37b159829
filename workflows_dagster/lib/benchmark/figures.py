"""Plots of the report as inline SVG: they take the page's colours, so that they are right in light and in dark."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH = 640
SERIES = ("a", "b")
"""Classes of the first and second series; the page's style sheet colours them."""


@dataclass(frozen=True)
class Interval:
    """A point with its interval in a plot.

    Attributes:
        value: The point.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def interval_plot(title: str, rows: Sequence[tuple[str, Mapping[str, Interval]]]) -> str:
    """Dots with whiskers on a scale of 0 to 1, one line for each named row, at most two series.

    Args:
        title: What is shown, for readers who cannot see it.
        rows: Name of the row, and its interval in each series.
    """
    names = list(dict.fromkeys(series for _, values in rows for series in values))
    left, line, top = 170, 34, 34
    height = top + line * len(rows) + 26
    scale = _Scale(0, 1, left, WIDTH - 60)
    parts = [_legend(names, left)]
    bottom = height - 22
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x = scale(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(_text(x, height - 6, f"{tick:.1f}", "middle"))
    for number, (name, values) in enumerate(rows):
        y = top + line * number + line / 2
        parts.append(_text(left - 10, y + 4, _short(name, 22), "end"))
        for series, found in values.items():
            index = names.index(series)
            at = y + (index - (len(names) - 1) / 2) * 11
            style = SERIES[index]
            parts.append(
                f'<line class="line {style}" x1="{scale(found.low):.1f}" y1="{at:.1f}" '
                f'x2="{scale(found.high):.1f}" y2="{at:.1f}"/>'
                f'<circle class="dot {style}" cx="{scale(found.value):.1f}" cy="{at:.1f}" r="4"/>'
            )
            parts.append(_text(WIDTH - 52, at + 4, f"{found.value:.3f}", "start"))
    return _svg(title, height, parts)


def curve_plot(title: str, losses: Sequence[tuple[float, float]], scores: Sequence[tuple[float, float]]) -> str:
    """Training loss (left scale) and validation macro-F1 (right scale) over the steps.

    Args:
        title: What is shown.
        losses: Step and loss.
        scores: Step and macro-F1.
    """
    height, top, bottom = 290, 34, 250
    steps = [step for step, _ in (*losses, *scores)]
    across = _Scale(0, round_up(max(steps, default=1)), 56, WIDTH - 56)
    parts = [_legend(["training loss (left)", "validation macro-F1 (right)"], 56)]
    highest = round_up(max((loss for _, loss in losses), default=1.0))
    for series, points, top_value, side in ((0, losses, highest, 48), (1, scores, 1.0, WIDTH - 48)):
        scale = _Scale(0, top_value, bottom, top)
        path = " ".join(f"{across(step):.1f},{scale(value):.1f}" for step, value in points)
        parts.append(f'<polyline class="line {SERIES[series]}" points="{path}"/>')
        if series == 1:
            parts.extend(
                f'<circle class="dot b" cx="{across(step):.1f}" cy="{scale(value):.1f}" r="3.5"/>'
                for step, value in points
            )
        for share in (0, 0.25, 0.5, 0.75, 1):
            value = top_value * share
            parts.append(_text(side, scale(value) + 4, f"{value:.2f}", "end" if series == 0 else "start"))
            if series == 0:
                parts.append(
                    f'<line class="grid" x1="56" y1="{scale(value):.1f}" x2="{WIDTH - 56}" y2="{scale(value):.1f}"/>'
                )
    parts.extend(
        _text(across(across.high * share), bottom + 18, f"{across.high * share:,.0f}", "middle")
        for share in (0, 0.25, 0.5, 0.75, 1)
    )
    parts.append(_text(WIDTH / 2, height - 4, "training step", "middle"))
    return _svg(title, height, parts)


def trade_off_plot(title: str, rows: Sequence[Mapping[str, Any]], front: Sequence[str], chosen: str | None) -> str:
    """Size against speed; macro-F1 as text; a ring around the Pareto front, a filled dot for the pick.

    Args:
        title: What is shown.
        rows: Contents of benchmark.json.
        front: Names on the Pareto front.
        chosen: Name of the pick.
    """
    height, top, bottom = 330, 20, 280
    across = _Scale(0, round_up(max(row["size_bytes"] for row in rows) / 1e6 * 1.1), 56, WIDTH - 40)
    up = _Scale(0, round_up(max(row["speed_ratio"]["max"] for row in rows)), bottom, top)
    parts: list[str] = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        y, x = up(up.high * share), across(across.high * share)
        parts.append(f'<line class="grid" x1="56" y1="{y:.1f}" x2="{WIDTH - 40}" y2="{y:.1f}"/>')
        parts.append(_text(48, y + 4, f"{up.high * share:g}x", "end"))
        parts.append(_text(x, bottom + 18, f"{across.high * share:g} MB", "middle"))
    taken: list[tuple[float, float]] = []
    for row in sorted(rows, key=lambda row: row["speed_ratio"]["value"]):  # labels give way upward
        ratio, name = row["speed_ratio"], row["technique"]
        x, y = across(row["size_bytes"] / 1e6), up(ratio["value"])
        style = "b" if name == chosen else "a"
        parts.append(
            f'<line class="line {style} thin" x1="{x:.1f}" y1="{up(ratio["min"]):.1f}" '
            f'x2="{x:.1f}" y2="{up(ratio["max"]):.1f}"/>'
        )
        if name in front:
            parts.append(f'<circle class="ring {style}" cx="{x:.1f}" cy="{y:.1f}" r="10"/>')
        parts.append(f'<circle class="dot {style}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>')
        anchor, aside = ("start", 15) if x < WIDTH * 0.7 else ("end", -15)
        middle = x + aside * 4.5
        while any(abs(middle - other_x) < 125 and abs(y - other_y) < 30 for other_x, other_y in taken):
            y -= 6
        taken.append((middle, y))
        parts.append(_text(x + aside, y - 2, name, anchor, "name"))
        parts.append(_text(x + aside, y + 13, f"macro-F1 {row['quality']['macro_f1']['value']:.3f}", anchor))
    parts.append(_text(WIDTH / 2, height - 4, "size of the weights", "middle"))
    return _svg(title, height, parts)


def confusion_plot(title: str, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """True classes down, predicted classes across; shade by share of the true class.

    Args:
        title: What is shown.
        labels: Names of the classes.
        counts: `[true][predicted]`.
    """
    cell, left, top = 96, 110, 44
    parts = [_text(left + cell * len(labels) / 2, 14, "predicted", "middle")]
    for column, name in enumerate(labels):
        parts.append(_text(left + cell * (column + 0.5), 36, name, "middle", "name"))
    for number, (name, row) in enumerate(zip(labels, counts, strict=True)):
        y, total = top + 58 * number, max(1, sum(row))
        parts.append(_text(left - 10, y + 32, name, "end", "name"))
        for column, count in enumerate(row):
            x, share = left + cell * column, count / total
            parts.append(
                f'<rect class="cell" x="{x}" y="{y}" width="{cell - 3}" height="55" rx="4" '
                f'fill-opacity="{0.06 + 0.6 * share:.2f}"/>'
            )
            parts.append(_text(x + cell / 2, y + 25, f"{count:,}", "middle", "name"))
            parts.append(_text(x + cell / 2, y + 43, f"{share:.0%}", "middle"))
    return _svg(title, top + 58 * len(labels) + 6, parts, width=left + cell * len(labels) + 10)


@dataclass(frozen=True)
class _Scale:
    """Maps values from `lowest`..`high` to `start`..`end`."""

    lowest: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.lowest or 1.0
        return self.start + (value - self.lowest) / span * (self.end - self.start)


def round_up(value: float) -> float:
    """The least end of a scale whose quarters are round numbers."""
    step = max(value, 1e-9) / 4
    unit = 10 ** math.floor(math.log10(step))
    return 4 * unit * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * unit >= step * (1 - 1e-9))


def _svg(title: str, height: float, parts: Sequence[str], width: float = WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" style="max-width:{width:.0f}px">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{style}">{escape(text)}</text>'


def _legend(names: Sequence[str], left: float) -> str:
    parts: list[str] = []
    x = left
    for index, name in enumerate(names):
        parts.append(f'<circle class="dot {SERIES[index]}" cx="{x + 5:.0f}" cy="12" r="4"/>')
        parts.append(_text(x + 15, 16, name, "start"))
        x += 35 + 7.2 * len(name)
    return "".join(parts)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
