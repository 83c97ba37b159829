"""The report of the whole chain: one page, the same as markdown and JSON, and a summary for the terminal."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from workflows_dagster.lib.artifact import REPORT_FILE, Artifact, write_report
from workflows_dagster.lib.benchmark import sections
from workflows_dagster.lib.benchmark.measuring import BENCHMARK_FILE
from workflows_dagster.lib.benchmark.page import render_html, render_markdown
from workflows_dagster.lib.benchmark.picking import pick
from workflows_dagster.lib.benchmark.settings import ReportSettings
from workflows_dagster.lib.export.registry import REGISTRY

HTML_FILE: Final = "report.html"
MARKDOWN_FILE: Final = "report.md"
SUMMARY_FILE: Final = "summary.json"


@dataclass(frozen=True)
class ReportInputs:
    """What the report is about; what is None or empty is reported as missing.

    Attributes:
        benchmarks: Partitions of technique_benchmarks.
        adapter: lora_adapter.
        raw: Partitions of raw_reviews.
        cleaned: Partitions of cleaned_reviews.
        corpus: review_corpus.
        training: training_reviews.
        synthetic: validated_synthetic_reviews.
        augmented: augmented_reviews.
    """

    benchmarks: Sequence[Artifact]
    adapter: Artifact | None = None
    raw: Sequence[Artifact] = ()
    cleaned: Sequence[Artifact] = ()
    corpus: Artifact | None = None
    training: Artifact | None = None
    synthetic: Artifact | None = None
    augmented: Artifact | None = None

    def artifacts(self) -> list[Artifact]:
        """What the report is made of, as provenance: all but benchmarks of another model, which it leaves out."""
        single = (self.corpus, self.training, self.synthetic, self.augmented, self.adapter)
        measured = (one for one, row in _measured(self.benchmarks) if _is_of(row, self.adapter))
        return [*self.raw, *self.cleaned, *(one for one in single if one is not None), *measured]


@dataclass(frozen=True)
class ReportResult:
    """The report's summary: the content of summary.json."""

    summary: Mapping[str, Any]

    def to_metadata(self) -> Mapping[str, object]:
        """What the asset shows."""
        macro_f1 = self.summary["macro_f1"]
        metadata: dict[str, object] = {
            "benchmark/pick": self.summary["pick"] or "none qualified",
            "benchmark/pick_reason": self.summary["pick_reason"],
            "benchmark/techniques": len(self.summary["techniques"]),
            "benchmark/missing": list(self.summary["missing"]),
            "benchmark/notices": list(self.summary["notices"]),
        }
        if macro_f1:
            metadata |= {"benchmark/macro_f1": macro_f1["value"], "benchmark/macro_f1_low": macro_f1["low"]}
        return metadata


def build_report(inputs: ReportInputs, settings: ReportSettings, folder: Path) -> ReportResult:
    """Writes report.html, report.md, report.json and summary.json.

    Args:
        inputs: What the report is about.
        settings: Margins of the pick.
        folder: Where to write.
    """
    report = gather(inputs, settings)
    write_report(folder, report)
    (folder / HTML_FILE).write_text(render_html(report), "utf-8")
    (folder / MARKDOWN_FILE).write_text(render_markdown(report), "utf-8")
    summary = summarize(report)
    text = json.dumps(summary, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / SUMMARY_FILE).write_text(text + "\n", "utf-8")
    return ReportResult(summary)


def gather(inputs: ReportInputs, settings: ReportSettings) -> dict[str, Any]:
    """The content of report.json: every section, what is missing and where it all comes from."""
    missing = sections.Missing()
    rows, outdated = _benchmarks(inputs.benchmarks, inputs.adapter)
    if outdated:
        missing.note("compression", f"left out, because measured on another model: {', '.join(outdated)}")
    absent = sorted(REGISTRY.keys() - {row["technique"] for row in rows})
    if absent:
        missing.note("compression", f"not benchmarked yet: {', '.join(absent)}")
    report: dict[str, Any] = {
        "data": sections.data_section(inputs.raw, inputs.cleaned, inputs.corpus, missing),
        "labels": sections.label_section(inputs.training, missing),
        "synthetic": sections.synthetic_section(inputs.synthetic, inputs.augmented, missing),
        "model": sections.model_section(inputs.adapter, missing),
        "techniques": rows,
        "pick": asdict(pick(rows, settings)),
        "machine": rows[0]["machine"] if rows else None,
        "provenance": [_origin(artifact) for artifact in inputs.artifacts()],
    }
    report["gold"] = sections.gold_section(report["model"])
    report["notices"] = notices(report)
    report["missing"] = missing.notes
    return report


