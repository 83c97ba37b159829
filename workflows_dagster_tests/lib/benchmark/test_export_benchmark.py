"""Measurements: the arithmetic by hand, and one artefact measured for real."""

from pathlib import Path

import polars as pl
import pytest

from workflows_dagster.checks.benchmark import judge_rows
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.benchmark.export_benchmark import (
    BenchmarkRecord,
    Latency,
    SpeedRatio,
    benchmark_model,
    latency_of,
    speed_ratio,
    throughput_of,
)
from workflows_dagster.lib.benchmark.machine import describe_machine
from workflows_dagster.lib.benchmark.settings import BenchmarkSettings
from workflows_dagster.lib.benchmark.worker import peak_memory_bytes
from workflows_dagster.lib.errors import IntegrityError, WorkerFailedError
from workflows_dagster.lib.export.exported_model import ExportRecord
from workflows_dagster_tests.lib.benchmark.made_up import made_up_benchmark
from workflows_dagster_tests.lib.export.untried import write_untried

QUICK = BenchmarkSettings(
    accuracy_rows=30, latency_rows=6, warmup_rows=2, throughput_rows=20, repeats=2, block_rows=8, threads=1
)


@pytest.fixture(scope="module")
def exported(tiny_merged: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("onnx-int8")
    write_untried(tiny_merged, "onnx-int8", folder)
    return Artifact("exported_models", "onnx-int8", "e" * 40, "f" * 64, folder)


def test_latency_is_told_with_its_sample() -> None:
    # Of 1..5 ms the median is 3; the 95th percentile lies 0.8 of the way from the fourth to the fifth.
    assert latency_of([5, 1, 4, 2, 3], 7) == Latency(3, pytest.approx(4.8), 5, 7)  # pyright: ignore[reportArgumentType]


def test_throughput_is_the_median_with_its_range() -> None:
    found = throughput_of([90.0, 110.0, 400.0], 64)
    assert (found.median_reviews_per_s, found.min_reviews_per_s, found.max_reviews_per_s) == (110, 90, 400)


def test_the_speed_ratio_is_the_median_of_the_blocks() -> None:
    # 2/1 = 2, 3/1 = 3, 4/4 = 1: a burst of other work in one block does not move the median.
    assert speed_ratio([2, 3, 4], [1, 1, 4]) == SpeedRatio(2, 1, 3, 3)


def test_the_interval_of_the_speed_ratio_leaves_out_the_outermost_blocks_of_many() -> None:
    # Of 9 blocks, the median lies beyond the second smallest or the second largest with probability
    # 2 * (1 + 9) / 2**9 = 0.039; beyond the third with 2 * (1 + 9 + 36) / 2**9 = 0.18. So 2 and 8 bound it.
    assert speed_ratio(list(range(1, 10)), [1] * 9) == SpeedRatio(5, 2, 8, 9)
    # Of 6, it lies outside of the whole range with 2 / 2**6 = 0.031.
    assert speed_ratio(list(range(1, 7)), [1] * 6) == SpeedRatio(3.5, 1, 6, 6)


def test_the_machine_and_its_memory_are_known() -> None:
    machine = describe_machine()
    assert machine.cores
    assert machine.cpu
    assert peak_memory_bytes() > 10_000_000


@pytest.mark.slow
def test_an_artefact_is_measured_on_every_row(
    exported: Artifact, tiny_merged: Artifact, tiny_reviews: Artifact, tmp_path: Path
) -> None:
    benchmark_model(exported, tiny_merged, tiny_reviews, QUICK, tmp_path)
    record = BenchmarkRecord.read(tmp_path)
    assert record.rows == record.agreement.n == 30
    assert record.latency.n == 6
    assert record.speed_ratio.blocks == 4  # 30 rows in blocks of 8
    assert record.throughput.repeats == 2
    assert set(record.quality.per_source) == {"shop", "posts"}
    assert record.peak_memory_bytes > 20_000_000
    assert judge_rows(tmp_path).passed
    predictions = pl.read_parquet(tmp_path / "predictions.parquet")
    assert predictions.height == 30
    assert record.flips == round(30 * (1 - record.agreement.value))
    assert record.to_metadata()["benchmark/agreement_ratio"] == record.agreement.value


@pytest.mark.slow
def test_a_worker_that_refuses_its_artefact_is_told_whole(
    exported: Artifact, tiny_merged: Artifact, tiny_reviews: Artifact, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    for path in exported.folder.rglob("*"):
        if path.is_file():
            (tmp_path / path.relative_to(exported.folder)).write_bytes(path.read_bytes())
    with (tmp_path / "model" / "model.onnx").open("ab") as file:
        file.write(b"x")
    broken = Artifact("exported_models", "onnx-int8", "e" * 40, "f" * 64, tmp_path)
    with pytest.raises(WorkerFailedError, match=IntegrityError.__name__):
        benchmark_model(broken, tiny_merged, tiny_reviews, QUICK, tmp_path)


def test_an_export_of_another_model_is_refused(
    exported: Artifact, tiny_merged: Artifact, tiny_reviews: Artifact, tmp_path: Path
) -> None:
    ExportRecord.read(exported.folder).model_copy(update={"merged_sha256": "0" * 64}).write(tmp_path)
    other = Artifact("exported_models", "onnx-int8", "e" * 40, "f" * 64, tmp_path)
    with pytest.raises(IntegrityError, match="onnx-int8 was not made from the merged model"):
        benchmark_model(other, tiny_merged, tiny_reviews, QUICK, tmp_path)


def test_predictions_that_miss_a_row_are_noticed(tmp_path: Path) -> None:
    made_up_benchmark("onnx-int8", rows=3).write(tmp_path)
    pl.DataFrame({"review_id": ["a", "b"]}).write_parquet(tmp_path / "predictions.parquet")
    assert not judge_rows(tmp_path).passed
    pl.DataFrame({"review_id": ["a", "b", "b"]}).write_parquet(tmp_path / "predictions.parquet")
    assert not judge_rows(tmp_path).passed
