"""Plots by matplotlib: a learning curve, and any figure as Markdown or as SVG in the colours of a page."""

import base64
import io
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, Final

from workflows_dagster.lib.artifact import Markdown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE_COLOURS: Final = {"ink": "#010203", "soft": "#040506", "rule": "#070809", "a": "#0a0b0c", "b": "#0d0e0f"}
"""Colours that stand for the CSS variables of a page: `to_svg` puts the variables in their place."""

PICTURE_COLOURS: Final = {"ink": "#1c2024", "soft": "#5b6570", "rule": "#dfe3e8", "a": "#2f6fdb", "b": "#c2510f"}
"""Colours of pictures on white."""

Points = Sequence[tuple[float, float]]


def new_figure(width: float, height: float) -> "Figure":
    """A figure of its own, in inches. Not pyplot's: no global state, and no display is looked for."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


@contextmanager
def page_style(colours: Mapping[str, str] = PAGE_COLOURS) -> Generator[None]:
    """Figures that are drawn inside take these colours; "C0", "C1" and "C2" are `a`, `b` and `soft`."""
    import matplotlib as mpl
    from matplotlib.rcsetup import cycler

    ink, soft, rule = (colours[name] for name in ("ink", "soft", "rule"))
    style: Any = {
        "axes.prop_cycle": cycler(color=[colours["a"], colours["b"], soft]),
        "svg.fonttype": "none",  # text stays text, in the font of the page
        "svg.hashsalt": "workflows_dagster",  # else every drawing has other ids
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": ink,
        "axes.labelcolor": soft,
        "axes.edgecolor": rule,
        "axes.facecolor": "none",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": "none",
        "grid.color": rule,
        "grid.linewidth": 0.8,
        "xtick.color": rule,
        "ytick.color": rule,
        "xtick.labelcolor": soft,
        "ytick.labelcolor": soft,
        "legend.frameon": False,
        "legend.labelcolor": soft,
    }
    with mpl.rc_context(style):
        yield


def learning_curve(
    losses: Points, scores: Points, best_step: int, baseline_macro_f1: float, colours: tuple[str, str]
) -> "Figure":
    """Training loss and validation macro-F1 over the steps, with the kept step and the baseline marked.

    Args:
        losses: Step and training loss.
        scores: Step and macro-F1 on the validation rows.
        best_step: The step whose weights were kept.
        baseline_macro_f1: Macro-F1 of the linear baseline on the same validation rows.
        colours: Of the loss, and of the macro-F1.
    """
    figure = new_figure(5, 3)
    left = figure.add_subplot()
    left.plot(*_columns(losses), color=colours[0], label="training loss (left)")
    left.set_xlabel("optimizer step")
    left.set_ylabel("training loss")
    left.set_ylim(bottom=0)
    right = left.twinx()
    right.grid(visible=False)
    right.plot(*_columns(scores), color=colours[1], marker="o", label="validation macro-F1 (right)")
    right.axhline(baseline_macro_f1, color=colours[1], linestyle="--", linewidth=1.2, label="linear baseline (right)")
    right.axvline(best_step, color=colours[0], linestyle=":", label=f"kept: step {best_step:,}")
    right.set_ylabel("macro-F1")
    right.set_ylim(0, 1)
    figure.legend(loc="outside upper center", ncols=2, fontsize="small")
    return figure


def to_markdown(figure: "Figure", title: str) -> Markdown:
    """A figure as a picture inside Markdown."""
    return Markdown(f"![{title}](data:image/png;base64,{base64.b64encode(to_png(figure)).decode()})")


def to_png(figure: "Figure") -> bytes:
    """A figure as a picture on white."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110, facecolor="white")
    return picture.getvalue()


def to_svg(figure: "Figure", title: str) -> str:
    """A figure as an inline SVG that grows and shrinks with the page and takes its colours and font.

    Args:
        figure: Drawn in `page_style`, with PAGE_COLOURS.
        title: What is shown, for readers who cannot see it.
    """
    picture = io.StringIO()
    figure.savefig(picture, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = picture.getvalue()
    box = re.search(r'viewBox="[^"]+"', svg)
    if box is None:
        raise RuntimeError("matplotlib writes every SVG with a viewBox")
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    # A style sheet would reach the whole page, and ids that nothing refers to would be in it once for each figure.
    body = re.sub(r'<style type="text/css">.*?</style>', "", body, flags=re.DOTALL)
    referred = set(re.findall(r"#([\w.-]+)", body))
    body = re.sub(r' id="([\w.-]+)"', lambda match: match[0] if match[1] in referred else "", body)
    body = re.sub(r"font: ([0-9.]+)px [^;\"]*", r"font-size: \1px", body)
    body = body.replace("xlink:href", "href")
    for name, colour in PAGE_COLOURS.items():
        body = body.replace(colour, f"var(--{name})")
    width = figure.get_size_inches()[0] * 96
    label = escape(title)
    return f'<svg {box[0]} role="img" aria-label="{label}" style="max-width:{width:.0f}px"><title>{label}</title>{body}'


def _columns(points: Points) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
