"""One artefact measured: speed, memory, size, quality and agreement with the merged model."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.benchmark.quality import CLASSES, class_ids, quality
from workflows_dagster.lib.benchmark.settings import BenchmarkSettings
from workflows_dagster.lib.errors import IntegrityError
from workflows_dagster.lib.export.agreement import agreement
from workflows_dagster.lib.export.manifest import ExportManifest
from workflows_dagster.lib.export.merged import MergedModel
from workflows_dagster.lib.export.process import run_fresh
from workflows_dagster.lib.export.rows import held_out_rows
from workflows_dagster.lib.metrics import paired_bootstrap
from workflows_dagster.lib.schema import LABELS

BENCHMARK_FILE: Final = "benchmark.json"
PREDICTIONS_FILE: Final = "predictions.parquet"
WORKER: Final = "workflows_dagster.lib.benchmark.worker"
MEMORY_NOTE: Final = (
    "most resident memory of a fresh process that loaded this artefact alone: interpreter, libraries, weights, "
    "tokenizer and the activations of the timed batches"
)


@dataclass(frozen=True)
class BenchmarkReport:
    """What was measured of one artefact; `record` is the content of benchmark.json."""

    record: Mapping[str, Any]

    def to_metadata(self) -> Mapping[str, object]:
        """What the asset shows."""
        record = self.record
        return {
            "benchmark/macro_f1": record["quality"]["macro_f1"]["value"],
            "benchmark/macro_f1_low": record["quality"]["macro_f1"]["low"],
            "benchmark/accuracy": record["quality"]["accuracy"]["value"],
            "benchmark/agreement_ratio": record["agreement"]["value"],
            "benchmark/agreement_low_ratio": record["agreement"]["low"],
            "benchmark/flips": record["flips"],
            "benchmark/test_rows": record["rows"],
            "benchmark/speed_over_merged_ratio": record["speed_ratio"]["value"],
            "benchmark/throughput_reviews_per_s": record["throughput"]["median_reviews_per_s"],
            "benchmark/latency_p50_ms": record["latency"]["p50_ms"],
            "benchmark/latency_p95_ms": record["latency"]["p95_ms"],
            "benchmark/load_s": record["load_s"],
            "benchmark/peak_memory_bytes": record["peak_memory_bytes"],
            "benchmark/weights_bytes": record["size_bytes"],
            "benchmark/threads": record["threads"],
            "benchmark/machine": dict(record["machine"]),
        }


def benchmark_model(
    exported: Artifact, merged: Artifact, reviews: Artifact, settings: BenchmarkSettings, folder: Path
) -> BenchmarkReport:
    """Writes benchmark.json and predictions.parquet of one artefact.

    Args:
        exported: One partition of exported_models.
        merged: The merged model it was made from.
        reviews: Holds the test rows.
        settings: Settings of the stage.
        folder: Where to write.

    Raises:
        IntegrityError: The artefact was made from another model.
        NotEnoughDataError: There are no test rows.
        WorkerFailedError: A measuring process crashed or took too long.
    """
    manifest = ExportManifest.read(exported.folder)
    model = MergedModel.open(merged.folder)
    _require_same_model(manifest, model)
    rows = held_out_rows(reviews, settings.accuracy_rows)
    texts: list[str] = rows["text"].to_list()
    common = {
        "technique": manifest.technique,
        "exported": str(exported.folder),
        "merged": str(merged.folder),
        "threads": settings.threads,
        "batch_tokens": settings.batch_tokens,
    }
    request = common | _timed(texts, settings) | {"texts": texts, "block_rows": settings.block_rows}
    measured = run_fresh(WORKER, request, timeout_s=settings.timeout_s, threads=settings.threads)
    record = _record(manifest, model, rows, settings, measured)
    (folder / BENCHMARK_FILE).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", "utf-8")
    _write_predictions(folder, manifest, rows, measured)
    return BenchmarkReport(record)


def _timed(texts: list[str], settings: BenchmarkSettings) -> dict[str, Any]:
    """Rows to time; where there are fewer than asked for, they are taken again from the start."""
    wanted = settings.warmup_rows + settings.latency_rows
    return {
        "singles": [texts[number % len(texts)] for number in range(wanted)],
        "warmup_rows": settings.warmup_rows,
        "timed": texts[: settings.throughput_rows],
        "repeats": settings.repeats,
    }


def _require_same_model(manifest: ExportManifest, model: MergedModel) -> None:
    if manifest.merged_sha256 != model.sha256:
        raise IntegrityError(
            f"{manifest.technique} was not made from the merged model that it would be compared with",
            given=f"an export of weights with sha256 {manifest.merged_sha256}",
            expected=f"sha256 {model.sha256}",
            remedy="materialize this partition of exported_models again, then measure it",
        )


def _record(
    manifest: ExportManifest,
    model: MergedModel,
    rows: pl.DataFrame,
    settings: BenchmarkSettings,
    measured: Mapping[str, Any],
) -> dict[str, Any]:
    truth = class_ids(rows["label"].to_list())
    before, after = (np.asarray(measured["probabilities"][name]).argmax(1) for name in ("merged", "exported"))
    return {
        "technique": manifest.technique,
        "format": manifest.format,
        "runtime": manifest.runtime,
        "size_bytes": manifest.size_bytes,
        "total_bytes": manifest.total_bytes,
        "sha256": manifest.sha256,
        "merged_sha256": model.sha256,
        "adapter_commit": model.adapter_commit,
        "details": manifest.details,
        "versions": manifest.versions,
        "rows": rows.height,
        "quality": quality(truth, after, rows["source"].to_list(), settings.seed),
        "merged_quality": quality(truth, before, rows["source"].to_list(), settings.seed),
        "macro_f1_difference": asdict(paired_bootstrap(truth, after, before, classes=len(LABELS), seed=settings.seed)),
        "agreement": asdict(agreement(before, after)),
        "flips": int((before != after).sum()),
        "mended": int(((before != truth) & (after == truth)).sum()),
        "broken": int(((before == truth) & (after != truth)).sum()),
        "latency": latency_of(measured["latencies_ms"], settings.warmup_rows),
        "throughput": throughput_of(measured["reviews_per_s"], min(rows.height, settings.throughput_rows)),
        "speed_ratio": speed_ratio(measured["seconds"]["merged"], measured["seconds"]["exported"]),
        "load_s": measured["load_s"],
        "peak_memory_bytes": measured["peak_memory_bytes"],
        "peak_memory_note": MEMORY_NOTE,
        "threads": settings.threads,
        "batch_tokens": settings.batch_tokens,
        "machine": measured["machine"],
    }


def latency_of(latencies_ms: list[float], warmup: int) -> dict[str, float | int]:
    """Median and 95th percentile of single reviews, tokenizing included."""
    p50, p95 = np.quantile(latencies_ms, [0.5, 0.95])
    return {"p50_ms": float(p50), "p95_ms": float(p95), "n": len(latencies_ms), "warmup": warmup}


def throughput_of(rates: list[float], rows: int) -> dict[str, float | int]:
    """Median reviews per second over the repeats, with their range."""
    return {
        "median_reviews_per_s": float(np.median(rates)),
        "min_reviews_per_s": min(rates),
        "max_reviews_per_s": max(rates),
        "repeats": len(rates),
        "rows": rows,
    }


def speed_ratio(reference_s: list[float], other_s: list[float]) -> dict[str, float | int]:
    """How many times faster than the reference: median over the interleaved blocks, with their range."""
    ratios = np.asarray(reference_s) / np.asarray(other_s)
    return {
        "value": float(np.median(ratios)),
        "min": float(ratios.min()),
        "max": float(ratios.max()),
        "blocks": len(ratios),
    }


def _write_predictions(folder: Path, manifest: ExportManifest, rows: pl.DataFrame, measured: Mapping[str, Any]) -> None:
    merged, exported = (np.asarray(measured["probabilities"][name], np.float32) for name in ("merged", "exported"))
    rows.select("review_id", "source", "language", "label").with_columns(
        pl.Series("predicted", [manifest.labels[number] for number in exported.argmax(1)], dtype=pl.String),
        pl.Series("merged_predicted", [manifest.labels[number] for number in merged.argmax(1)], dtype=pl.String),
        *(pl.Series(label, exported[:, CLASSES[label]]) for label in manifest.labels),
    ).write_parquet(folder / PREDICTIONS_FILE, compression="zstd")
