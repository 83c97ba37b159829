"""The report as a page and as markdown, from templates beside this module."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workflows_dagster.lib.benchmark import figures
from workflows_dagster.lib.benchmark.figures import Interval
from workflows_dagster.lib.schema import LABELS

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES: Final = Path(__file__).parent
HTML_TEMPLATE: Final = "report.html.j2"
MARKDOWN_TEMPLATE: Final = "report.md.j2"
ABSENT: Final = "n/a"
UNBROKEN: Final = "\N{NO-BREAK SPACE}"
MARKUP: Final = str.maketrans({**{mark: f"\\{mark}" for mark in "\\`*_[]|#"}, "<": "&lt;", ">": "&gt;"})
"""What would end a cell of a markdown table or start markup in it."""


def render_html(report: Mapping[str, Any]) -> str:
    """The report as one page that loads nothing from elsewhere; all texts are escaped."""
    from markupsafe import Markup

    drawn = {name: Markup(svg) for name, svg in plots(report).items()}
    return _environment(autoescape=True).get_template(HTML_TEMPLATE).render(**report, plots=drawn, label_names=LABELS)


def render_markdown(report: Mapping[str, Any]) -> str:
    """The report as markdown; what could end a cell or start markup in it is escaped."""
    environment = _environment(autoescape=False)
    return environment.get_template(MARKDOWN_TEMPLATE).render(**report, label_names=LABELS)


def plots(report: Mapping[str, Any]) -> dict[str, str]:
    """The figures that there is data for, as SVG."""
    found: dict[str, str] = {}
    model = report["model"]
    ours, linear = model["model"], model["baseline"]
    for key, title in (("per_class", "F1 of each class"), ("per_source", "Macro-F1 on each source")):
        if ours and linear and ours.get(key):
            found[key] = figures.interval_plot(title, _pairs(ours[key], linear.get(key, {})))
    if report["gold"] and report["gold"]["n"]:
        found["gold"] = figures.interval_plot("Macro-F1 by origin of the label", _by_label_source(report["gold"]))
    if model["confusion"]:
        found["confusion"] = figures.confusion_plot("Confusion matrix on the test rows", LABELS, model["confusion"])
    if model["curve"]["loss"] or model["curve"]["macro_f1"]:
        found["curve"] = figures.curve_plot("Learning curve", model["curve"]["loss"], model["curve"]["macro_f1"])
    if report["techniques"]:
        choice = report["pick"]
        found["trade_off"] = figures.trade_off_plot(
            "Size and speed of each artefact", report["techniques"], choice["front"], choice["technique"]
        )
    return found


def _pairs(ours: Mapping[str, Any], linear: Mapping[str, Any]) -> list[tuple[str, dict[str, Interval]]]:
    rows: list[tuple[str, dict[str, Interval]]] = []
    for name, found in ours.items():
        series = {"fine-tuned model": _interval(found)}
        if name in linear:
            series["TF-IDF baseline"] = _interval(linear[name])
        rows.append((name, series))
    return rows


def _by_label_source(gold: Mapping[str, Any]) -> list[tuple[str, dict[str, Interval]]]:
    ours = {row["label_source"]: row["model"] for row in gold["rows"]}
    return _pairs(ours, {row["label_source"]: row["baseline"] for row in gold["rows"] if row["baseline"]})


def _interval(found: Mapping[str, float]) -> Interval:
    return Interval(found["value"], found["low"], found["high"])


def _environment(*, autoescape: bool) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count, interval=interval, signed=signed, megabytes=megabytes, number=number, cell=cell, span=span
    )
    return environment


def count(value: int | None) -> str:
    """Thousands apart; a dash where there is no number."""
    return ABSENT if value is None else f"{value:,}"


def number(value: float | None, digits: int = 1) -> str:
    """So many decimals; a dash where there is no number."""
    return ABSENT if value is None else f"{value:,.{digits}f}"


def megabytes(value: int | None) -> str:
    """Bytes as megabytes of 1,000,000."""
    return ABSENT if value is None else f"{value / 1e6:,.1f}"


def interval(found: Mapping[str, float] | None, digits: int = 3) -> str:
    """A value with its interval."""
    if not found:
        return ABSENT
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f},{UNBROKEN}{found['high']:.{digits}f}]"


def span(found: Mapping[str, float], digits: int = 2) -> str:
    """A value with the range it was seen in."""
    return f"{found['value']:.{digits}f} ({found['min']:.{digits}f}{UNBROKEN}to{UNBROKEN}{found['max']:.{digits}f})"


def signed(found: Mapping[str, float] | None) -> str:
    """A difference with its interval."""
    if not found:
        return ABSENT
    return f"{found['value']:+.3f} [{found['low']:+.3f},{UNBROKEN}{found['high']:+.3f}]"


def cell(value: object) -> str:
    """A text inside a cell of a markdown table."""
    return " ".join(str(value).split()).translate(MARKUP)