def notices(report: Mapping[str, Any]) -> list[str]:
    """What a reader has to know before any number: stand-ins, weak labels, made-up data, several machines."""
    found: list[str] = []
    if made_up := report["data"]["made_up"]:
        found.append(
            f"Reviews of {', '.join(made_up)} are the bundled sample: made up, to show the chain. No figure here says "
            "how the model does on real reviews."
        )
    if report["labels"]["weak_only"]:
        found.append(
            "All labels are weak (from stars or given by the source): the annotation pilot is waiting for people."
        )
    if report["synthetic"]["rows_trained_on"]:
        maker = {True: "the embedded stand-in generator", False: "a generator"}.get(
            report["synthetic"]["stand_in"], "a generator that its report does not name as stand-in or real"
        )
        found.append(f"Synthetic training rows were made by {maker}. Whether they help has not been shown.")
    if review := report["synthetic"]["review"]:
        found.append(f"{review}.")
    if len({json.dumps(row["machine"], sort_keys=True) for row in report["techniques"]}) > 1:
        found.append("The benchmarks are from different machines: compare ratios, not seconds.")
    return found


def summarize(report: Mapping[str, Any]) -> dict[str, Any]:
    """The few figures that the terminal shows."""
    data, model = report["data"], report["model"]
    sources = data["sources"]
    baseline = model["baseline"] or {}
    return {
        "rows_in": sum(row.get("rows_in", 0) for row in sources) if sources else None,
        "rows_kept": data["rows_kept"],
        "rows_rejected": sum(row.get("rejected_reading", 0) + row.get("rejected_cleaning", 0) for row in sources)
        if sources
        else None,
        "rows_duplicate": data["duplicates"],
        "rows_left_out": data["left_out"],
        "rows_skipped_by_limit": sum(row.get("skipped_by_limit", 0) for row in sources),
        "labels": data["labels"],
        "label_sources": report["labels"]["sources"],
        "macro_f1": (model["model"] or {}).get("macro_f1"),
        "baseline": {"name": baseline.get("name"), "macro_f1": baseline.get("macro_f1")},
        "gold": _gold_figures(report["gold"]),
        "techniques": [
            {
                "technique": row["technique"],
                "size_bytes": row["size_bytes"],
                "speed_ratio": row["speed_ratio"]["value"],
                "reviews_per_s": row["throughput"]["median_reviews_per_s"],
                "latency_p50_ms": row["latency"]["p50_ms"],
                "peak_memory_bytes": row["peak_memory_bytes"],
                "macro_f1": row["quality"]["macro_f1"],
                "agreement": row["agreement"],
            }
            for row in report["techniques"]
        ],
        "pick": report["pick"]["technique"],
        "pick_reason": report["pick"]["reason"],
        "notices": report["notices"],
        "missing": [f"{note['section']}: {note['why']}" for note in report["missing"]],
        "report": HTML_FILE,
        "files": [HTML_FILE, MARKDOWN_FILE, REPORT_FILE],
    }


def _gold_figures(gold: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Macro-F1 of model and baseline on the rows that people labelled; None where there are none."""
    if not gold or not gold["n"]:
        return None
    people = next(row for row in gold["rows"] if row["label_source"] == "human")
    return {"macro_f1": people["model"], "baseline_macro_f1": people["baseline"]}


def _benchmarks(artifacts: Sequence[Artifact], adapter: Artifact | None) -> tuple[list[dict[str, Any]], list[str]]:
    """Contents of benchmark.json in the order of the registry, and the techniques measured on another model.

    A technique that fails for a new model leaves the benchmark of the model before it published.
    """
    order = {name: number for number, name in enumerate(REGISTRY)}
    rows = [row for _, row in _measured(artifacts)]
    rows.sort(key=lambda row: (order.get(row["technique"], len(order)), row["technique"]))
    current = [row for row in rows if _is_of(row, adapter)]
    return current, [row["technique"] for row in rows if row not in current]


def _measured(artifacts: Sequence[Artifact]) -> list[tuple[Artifact, dict[str, Any]]]:
    return [(one, json.loads(one.file(BENCHMARK_FILE).read_text("utf-8"))) for one in artifacts]


def _is_of(row: Mapping[str, Any], adapter: Artifact | None) -> bool:
    """Whether a benchmark is of the model that this adapter was merged into."""
    return adapter is None or row.get("adapter_commit") == adapter.commit


def _origin(artifact: Artifact) -> dict[str, str | None]:
    return {
        "asset": artifact.asset,
        "partition": artifact.partition,
        "commit": artifact.commit,
        "digest": artifact.digest,
    }
