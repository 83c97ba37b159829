"""What must hold of benchmarks and of their report before they are published."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import polars as pl

from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.benchmark.export_benchmark import PREDICTIONS_FILE, BenchmarkRecord
from workflows_dagster.lib.benchmark.page import HTML_FILE
from workflows_dagster.lib.benchmark.report import ReportRecord
from workflows_dagster.lib.export.registry import REGISTRY

LOADING: Final = frozenset({"src", "srcset", "poster", "data", "action", "background", "xlink:href"})
LINKING: Final = frozenset({"link", "use", "image", "base"})
"""Elements whose href is loaded, not followed by a reader."""
STYLED: Final = re.compile(r"""@import\b|url\(\s*["']?(?!data:|\#)""", re.IGNORECASE)


class _Fetches(HTMLParser):
    """Collects what makes a browser load something from elsewhere; links that a reader follows are no fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        for name, value in attrs:
            target = (value or "").strip()
            loads = name in LOADING or (name == "href" and tag in LINKING)
            local = target.startswith(("data:", "#"))
            if (loads and not local) or (name == "style" and STYLED.search(target)):
                self.found.append(f"{tag} {name}={target[:60]}")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.found.extend(f"style {match.group(0)}" for match in STYLED.finditer(data))


def fetches(page: str) -> list[str]:
    """What a browser would load from elsewhere to show a page."""
    parser = _Fetches()
    parser.feed(page)
    parser.close()
    return parser.found


def judge_rows(folder: Path) -> Verdict:
    """Every row that was measured has its prediction, once."""
    record = BenchmarkRecord.read(folder)
    ids = pl.read_parquet(folder / PREDICTIONS_FILE, columns=["review_id"], glob=False)["review_id"]
    measured = [record.rows, record.quality.macro_f1.n, record.agreement.n]
    return Verdict(
        set(measured) == {ids.len()} and ids.n_unique() == ids.len(),
        f"{ids.len()} predictions of {ids.n_unique()} rows; metrics over {measured} rows",
        {"benchmark/predictions": ids.len(), "benchmark/test_rows": record.rows},
    )


def judge_self_contained(folder: Path) -> Verdict:
    """The page loads nothing from elsewhere."""
    found = fetches((folder / HTML_FILE).read_text("utf-8"))
    return Verdict(not found, f"loads from elsewhere: {found[:5]}" if found else "the page loads nothing")


def judge_techniques(folder: Path) -> Verdict:
    """Every technique of the registry is in the report."""
    present = {one.technique for one in ReportRecord.read(folder).benchmarks}
    missing = sorted(REGISTRY.keys() - present)
    text = f"not benchmarked yet: {', '.join(missing)}" if missing else f"all {len(REGISTRY)} techniques are there"
    return Verdict(not missing, text, {"benchmark/techniques": len(present)})


EXPORT_BENCHMARKS: Final = (
    Audit(
        "cover_every_row",
        "Accuracy, agreement and predictions are about the same rows, each once.",
        judge_rows,
    ),
)

BENCHMARK_REPORT: Final = (
    Audit("self_contained", "report.html loads nothing from elsewhere.", judge_self_contained),
    Audit(
        "covers_every_technique",
        "Every compression technique is in the report.",
        judge_techniques,
        blocking=False,
    ),
)
