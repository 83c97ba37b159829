"""The pick: what is acceptable, what is clearly worse, what is tied, and the reason that each candidate gets."""

from typing import Any

import pytest

from workflows_dagster.lib.benchmark.export_benchmark import BenchmarkRecord, Latency, SpeedRatio
from workflows_dagster.lib.benchmark.pick import pareto_front, pick
from workflows_dagster.lib.benchmark.settings import ReportSettings
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster_tests.lib.benchmark.made_up import made_up_benchmark

Speed = tuple[float, float, float]


def candidate(
    technique: str,
    speed: Speed = (1.0, 0.9, 1.1),
    *,
    agreement: Speed = (1.0, 0.99, 1.0),
    memory_mb: float = 800,
    size_mb: float = 90,
    p95_ms: float = 20,
    load_s: float = 1.0,
    flips: int = 0,
) -> BenchmarkRecord:
    """An acceptable artefact unless the figures say otherwise."""
    figures: dict[str, Any] = {
        "speed_ratio": SpeedRatio(*speed, blocks=8),
        "agreement": Estimate(*agreement, n=100),
        "peak_memory_bytes": int(memory_mb * 1e6),
        "size_bytes": int(size_mb * 1e6),
        "latency": Latency(10, p95_ms, 30, 5),
        "load_s": load_s,
        "flips": flips,
    }
    return made_up_benchmark(technique).model_copy(update=figures)


def outcomes(*candidates: BenchmarkRecord) -> dict[str, str]:
    """Reason by technique, the pick first."""
    found = pick(candidates, ReportSettings())
    assert [verdict.outcome for verdict in found.verdicts].index("picked") == 0
    assert found.technique == found.verdicts[0].technique
    return {verdict.technique: verdict.reason for verdict in found.verdicts}


@pytest.mark.parametrize(
    ("other", "picked", "why"),
    [
        # Speed: the interval of the other lies wholly above 1.1.
        (candidate("b", (2.0, 1.2, 3.0), memory_mb=900), "b", "Clearly slower than b: 1.00 [0.90, 1.10] against 2.00"),
        # Its interval reaches 1.1: tied in speed, so that memory decides.
        (candidate("b", (2.0, 1.1, 3.0), memory_mb=900), "a", "Tied in speed and agreement; larger in memory than a"),
        # Agreement: 0.98 at most, against 0.99 at least.
        (candidate("b", agreement=(0.97, 0.96, 0.98), memory_mb=1), "a", "Tied in speed; further from the merged"),
        # Memory: 10 % more is tied, so the size on disk decides; anything above is not.
        (candidate("b", memory_mb=880, size_mb=9), "b", "Tied in speed, agreement and peak memory; larger on disk"),
        (candidate("b", memory_mb=881, size_mb=9), "a", "881 MB against 800 MB"),
        # Size: 99 is tied with 90, so that latency decides; 1.5 times the latency is tied, so that load time does.
        (candidate("b", size_mb=99, p95_ms=13), "b", "slower with one review than b: p95 20.0 ms against p95 13.0 ms"),
        (candidate("b", size_mb=99, p95_ms=30, load_s=0.6), "b", "slower to load than b: 1.00 s against 0.60 s"),
        # Nothing told apart: the fewest flips, and then the order of the techniques.
        (candidate("b", flips=1), "a", "Tied with a in everything; 1 flips against 0,"),
        (candidate("b"), "a", "Tied with a in everything; 0 flips against 0,"),
    ],
)
def test_candidates_are_told_apart_by_the_first_criterion_that_can(
    other: BenchmarkRecord, picked: str, why: str
) -> None:
    found = outcomes(candidate("a"), other)
    assert next(iter(found)) == picked
    assert why in found["b" if picked == "a" else "a"]


