"""Made-up records of a benchmark and of a report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.benchmark.export_benchmark import BenchmarkRecord, Latency, SpeedRatio, Throughput
from workflows_dagster.lib.benchmark.machine import Machine
from workflows_dagster.lib.benchmark.pick import Pick
from workflows_dagster.lib.benchmark.report import ReportRecord
from workflows_dagster.lib.benchmark.settings import ReportSettings
from workflows_dagster.lib.cleaning.clean import CleaningReport
from workflows_dagster.lib.cleaning.corpus import CorpusReport
from workflows_dagster.lib.finetuning.adapter import (
    BASELINE_PREDICTIONS_FILE,
    TEST_PREDICTIONS_FILE,
    AdapterRecord,
    BaseModelReference,
    SplitRows,
)
from workflows_dagster.lib.finetuning.settings import FineTuningSettings
from workflows_dagster.lib.finetuning.training import CurvePoint
from workflows_dagster.lib.ingest.raw_reviews import IngestReport
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.model.quality import PREDICTION, Quality
from workflows_dagster.lib.model.text import Truncation
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.synthesis.augmentation import AugmentedReviews
from workflows_dagster.lib.synthesis.review import ReviewFindings, ReviewSettings
from workflows_dagster.lib.synthesis.validation import ValidationSettings, ValidSynthetics

SCORE = Estimate(0.7, 0.6, 0.8, 100)
ADAPTER_COMMIT = "c" * 40
NOTHING_ELSE: dict[str, Any] = {"languages": {}, "masked": {}, "repaired": {}}


def made_up_quality(
    macro_f1: Estimate = SCORE, source: str = "shop", by_label_source: dict[str, Estimate] | None = None
) -> Quality:
    """A quality with one class and one source."""
    return Quality(
        macro_f1=macro_f1,
        accuracy=Estimate(0.8, 0.7, 0.9, macro_f1.n),
        per_class={"negative": SCORE},
        per_source={source: SCORE},
        per_language={"en": SCORE},
        per_label_source=by_label_source or {"rating": SCORE},
        confusion=((3, 1, 0), (0, 2, 0), (1, 0, 5)),
    )


def made_up_benchmark(
    technique: str,
    size: int = 23,
    speed: float = 3.0,
    *,
    agreement_low: float = 0.99,
    loss: float = -0.01,
    rows: int = 100,
    text: str = "made up",
    adapter_commit: str = ADAPTER_COMMIT,
) -> BenchmarkRecord:
    """A benchmark; `text` stands wherever the report shows a text of others."""
    return BenchmarkRecord(
        technique=technique,
        size_bytes=size,
        total_bytes=size,
        sha256="0" * 64,
        merged_sha256="0" * 64,
        adapter_commit=adapter_commit,
        details={"weights": text},
        versions={"torch": "2"},
        rows=rows,
        quality=made_up_quality(Estimate(0.7, 0.6, 0.8, rows), text),
        macro_f1_difference=Estimate(0, loss, 0.01, rows),
        agreement=Estimate(0.995, agreement_low, 1, rows),
        flips=1,
        mended=0,
        broken=1,
        latency=Latency(10, 12, 30, 5),
        throughput=Throughput(100, 90, 110, 3, 64),
        speed_ratio=SpeedRatio(speed, speed * 0.9, speed * 1.1, 8),
        load_s=1,
        peak_memory_bytes=200_000_000,
        threads=2,
        batch_tokens=1024,
        machine=Machine(text, (), int8_dot_product=True, cores=2, system="x", python="3"),
    )


def made_up_adapter(model: Quality, baseline: Quality, text: str = "made up") -> AdapterRecord:
    """The record of a fine-tuning."""
    return AdapterRecord(
        base_model=BaseModelReference("tiny", "0" * 64, "made up"),
        recipe=FineTuningSettings(model=text),
        sentences=20,
        tokens=100,
        parameters=1_000,
        trained_parameters=10,
        class_weights={"negative": 1},
        rows={"train": SplitRows(9, 9, {}, {})},
        truncation={"test": Truncation(10, 1, 0.1, 100, 5)},
        steps=2,
        best_step=2,
        best_validation_macro_f1=0.5,
        curve=(CurvePoint(1, 0.5, loss=1.0), CurvePoint(2, 1.0, eval_macro_f1=0.5)),
        model=model,
        baseline_name="TF-IDF",
        baseline=baseline,
        baseline_validation_macro_f1=0.4,
        macro_f1_gain=Estimate(0, -0.1, 0.1, 100),
    )


def made_up_report(pick: str | None, *benchmarks: BenchmarkRecord) -> ReportRecord:
    """A report on these benchmarks."""
    quality = made_up_quality()
    return ReportRecord(
        sources=(),
        reasons=(),
        corpus=made_up_corpus({}),
        augmented=made_up_augmented(),
        adapter=made_up_adapter(quality, quality),
        benchmarks=benchmarks,
        slices=(),
        pick=Pick(pick, "fast", "rule", ()),
        notices=(),
        missing=(),
        provenance=(),
        settings=ReportSettings(),
        code="1.0",
    )


def made_up_augmented() -> AugmentedReviews:
    """Five generated rows of which validation kept three; people find 60 of 100 sound."""
    validation = ValidSynthetics(
        rows_in=5,
        rows_kept=3,
        rows_rejected=2,
        reasons={"a copy": 2, "too short": 0},
        generated_by_label={"neutral": 5},
        kept_by_label={"neutral": 3},
        near_training_rows=0,
        highest_training_similarity=0.5,
        highest_held_out_similarity=0.1,
        highest_held_out_similarity_seen=0.2,
        judge_macro_f1=0.7,
        judge_rows=100,
        diversity={"distinct_2": 0.9},
        diversity_of_real={"distinct_2": 0.9},
        generator_is_stand_in=True,
        settings=ValidationSettings(),
    )
    review = ReviewFindings(
        asked=100,
        sound=Estimate(0.6, 0.502, 0.691, 100),
        settings=ReviewSettings(),
        answered=100,
        outcomes={},
        votes={},
        rejected_answers=0,
        compared=0,
        raw_agreement=None,
        alpha=None,
    )
    return AugmentedReviews(
        rows=11,
        rows_real=8,
        rows_synthetic=3,
        synthetic_by_label={"neutral": 3},
        label_sources={"rating": 8, "synthetic": 3},
        status="waiting",
        validation=validation,
        review=review,
    )


def made_up_corpus(sources: dict[str, int]) -> CorpusReport:
    """The record of a corpus of 11 reviews, with one copy dropped."""
    return CorpusReport(
        rows_in=12,
        rows_kept=11,
        rows_duplicate={"exact": 1, "near": 0},
        rows_left_out=0,
        left_out_sources={},
        sources=sources,
        labels={"positive": 4, "neutral": 3, "negative": 4},
        label_sources={"rating": 11},
        splits={"test": 2, "train": 9},
        languages={"en": 11},
        split_table={},
        label_table={},
        conflicts={},
        relabelled_near_duplicates=0,
        near_similarity=0.8,
        split_targets={},
    )


def made_up_artifact(folder: Path, name: str, partition: str | None = None) -> Artifact:
    """A version of an asset, without files."""
    place = folder / name / (partition or "all")
    place.mkdir(parents=True)
    return Artifact(name, partition, ADAPTER_COMMIT, "d" * 64, place)


def made_up_chain(
    folder: Path, benchmarks: Sequence[BenchmarkRecord], text: str = "made up"
) -> dict[str, list[Artifact]]:
    """The versions behind a report by asset: two sources, one of them of the bundled sample.

    Args:
        folder: Where they are written.
        benchmarks: What was measured.
        text: Name of a source, and what stands wherever the report shows a text of others.
    """
    measured = [made_up_artifact(folder, "export_benchmarks", partition=one.technique) for one in benchmarks]
    for place, one in zip(measured, benchmarks, strict=True):
        one.write(place.folder)
    adapter = made_up_artifact(folder, "lora_adapter")
    quality = made_up_quality(source=text)
    made_up_adapter(quality, quality, text).write(adapter.folder)
    tested = made_up_test_rows(text)
    for file in (TEST_PREDICTIONS_FILE, BASELINE_PREDICTIONS_FILE):
        write_table(adapter.folder / file, tested, PREDICTION)
    batches = {
        "a": (
            IngestReport(source=text, files=(), rows_in=10, rows_kept=9, rows_rejected=1, reasons={"empty": 1}),
            CleaningReport(rows_in=9, rows_kept=7, rows_rejected=2, reasons={"too_short": 2}, **NOTHING_ELSE),
        ),
        "b": (
            IngestReport(source="northgate_shop", files=(), rows_in=5, rows_skipped_by_limit=2, reasons={}),
            CleaningReport(rows_in=5, rows_kept=5, rows_rejected=0, reasons={}, **NOTHING_ELSE),
        ),
    }
    chain: dict[str, list[Artifact]] = {"raw_reviews": [], "cleaned_reviews": []}
    for partition, reports in batches.items():
        for asset, report in zip(chain, reports, strict=True):
            batch = made_up_artifact(folder, asset, partition)
            report.write(batch.folder)
            chain[asset].append(batch)
    corpus = made_up_artifact(folder, "review_corpus")
    made_up_corpus({text: 6, "northgate_shop": 5}).write(corpus.folder)
    augmented = made_up_artifact(folder, "augmented_reviews")
    made_up_augmented().write(augmented.folder)
    tested.select("review_id", "text", "stars").write_parquet(augmented.folder / "reviews.parquet")
    return chain | {
        "review_corpus": [corpus],
        "augmented_reviews": [augmented],
        "lora_adapter": [adapter],
        "export_benchmarks": measured[::-1],
    }


def made_up_test_rows(text: str = "made up", *changed: Mapping[str, object]) -> pl.DataFrame:
    """Test rows with predictions and texts: one that is right, and one confident miss; or those that are given."""
    right: dict[str, object] = {
        "source": "shop",
        "language": "en",
        "label": "positive",
        "label_source": "rating",
        "predicted": "positive",
        "probabilities": [0.1, 0.2, 0.7],
        "predicted_by_baseline": "positive",
        "text": text,
        "stars": 5,
    }
    rows: Sequence[Mapping[str, object]] = changed or ({}, {"predicted": "negative", "probabilities": [0.9, 0.1, 0.0]})
    return pl.DataFrame([{"review_id": f"{number:03}", **right, **row} for number, row in enumerate(rows)])


def made_up_version(artifact: Artifact, config: str = "", created_at: str = "2026-03-01T12:30:00+00:00") -> Version:
    """The version that published an artifact."""
    path = f"{artifact.asset}/{artifact.partition}" if artifact.partition else artifact.asset
    metadata = {"partition": artifact.partition or "", "code_version": "7", "config": config}
    return Version(artifact.commit, path, artifact.digest, {}, "made up", metadata, created_at, None)
