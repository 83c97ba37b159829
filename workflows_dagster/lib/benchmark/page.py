"""The report as a page and as Markdown, from templates beside this module.

The worst misses quote reviews. They are on the page alone: the store keeps HTML under LFS, where it can be forgotten,
while records and Markdown stay in the history for good.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any, Final

import yaml

from workflows_dagster.lib.benchmark import figures
from workflows_dagster.lib.benchmark.export_benchmark import BenchmarkRecord, SpeedRatio
from workflows_dagster.lib.benchmark.report import ReportInputs, ReportRecord, compile_report
from workflows_dagster.lib.benchmark.settings import ReportSettings
from workflows_dagster.lib.benchmark.slices import FEW_ROWS, KINDS, Miss
from workflows_dagster.lib.finetuning.adapter import AdapterRecord
from workflows_dagster.lib.metrics import TOO_FEW_ROWS, Estimate
from workflows_dagster.lib.schema import LABEL_SOURCES, LABELS, SPLITS

HTML_FILE: Final = "report.html"
MARKDOWN_FILE: Final = "report.md"
TEMPLATES: Final = Path(__file__).parent
ABSENT: Final = "n/a"
UNRELEASED: Final = '<dd id="release">not released yet</dd>'
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
        settings: Margins and noise bands of the pick.
        folder: Where to write.
    """
    record = compile_report(inputs, settings)
    record.write(folder)
    (folder / HTML_FILE).write_text(render_html(record, inputs.misses), "utf-8")
    (folder / MARKDOWN_FILE).write_text(render_markdown(record), "utf-8")
    return record


def render_html(report: ReportRecord, misses: Sequence[Miss]) -> str:
    """The report as one page that loads nothing from elsewhere; all texts are escaped."""
    from markupsafe import Markup

    drawn = {name: Markup(svg) for name, svg in figures.draw(report).items()}
    return _render("report.html.j2", report, autoescape=True, plots=drawn, misses=misses)


def render_markdown(report: ReportRecord) -> str:
    """The report as Markdown, without texts of reviews; what could end a cell or start markup in it is escaped."""
    return _render("report.md.j2", report, autoescape=False)


def released_page(page: str, release: str) -> str:
    """The page of a report with the name of the release that was made of it; a report is made before its release."""
    return page.replace(UNRELEASED, UNRELEASED.replace("not released yet", escape(release)), 1)


def candidate_table(report: ReportRecord) -> list[dict[str, str]]:
    """What was measured of each artefact, one row each under headings with units; the pick first."""
    measured = {one.technique: one for one in report.benchmarks}
    return [
        {"artefact": verdict.technique, "verdict": verdict.outcome, **_figures_of(measured[verdict.technique])}
        for verdict in report.pick.verdicts
    ]


def _figures_of(one: BenchmarkRecord) -> dict[str, str]:
    return {
        "speed, times the merged model": span(one.speed_ratio),
        "reviews/s": number(one.throughput.median_reviews_per_s, 0),
        "latency p50, ms": number(one.latency.p50_ms),
        "p95, ms": number(one.latency.p95_ms),
        "load, s": number(one.load_s, 2),
        "peak memory, MB": number(one.peak_memory_bytes / 1e6, 0),
        "on disk, MB": megabytes(one.size_bytes),
        "agreement": interval(one.agreement),
        "flips": count(one.flips),
        "macro-F1": interval(one.quality.macro_f1),
        "change of macro-F1": signed(one.macro_f1_difference),
    }


def _render(template: str, report: ReportRecord, *, autoescape: bool, **more: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"count": count, "interval": interval, "signed": signed, "number": number, "cell": cell}
    environment.filters.update(filters)
    return environment.get_template(template).render(
        report=report,
        labels=in_order(report.corpus.labels),
        splits=in_order(report.corpus.splits),
        augmented=report.augmented,
        synthetic=report.augmented.validation,
        human_rows=report.label_sources.get("human", 0),
        adapter=report.adapter,
        benchmarks=report.benchmarks,
        candidates=candidate_table(report),
        pick=report.pick,
        slices={kind: found for kind in KINDS if (found := [one for one in report.slices if one.kind == kind])},
        too_few_rows=TOO_FEW_ROWS,
        few_rows=FEW_ROWS,
        gold_rows=gold_rows(report.adapter),
        gold_note=gold_note(report.adapter.model.gold),
        memory_note=MEMORY_NOTE,
        label_names=LABELS,
        uses=uses(report),
        limits=limits(report),
        newest=moment(report.newest),
        commands=commands(report),
        config=yaml.safe_dump(report.config, sort_keys=True),
        **more,
    )


def uses(report: ReportRecord) -> list[str]:
    """What the model is for."""
    adapter, languages = report.adapter, _languages(report, enough=True)
    found = [
        f"Sorting reviews of goods and services into {', '.join(LABELS[:-1])} and {LABELS[-1]}, many at a time: for "
        "trends, for routing, and for alerts that a person looks at."
    ]
    if languages:
        found.append(f"Languages with at least {FEW_ROWS} test rows: {', '.join(languages)}.")
    if cut := adapter.truncation.get("test"):
        share = cut.rows_truncated / cut.rows if cut.rows else 0
        found.append(
            f"Reviews of up to {adapter.recipe.max_length:,} tokens. The rest of a longer one is not read: that was so "
            f"for {share:.1%} of the test rows."
        )
    return found


def limits(report: ReportRecord) -> list[str]:
    """What the model is not for."""
    found = [
        "Decisions about a single customer or employee without a person in between.",
        "Other texts than reviews, such as chats, news or e-mail: it was not tested on them.",
    ]
    if report.made_up:
        found.insert(0, "Any use on real reviews, before it is trained on some: it has learned from made-up ones.")
    if languages := _languages(report, enough=False):
        found.append(f"Claims about languages with fewer than {FEW_ROWS} test rows: {', '.join(languages)}.")
    if scores := report.adapter.model.per_class:
        weakest = min(scores, key=lambda label: scores[label].value)
        found.append(f"Trusting each class alike: {weakest} is the weakest, with an F1 of {scores[weakest].interval}.")
    return found


def _languages(report: ReportRecord, *, enough: bool) -> list[str]:
    of_language = [one for one in report.slices if one.kind == "language"]
    return [f"{one.name} ({one.rows:,})" for one in of_language if one.few is not enough]


def commands(report: ReportRecord) -> list[str]:
    """The commands that make the same report again."""
    bundled = bool(report.sources) and len(report.made_up) == len(report.sources)
    sample = ["workflows-dagster sample reviews"] if bundled else []
    sources = "reviews/sources.yaml" if bundled else "sources.yaml"
    return [*sample, f"workflows-dagster run --sources {sources} --config config.yaml"]


def moment(text: str | None) -> str:
    """An ISO 8601 time of UTC as people write it."""
    if not text:
        return "unknown"
    found = datetime.fromisoformat(text)
    return f"{found.day} {found:%B %Y, %H:%M} UTC"


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
    """A value with its interval, which is never broken over two lines."""
    return found.interval.replace(", ", f",{UNBROKEN}") if found else ABSENT


def span(found: SpeedRatio) -> str:
    """A speed with its interval."""
    return str(found).replace(", ", f",{UNBROKEN}")


def signed(found: Estimate) -> str:
    """A difference with its interval."""
    return f"{found.value:+.3f} [{found.low:+.3f},{UNBROKEN}{found.high:+.3f}]"


def cell(value: object) -> str:
    """A text inside a cell of a Markdown table."""
    return " ".join(str(value).split()).translate(MARKUP)