def test_a_ratio_whose_interval_includes_1_is_no_win() -> None:
    # The case that the rule was made for: faster at first sight, within the noise, and five times the memory.
    found = pick(
        [
            candidate("torch-fp32", (1.0, 0.97, 1.04)),
            candidate("torch-int8", (1.14, 1.0, 1.45), size_mb=60, flips=3, agreement=(0.991, 0.975, 0.997)),
            candidate("onnx-fp32", (1.05, 0.98, 1.2), memory_mb=160, load_s=0.1),
        ],
        ReportSettings(),
    )
    assert found.technique == "onnx-fp32"
    assert found.reason.startswith("onnx-fp32 is smaller in memory than torch-fp32, torch-int8. It runs at 1.05")
    assert "which does not show that it is faster" in found.reason
    by_name = {verdict.technique: verdict for verdict in found.verdicts}
    assert by_name["torch-int8"].reason == (
        "Tied in speed and agreement; larger in memory than onnx-fp32: 800 MB against 160 MB."
    )
    assert by_name["torch-int8"].beside_pick == (
        "memory 5.0x, size on disk 0.7x, latency p50 1.0x, p95 1.0x, load time 10.0x; 3 flips against 0"
    )


def test_a_clear_win_in_speed_is_told_as_one() -> None:
    found = pick([candidate("torch-fp32"), candidate("onnx-int8", (3.0, 2.5, 3.5))], ReportSettings())
    assert found.reason.startswith("onnx-int8 is clearly faster than torch-fp32. It runs at 3.00 [2.50, 3.50] times")
    assert "does not show" not in found.reason


def test_a_high_median_with_a_wide_interval_is_no_win_over_a_sure_one() -> None:
    found = outcomes(candidate("slow"), candidate("wide", (4.0, 0.5, 9.0)), candidate("sure", (3.0, 2.5, 3.5)))
    assert next(iter(found)) == "sure"
    assert found["slow"].startswith("Clearly slower than sure")
    assert found["wide"].endswith("0 flips against 0, and a speed of at least 0.50 against 2.50.")


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        ({"agreement": Estimate(0.97, 0.949, 0.99, 100)}, "Agreement may be as low as 0.949 (needed: 0.950)."),
        (
            {"macro_f1_difference": Estimate(-0.01, -0.031, 0.01, 100)},
            "Macro-F1 may change by -0.031 (allowed: -0.030).",
        ),
    ],
)
def test_what_may_be_worse_than_the_merged_model_is_refused(figures: dict[str, Any], why: str) -> None:
    fast = candidate("onnx-int8", (9.0, 8.0, 10.0)).model_copy(update=figures)
    found = pick([candidate("torch-fp32"), fast], ReportSettings())
    assert found.technique == "torch-fp32"
    assert found.reason.startswith("torch-fp32 is the only acceptable artefact.")
    assert [(one.technique, one.outcome) for one in found.verdicts] == [
        ("torch-fp32", "picked"),
        ("onnx-int8", "refused"),
    ]
    assert found.verdicts[1].reason == why
    assert pick([fast], ReportSettings()).technique is None
    assert pick([fast], ReportSettings()).verdicts[0].reason == why


def test_the_merged_model_itself_is_acceptable_whatever_the_margins() -> None:
    assert pick([candidate("torch-fp32")], ReportSettings(min_agreement_low=1)).technique == "torch-fp32"


def test_nothing_is_picked_from_nothing() -> None:
    found = pick([], ReportSettings())
    assert (found.technique, found.verdicts) == (None, ())


def test_the_rule_names_its_margins_and_the_order_of_its_criteria() -> None:
    rule = pick([], ReportSettings(min_agreement_low=0.9, size_noise_ratio=0.2)).rule
    assert "at least 0.900" in rule
    assert "speed, agreement, peak memory, size on disk, latency p95, load time, in this order" in rule
    assert "over 20% more; in latency and load time, over 50% more" in rule


def test_the_front_keeps_what_nothing_beats_in_both() -> None:
    memory_and_speed = {"a": (10, 1), "b": (20, 2), "c": (20, 1.5), "d": (30, 2)}
    measured = [
        candidate(name, (speed, speed, speed), memory_mb=memory) for name, (memory, speed) in memory_and_speed.items()
    ]
    assert [one.technique for one in pareto_front(measured)] == ["a", "b"]
