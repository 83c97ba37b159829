"""Which artefact to deploy: not worse than the merged model beyond stated margins, on the Pareto front, fastest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workflows_dagster.lib.benchmark.export_benchmark import BenchmarkRecord
from workflows_dagster.lib.benchmark.settings import ReportSettings
from workflows_dagster.lib.export.registry import REFERENCE


@dataclass(frozen=True)
class Pick:
    """The choice and why.

    Attributes:
        technique: The artefact to deploy; None where nothing qualified.
        reason: Why this one, with its figures.
        rule: How the choice is made, margins included.
        front: Names of the qualified artefacts that none other beats in size and speed at once.
        refused: Why each of the others did not qualify, by name.
    """

    technique: str | None
    reason: str
    rule: str
    front: tuple[str, ...]
    refused: Mapping[str, str]


def pick(benchmarks: Sequence[BenchmarkRecord], settings: ReportSettings) -> Pick:
    """The choice among benchmarked artefacts.

    Args:
        benchmarks: What was measured of each.
        settings: The margins.
    """
    rule = (
        f"An artefact qualifies when the lower bound of its agreement with the merged model is at least "
        f"{settings.min_agreement_low:.2f} and the lower bound of its macro-F1 difference is at least "
        f"-{settings.max_macro_f1_loss:.2f}; {REFERENCE.name} is the merged model and qualifies by definition. "
        "Of those that no other beats in both size and speed, the fastest is picked."
    )
    refused = {one.technique: why for one in benchmarks if (why := refusal(one, settings))}
    qualified = [one for one in benchmarks if one.technique not in refused]
    front = pareto_front(qualified)
    if not front:
        return Pick(None, "No benchmarked artefact qualified.", rule, (), refused)
    best = max(front, key=lambda one: (one.speed_ratio.value, -one.size_bytes))
    reason = (
        f"{best.technique} runs at {best.speed_ratio.value:.2f} times the speed of the merged model from "
        f"{best.size_bytes / 1e6:.1f} MB, gives its class on {best.agreement.value:.1%} of "
        f"{best.agreement.n:,} test rows (at least {best.agreement.low:.1%} with 95 % confidence) and "
        f"changes macro-F1 by {best.macro_f1_difference.value:+.3f} "
        f"[{best.macro_f1_difference.low:+.3f}, {best.macro_f1_difference.high:+.3f}]."
    )
    return Pick(best.technique, reason, rule, tuple(one.technique for one in front), refused)


def refusal(one: BenchmarkRecord, settings: ReportSettings) -> str:
    """Why an artefact does not qualify; empty where it does."""
    if one.technique == REFERENCE.name:
        return ""
    reasons: list[str] = []
    if (low := one.agreement.low) < settings.min_agreement_low:
        reasons.append(f"agreement may be as low as {low:.3f} (needed: {settings.min_agreement_low:.2f})")
    if (low := one.macro_f1_difference.low) < -settings.max_macro_f1_loss:
        reasons.append(f"macro-F1 may change by {low:+.3f} (allowed: -{settings.max_macro_f1_loss:.2f})")
    return "; ".join(reasons)


def pareto_front(benchmarks: Sequence[BenchmarkRecord]) -> list[BenchmarkRecord]:
    """The artefacts that no other one beats or equals in both size and speed while beating it in one; by size."""

    def beaten(one: BenchmarkRecord) -> bool:
        size, speed = one.size_bytes, one.speed_ratio.value
        return any(
            other.size_bytes <= size
            and other.speed_ratio.value >= speed
            and (other.size_bytes < size or other.speed_ratio.value > speed)
            for other in benchmarks
        )

    return sorted((one for one in benchmarks if not beaten(one)), key=lambda one: one.size_bytes)
