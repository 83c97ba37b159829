"""The step that makes export_benchmarks: speed, memory, size, quality and agreement of one artefact."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from workflows_dagster.lib.artifact import Artifact, Markdown, write_table
from workflows_dagster.lib.benchmark.machine import Machine
from workflows_dagster.lib.benchmark.settings import BenchmarkSettings
from workflows_dagster.lib.errors import IntegrityError
from workflows_dagster.lib.export.exported_model import ExportRecord
from workflows_dagster.lib.export.process import run_fresh
from workflows_dagster.lib.export.registry import REFERENCE
from workflows_dagster.lib.export.rows import held_out_rows
from workflows_dagster.lib.finetuning.merged_model import MergedModelRecord
from workflows_dagster.lib.metrics import Estimate, agreement
from workflows_dagster.lib.model.quality import (
    PREDICTION,
    Quality,
    class_ids,
    judge,
    macro_f1_gain,
    prediction_table,
)
from workflows_dagster.lib.model.reference import ModelReference
from workflows_dagster.lib.record import Record

PREDICTIONS_FILE: Final = "predictions.parquet"
WORKER: Final = "workflows_dagster.lib.benchmark.worker"


@dataclass(frozen=True)
class Latency:
    """Time for one review at a time, tokenizing included.

    Attributes:
        p50_ms: Median.
        p95_ms: 95th percentile.
        n: Reviews that were timed.
        warmup: Reviews before them that were not.
    """

    p50_ms: float
    p95_ms: float
    n: int
    warmup: int


@dataclass(frozen=True)
class Throughput:
    """Reviews per second in batches, over the repeats.

    Attributes:
        median_reviews_per_s: Median.
        min_reviews_per_s: Slowest repeat.
        max_reviews_per_s: Fastest repeat.
        repeats: Repeats.
        rows: Reviews in each of them.
    """

    median_reviews_per_s: float
    min_reviews_per_s: float
    max_reviews_per_s: float
    repeats: int
    rows: int


@dataclass(frozen=True)
class SpeedRatio:
    """How many times faster than the merged model, over blocks of the same rows.

    Attributes:
        value: Median of the blocks.
        low: Lower bound of the 95 % interval of the median; of fewer than six blocks, the slowest one.
        high: Upper bound; of fewer than six blocks, the fastest one.
        blocks: Blocks.
    """

    value: float
    low: float
    high: float
    blocks: int

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


class BenchmarkRecord(Record):
    """What was measured of one artefact.

    Attributes:
        technique: Name of its technique.
        size_bytes: Size of its weights.
        total_bytes: Size of all that is needed to serve it.
        sha256: Digest of its weights.
        merged_sha256: Digest of the weights it was made from.
        adapter_commit: Commit of the adapter in the merged model.
        details: What the technique did.
        versions: Versions of the libraries that made it.
        rows: Test rows.
        quality: Quality of its predictions on them.
        macro_f1_difference: Its macro-F1 minus that of the merged model, paired.
        agreement: Share of the rows with the merged model's class.
        flips: Rows with another class.
        mended: Flips from wrong to right.
        broken: Flips from right to wrong.
        latency: Time for one review.
        throughput: Reviews per second.
        speed_ratio: Speed beside the merged model.
        load_s: Time until it could be asked.
        peak_memory_bytes: Most resident memory of a fresh process that loaded this artefact alone.
        threads: Threads of the runtime.
        batch_tokens: Padded tokens computed at once.
        machine: Where it was measured.
    """

    FILE: ClassVar[str] = "benchmark.json"
    VERSION: ClassVar[int] = 2

    technique: str
    size_bytes: int
    total_bytes: int
    sha256: str
    merged_sha256: str
    adapter_commit: str
    details: dict[str, str | int | float | bool]
    versions: dict[str, str]
    rows: int
    quality: Quality
    macro_f1_difference: Estimate
    agreement: Estimate
    flips: int
    mended: int
    broken: int
    latency: Latency
    throughput: Throughput
    speed_ratio: SpeedRatio
    load_s: float
    peak_memory_bytes: int
    threads: int
    batch_tokens: int
    machine: Machine

    def to_metadata(self) -> Mapping[str, object]:
        """What is compared with the merged model first; each figure is a series over the techniques under Plots."""
        return {
            "benchmark/beside_merged_model": Markdown(self._comparison()),
            "benchmark/speed_ratio": self.speed_ratio.value,
            "benchmark/agreement_ratio": self.agreement.value,
            "benchmark/macro_f1_difference": self.macro_f1_difference.value,
            "benchmark/macro_f1": self.quality.macro_f1.value,
            "benchmark/throughput_reviews_per_s": self.throughput.median_reviews_per_s,
            "benchmark/latency_p50_ms": self.latency.p50_ms,
            "benchmark/latency_p95_ms": self.latency.p95_ms,
            "benchmark/load_s": self.load_s,
            "benchmark/peak_memory_mb": self.peak_memory_bytes / 1e6,
            "benchmark/weights_mb": self.size_bytes / 1e6,
            "benchmark/machine": f"{self.machine.cpu}, {self.threads} of {self.machine.cores} cores",
        }

    def _comparison(self) -> str:
        cells = {
            "speed": f"{self.speed_ratio} times, over {self.speed_ratio.blocks} blocks",
            "macro-F1": f"{self.quality.macro_f1.interval}, difference {self.macro_f1_difference.interval}",
            "same class": f"{self.agreement.interval} of {self.rows:,} test rows",
            "other class": f"{self.flips}: {self.mended} mended, {self.broken} broken",
        }
        lines = [f"| {what} | {figures} |" for what, figures in cells.items()]
        return "\n".join([f"| | {self.technique} beside the merged model |", "|---|---|", *lines])


def benchmark_model(
    exported: Artifact, merged: Artifact, reviews: Artifact, settings: BenchmarkSettings, folder: Path
) -> BenchmarkRecord:
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
    artefact, model = ExportRecord.read(exported.folder), MergedModelRecord.read(merged.folder)
    if artefact.merged_sha256 != model.model.sha256:
        raise IntegrityError(
            f"{artefact.technique} was not made from the merged model that it would be compared with",
            given=f"an export of weights with sha256 {artefact.merged_sha256}",
            expected=f"sha256 {model.model.sha256}",
            remedy="materialize this partition of exported_models again, then measure it",
        )
    rows = held_out_rows(reviews, settings.accuracy_rows)
    texts: list[str] = rows["text"].to_list()
    timed_singly = settings.warmup_rows + settings.latency_rows
    request = {
        "technique": artefact.technique,
        "exported": _reference(artefact.technique, exported.folder, artefact.model),
        "merged": _reference(REFERENCE.name, merged.folder, model.model),
        "threads": settings.threads,
        "batch_tokens": settings.batch_tokens,
        # Where there are fewer rows than asked for, they are taken again from the start.
        "singles": [texts[number % len(texts)] for number in range(timed_singly)],
        "warmup_rows": settings.warmup_rows,
        "timed": texts[: settings.throughput_rows],
        "repeats": settings.repeats,
        "texts": texts,
        "block_rows": settings.block_rows,
    }
    measured = run_fresh(WORKER, request, timeout_s=settings.timeout_s, threads=settings.threads)
    before, after = (
        prediction_table(rows, np.asarray(measured["probabilities"][name], np.float32))
        for name in ("merged", "exported")
    )
    write_table(folder / PREDICTIONS_FILE, after, PREDICTION)
    truth, merged_ids, exported_ids = (
        class_ids(labels) for labels in (rows["label"], before["predicted"], after["predicted"])
    )
    flipped = merged_ids != exported_ids
    record = BenchmarkRecord(
        technique=artefact.technique,
        size_bytes=artefact.model.size_bytes,
        total_bytes=artefact.model.total_bytes,
        sha256=artefact.model.sha256,
        merged_sha256=artefact.merged_sha256,
        adapter_commit=model.adapter_commit,
        details=artefact.details,
        versions=artefact.versions,
        rows=rows.height,
        quality=judge(after),
        macro_f1_difference=macro_f1_gain(after, before),
        agreement=agreement(merged_ids, exported_ids),
        flips=int(flipped.sum()),
        mended=int((flipped & (exported_ids == truth)).sum()),
        broken=int((flipped & (merged_ids == truth)).sum()),
        latency=latency_of(measured["latencies_ms"], settings.warmup_rows),
        throughput=throughput_of(measured["reviews_per_s"], min(rows.height, settings.throughput_rows)),
        speed_ratio=speed_ratio(measured["seconds"]["merged"], measured["seconds"]["exported"]),
        load_s=measured["load_s"],
        peak_memory_bytes=measured["peak_memory_bytes"],
        threads=settings.threads,
        batch_tokens=settings.batch_tokens,
        machine=Machine(**measured["machine"] | {"flags": tuple(measured["machine"]["flags"])}),
    )
    record.write(folder)
    return record


def _reference(technique: str, folder: Path, reference: ModelReference) -> dict[str, Any]:
    return {"technique": technique, "folder": str(folder), "reference": asdict(reference)}


def latency_of(latencies_ms: list[float], warmup: int) -> Latency:
    """Median and 95th percentile of single reviews."""
    p50, p95 = np.quantile(latencies_ms, [0.5, 0.95])
    return Latency(float(p50), float(p95), len(latencies_ms), warmup)


def throughput_of(rates: list[float], rows: int) -> Throughput:
    """Median of the repeats with their range."""
    return Throughput(float(np.median(rates)), min(rates), max(rates), len(rates), rows)


def speed_ratio(reference_s: list[float], other_s: list[float]) -> SpeedRatio:
    """Median over the interleaved blocks with its interval, which is exact whatever the distribution of the ratios.

    Source: Conover (1999), Practical nonparametric statistics, 3.2: a confidence interval for a quantile.
    """
    from scipy.stats import quantile_test

    ratios = np.asarray(reference_s) / np.asarray(other_s)
    found = quantile_test(ratios, p=0.5).confidence_interval(0.95)
    # Of five blocks or fewer, even the whole range does not cover the median with 95 %.
    low, high = (ratios.min(), ratios.max()) if np.isnan(found.low) else (found.low, found.high)
    return SpeedRatio(float(np.median(ratios)), float(low), float(high), len(ratios))
