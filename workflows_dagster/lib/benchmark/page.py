"""The report as a page and as Markdown, from templates beside this module."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from workflows_dagster.lib.benchmark import figures
from workflows_dagster.lib.benchmark.export_benchmark import SpeedRatio
from workflows_dagster.lib.benchmark.report import ReportInputs, ReportRecord, compile_report
from workflows_dagster.lib.benchmark.settings import ReportSettings
from workflows_dagster.lib.finetuning.adapter import AdapterRecord
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.schema import LABEL_SOURCES, LABELS, SPLITS

HTML_FILE: Final = "report.html"
MARKDOWN_FILE: Final = "report.md"
TEMPLATES: Final = Path(__file__).parent
ABSENT: Final = "n/a"
FEW_ROWS: Final = 100
"""Gold rows below which the page warns of the width of their interval."""
MEMORY_NOTE: Final = (
    "most resident memory of a fresh process that loaded this artefact alone: interpreter, libraries, weights, "
    "tokenizer and the activations of the timed batches"
)
UNBROKEN: Final = "\N{NO-BREAK SPACE}"
MARKUP: Final = str.maketrans({**{mark: f"\\{mark}" for mark in "\\`*_[]|#"}, "<": "&lt;", ">": "&gt;"})
"""What would end a cell of a Markdown table or start markup in it."""


def build_report(inputs: ReportInputs, settings: ReportSettings, folder: Path) -> ReportRecord:
    """Writes report.html, report.md and report.json.

    Args:
        inputs: What the report tells of.
        settings: Margins of the pick.
        folder: Where to write.
    """
    record = compile_report(inputs, settings)
    record.write(folder)
    (folder / HTML_FILE).write_text(render_html(record), "utf-8")
    (folder / MARKDOWN_FILE).write_text(render_markdown(record), "utf-8")
    return record


def render_html(report: ReportRecord) -> str:
    """The report as one page that loads nothing from elsewhere; all texts are escaped."""
    from markupsafe import Markup

    drawn = {name: Markup(svg) for name, svg in figures.draw(report).items()}
    return _render("report.html.j2", report, autoescape=True, plots=drawn)


def render_markdown(report: ReportRecord) -> str:
    """The report as Markdown; what could end a cell or start markup in it is escaped."""
    return _render("report.md.j2", report, autoescape=False)


def _render(template: str, report: ReportRecord, *, autoescape: bool, **more: Any) -> str:
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
    return environment.get_template(template).render(
        report=report,
        labels=in_order(report.corpus.labels),
        splits=in_order(report.corpus.splits),
        augmented=report.augmented,
        synthetic=report.augmented.validation,
        label_sources=report.label_sources,
        human_rows=report.label_sources.get("human", 0),
        adapter=report.adapter,
        benchmarks=report.benchmarks,
        pick=report.pick,
        notices=report.notices,
        missing=report.missing,
        provenance=report.provenance,
        gold_rows=gold_rows(report.adapter),
        gold_note=gold_note(report.adapter.model.gold),
        memory_note=MEMORY_NOTE,
        label_names=LABELS,
        **more,
    )


def gold_rows(adapter: AdapterRecord) -> list[tuple[str, Estimate, Estimate | None]]:
    """Origin of the label and macro-F1 of model and baseline on such test rows, gold rows first; none without gold."""
    ours, linear = adapter.model.per_label_source, adapter.baseline.per_label_source
    if adapter.model.gold is None:
        return []
    names = sorted(ours, key=lambda name: (name != "human", LABEL_SOURCES.index(name)))
    return [
        ("by people (gold)" if name == "human" else f"weak: {name}", ours[name], linear.get(name)) for name in names
    ]


def gold_note(gold: Estimate | None) -> str:
    """What to know of a score on so many gold rows; empty where there is nothing to say."""
    if gold is None:
        return "No test row has a label by people yet."
    if gold.n < FEW_ROWS:
        return (
            f"Only {gold.n} of the test rows {'has' if gold.n == 1 else 'have'} a label by people: with fewer than "
            f"{FEW_ROWS}, the interval is wide and itself uncertain."
        )
    return ""


def in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts of labels or splits, in the order of the schema."""
    order = [*LABELS, *SPLITS]
    return {name: counts[name] for name in sorted(counts, key=order.index)}


def count(value: int) -> str:
    """With commas between thousands."""
    return f"{value:,}"


def number(value: float, digits: int = 1) -> str:
    """With so many decimals."""
    return f"{value:,.{digits}f}"


def megabytes(value: int) -> str:
    """Bytes as megabytes of 1,000,000."""
    return f"{value / 1e6:,.1f}"


def interval(found: Estimate | None) -> str:
    """A value with its interval."""
    return f"{found.value:.3f} [{found.low:.3f},{UNBROKEN}{found.high:.3f}]" if found else ABSENT


def span(found: SpeedRatio) -> str:
    """A speed with its interval."""
    return f"{found.value:.2f} [{found.low:.2f},{UNBROKEN}{found.high:.2f}]"


def signed(found: Estimate) -> str:
    """A difference with its interval."""
    return f"{found.value:+.3f} [{found.low:+.3f},{UNBROKEN}{found.high:+.3f}]"


def cell(value: object) -> str:
    """A text inside a cell of a Markdown table."""
    return " ".join(str(value).split()).translate(MARKUP)
