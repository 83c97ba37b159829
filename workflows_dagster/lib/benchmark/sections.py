"""What the report says of data and model, gathered from the reports of the steps before it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl
import yaml

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.benchmark.quality import class_ids
from workflows_dagster.lib.errors import NotPublishedError
from workflows_dagster.lib.metrics import confusion
from workflows_dagster.lib.schema import LABEL_SOURCES, LABELS, SPLITS

BUNDLED_SOURCES: Final = Path(__file__).parents[1] / "sample" / "sources.yaml"
FEW_ROWS: Final = 100
"""Gold rows below which the report warns of the width of their interval."""
Section = dict[str, Any]


class Missing:
    """Collects what could not be told, so that the report says it instead of leaving it out."""

    def __init__(self) -> None:
        self.notes: list[dict[str, str]] = []

    def note(self, section: str, why: str) -> None:
        """Records that a section lacks something."""
        self.notes.append({"section": section, "why": why})

    def report(self, artifact: Artifact | None, section: str, name: str) -> Section:
        """The report of an artifact; empty, and noted, where there is none."""
        if artifact is None:
            self.note(section, f"{name} was not given")
            return {}
        try:
            return dict(artifact.report())
        except (NotPublishedError, ValueError) as error:
            self.note(section, f"the report of {name} cannot be read: {error}")
            return {}

    def counts(self, report: Mapping[str, Any], key: str, section: str, name: str) -> dict[str, int]:
        """A mapping of counts in a report; empty, and noted, where it is not there."""
        found = report.get(key)
        if isinstance(found, Mapping):
            order = {name: number for number, name in enumerate((*LABELS, *SPLITS))}
            names = sorted(map(str, found), key=lambda name: (order.get(name, len(order)), name))
            return {name: int(found[name]) for name in names}
        if report:
            self.note(section, f"the report of {name} does not say {key!r}")
        return {}


def data_section(
    raw: Sequence[Artifact], cleaned: Sequence[Artifact], corpus: Artifact | None, missing: Missing
) -> Section:
    """Rows in, kept and rejected of each source and step, with the reasons."""
    sources: dict[str, Counter[str]] = {}
    source_of: dict[str | None, str] = {}
    reasons: Counter[tuple[str, str, str]] = Counter()
    if not raw or not cleaned:
        missing.note("data", "no batch of raw_reviews or cleaned_reviews was given: rows per source are unknown")
    for artifact in raw:
        report = missing.report(artifact, "data", f"raw_reviews {artifact.partition}")
        source = source_of[artifact.partition] = str(report.get("source", artifact.partition))
        counts = sources.setdefault(source, Counter())
        counts["rows_in"] += int(report.get("rows_in", 0))
        counts["skipped_by_limit"] += int(report.get("rows_skipped_by_limit", 0))
        counts["rejected_reading"] += int(report.get("rows_rejected", 0))
        reasons.update({(source, "reading", reason): rows for reason, rows in (report.get("reasons") or {}).items()})
    for artifact in cleaned:
        report = missing.report(artifact, "data", f"cleaned_reviews {artifact.partition}")
        source = source_of.get(artifact.partition, str(artifact.partition))
        counts = sources.setdefault(source, Counter())
        counts["rejected_cleaning"] += int(report.get("rows_rejected", 0))
        counts["cleaned"] += int(report.get("rows_kept", 0))
        reasons.update({(source, "cleaning", reason): rows for reason, rows in (report.get("reasons") or {}).items()})
    merged = missing.report(corpus, "data", "review_corpus")
    kept = missing.counts(merged, "sources", "data", "review_corpus")
    bundled = bundled_sources()
    rows: list[dict[str, Any]] = [
        {"source": source, "made_up": source in bundled, **counts, "in_corpus": kept.get(source)}
        for source, counts in sorted(sources.items())
    ]
    return {
        "sources": rows,
        "made_up": sorted(row["source"] for row in rows if row["made_up"]),
        "reasons": [
            {"source": source, "step": step, "reason": reason, "rows": count}
            for (source, step, reason), count in sorted(reasons.items())
            if count
        ],
        "duplicates": _total(merged.get("rows_duplicate")),
        "left_out": _total(merged.get("rows_left_out", 0)),
        "rows_kept": merged.get("rows_kept"),
        "labels": missing.counts(merged, "labels", "data", "review_corpus"),
        "splits": missing.counts(merged, "splits", "data", "review_corpus"),
        "conflicts": merged.get("conflicts", {}),
    }


def label_section(training: Artifact | None, missing: Missing) -> Section:
    """Where labels come from, and whether people have answered the pilot."""
    report = missing.report(training, "labels", "training_reviews")
    status = report.get("status")
    return {
        "sources": missing.counts(report, "label_sources", "labels", "training_reviews"),
        "status": status,
        "human_rows": report.get("human_rows"),
        "weak_only": bool(report) and not report.get("human_rows"),
    }


def synthetic_section(synthetic: Artifact | None, augmented: Artifact | None, missing: Missing) -> Section:
    """How many generated rows were kept, why the others were not, and what people said of them."""
    report = missing.report(synthetic, "synthetic data", "validated_synthetic_reviews")
    trained_on = missing.report(augmented, "synthetic data", "augmented_reviews") if augmented else {}
    return {
        "rows_in": report.get("rows_in"),
        "rows_kept": report.get("rows_kept"),
        "rows_rejected": report.get("rows_rejected"),
        "reasons": {name: rows for name, rows in (report.get("reasons") or {}).items() if rows},
        "generator": report.get("generator"),
        "stand_in": report.get("generator_is_stand_in"),
        "rows_trained_on": trained_on.get("rows_synthetic", report.get("rows_kept")),
        "review": (trained_on.get("review") or {}).get("sentence"),
    }


def model_section(adapter: Artifact | None, missing: Missing) -> Section:
    """The classifier and its baseline on the same test rows."""
    report = missing.report(adapter, "model", "lora_adapter")
    for key in ("model", "baseline"):
        if report and key not in report:
            missing.note("model", f"the report of lora_adapter does not say {key!r}")
    section: Section = {
        key: report.get(key)
        for key in ("model", "baseline", "macro_f1_gain", "recipe", "truncation", "rows", "training", "base_model")
    }
    section["curve"] = _curve(adapter, missing)
    section["confusion"] = _confusion(adapter, missing)
    return section


def gold_section(model: Section) -> Section | None:
    """Scores on the test rows that people labelled, beside those on each kind of weak label.

    Args:
        model: What `model_section` gave.

    Returns:
        None where the report of the model does not tell its scores by origin of the label.
    """
    ours = (model["model"] or {}).get("per_label_source")
    if ours is None:
        return None
    linear = (model["baseline"] or {}).get("per_label_source") or {}
    order = {"human": -1} | {name: number for number, name in enumerate(LABEL_SOURCES) if name != "human"}
    rows = [
        {"label_source": name, "n": ours[name]["n"], "model": ours[name], "baseline": linear.get(name)}
        for name in sorted(ours, key=lambda name: (order.get(name, len(order)), name))
    ]
    count = ours["human"]["n"] if "human" in ours else 0
    return {"n": count, "rows": rows if count else [], "note": _gold_note(count)}


def bundled_sources() -> set[str]:
    """Names of the sources of the bundled sample, whose reviews are made up."""
    if not BUNDLED_SOURCES.is_file():
        return set()
    described = yaml.safe_load(BUNDLED_SOURCES.read_text("utf-8"))
    listed = described.get("sources", []) if isinstance(described, dict) else []
    return set(listed) if isinstance(listed, dict) else {str(source["name"]) for source in listed}


def _gold_note(count: int) -> str | None:
    """What to know of a score on so many gold rows."""
    if count == 0:
        return "No test row has a label by people yet."
    if count < FEW_ROWS:
        return (
            f"Only {count} of the test rows {'has' if count == 1 else 'have'} a label by people: with fewer than "
            f"{FEW_ROWS}, the interval is wide and itself uncertain."
        )
    return None


def _total(rows: object) -> int | None:
    if isinstance(rows, Mapping):
        return sum(int(count) for count in rows.values())
    return int(rows) if isinstance(rows, int) else None


def _curve(adapter: Artifact | None, missing: Missing) -> dict[str, list[tuple[float, float]]]:
    """Points of the learning curve: training loss and validation macro-F1 by step."""
    if adapter is None:
        return {"loss": [], "macro_f1": []}
    try:
        records = json.loads(adapter.file("curve.json").read_text("utf-8"))
    except (NotPublishedError, ValueError) as error:
        missing.note("model", f"there is no learning curve: {error}")
        records = []
    return {
        "loss": [(row["step"], row["loss"]) for row in records if "loss" in row],
        "macro_f1": [(row["step"], row["eval_macro_f1"]) for row in records if "eval_macro_f1" in row],
    }


def _confusion(adapter: Artifact | None, missing: Missing) -> list[list[int]] | None:
    if adapter is None:
        return None
    try:
        path = adapter.file("test_predictions.parquet")
    except NotPublishedError as error:
        missing.note("model", f"there is no confusion matrix: {error}")
        return None
    rows = pl.read_parquet(path, columns=["label", "predicted"])
    return confusion(class_ids(rows["label"].to_list()), class_ids(rows["predicted"].to_list()), len(LABELS)).tolist()
