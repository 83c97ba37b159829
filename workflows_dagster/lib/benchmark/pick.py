"""Which artefact to deploy: acceptable first, then criterion by criterion, where what is within the noise is tied."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from workflows_dagster.lib.benchmark.export_benchmark import BenchmarkRecord
from workflows_dagster.lib.benchmark.settings import ReportSettings
from workflows_dagster.lib.export.registry import REFERENCE


@dataclass(frozen=True)
class Verdict:
    """What became of one candidate.

    Attributes:
        technique: Its name.
        outcome: Picked; beaten by an acceptable one; or refused, because it may be worse than the merged model.
        reason: What decided, with the figures.
        beside_pick: Its other figures over those of the pick; empty for the pick itself, and where there is none.
    """

    technique: str
    outcome: Literal["picked", "beaten", "refused"]
    reason: str
    beside_pick: str


@dataclass(frozen=True)
class Pick:
    """The choice and why.

    Attributes:
        technique: The artefact to deploy; None where nothing is acceptable.
        reason: Why this one, with its figures.
        rule: How the choice is made, margins and noise bands included.
        verdicts: What became of each candidate.
    """

    technique: str | None
    reason: str
    rule: str
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Criterion:
    """What candidates are compared by.

    Attributes:
        name: What is compared.
        better: What a candidate is that wins by it.
        worse: What a candidate is that loses by it.
        cost: Least and most that a candidate costs, noise included; less is better.
        figure: What is told of a candidate.
    """

    name: str
    better: str
    worse: str
    cost: Callable[[BenchmarkRecord, ReportSettings], tuple[float, float]]
    figure: Callable[[BenchmarkRecord], str]


def _within(band: float, value: float) -> tuple[float, float]:
    return value, value * (1 + band)


CRITERIA: Final = (
    Criterion(
        "speed",
        "clearly faster",
        "clearly slower",
        lambda one, _: (-one.speed_ratio.high, -one.speed_ratio.low),
        lambda one: str(one.speed_ratio),
    ),
    Criterion(
        "agreement",
        "closer to the merged model",
        "further from the merged model",
        lambda one, _: (-one.agreement.high, -one.agreement.low),
        lambda one: one.agreement.interval,
    ),
    Criterion(
        "peak memory",
        "smaller in memory",
        "larger in memory",
        lambda one, settings: _within(settings.size_noise_ratio, one.peak_memory_bytes),
        lambda one: f"{one.peak_memory_bytes / 1e6:,.0f} MB",
    ),
    Criterion(
        "size on disk",
        "smaller on disk",
        "larger on disk",
        lambda one, settings: _within(settings.size_noise_ratio, one.size_bytes),
        lambda one: f"{one.size_bytes / 1e6:,.1f} MB",
    ),
    Criterion(
        "latency p95",
        "quicker with one review",
        "slower with one review",
        lambda one, settings: _within(settings.time_noise_ratio, one.latency.p95_ms),
        lambda one: f"p95 {one.latency.p95_ms:,.1f} ms",
    ),
    Criterion(
        "load time",
        "quicker to load",
        "slower to load",
        lambda one, settings: _within(settings.time_noise_ratio, one.load_s),
        lambda one: f"{one.load_s:,.2f} s",
    ),
)
"""In the order in which they decide."""


def pick(benchmarks: Sequence[BenchmarkRecord], settings: ReportSettings) -> Pick:
    """The choice among benchmarked artefacts, and what became of each.

    Args:
        benchmarks: What was measured of each, in the order that decides between equals.
        settings: The margins and noise bands.
    """
    refused = {one.technique: why for one in benchmarks if (why := refusal(one, settings))}
    acceptable = [one for one in benchmarks if one.technique not in refused]
    rule = rule_of(settings)
    if not acceptable:
        verdicts = (Verdict(one.technique, "refused", refused[one.technique], "") for one in benchmarks)
        return Pick(None, "No benchmarked artefact is acceptable.", rule, tuple(verdicts))
    winner, beaten, wins = _decide(acceptable, settings)
    lead = f"{winner.technique} is " + (", and ".join(wins) or "the only acceptable artefact")
    reason = f"{lead}. {_figures(winner)}"
    verdicts = [Verdict(winner.technique, "picked", reason, "")]
    for one in benchmarks:
        beside = beside_pick(one, winner)
        if why := refused.get(one.technique):
            verdicts.append(Verdict(one.technique, "refused", why, beside))
        elif one is not winner:
            verdicts.append(Verdict(one.technique, "beaten", beaten[one.technique], beside))
    return Pick(winner.technique, reason, rule, tuple(verdicts))


def _decide(
    acceptable: Sequence[BenchmarkRecord], settings: ReportSettings
) -> tuple[BenchmarkRecord, dict[str, str], list[str]]:
    """The winner, why each of the others was beaten, and by what the winner beat them."""
    left, beaten, wins = list(acceptable), dict[str, str](), list[str]()
    for number, criterion in enumerate(CRITERIA):
        best = min(left, key=lambda one: criterion.cost(one, settings)[1])
        limit = criterion.cost(best, settings)[1]
        lost = [one for one in left if criterion.cost(one, settings)[0] > limit]
        tied = " and ".join(", ".join(other.name for other in CRITERIA[:number]).rsplit(", ", 1))
        for one in lost:
            beaten[one.technique] = (
                f"{f'Tied in {tied}; ' if tied else ''}{criterion.worse} than {best.technique}: "
                f"{criterion.figure(one)} against {criterion.figure(best)}."
            )
        left = [one for one in left if one not in lost]
        if lost:
            wins.append(f"{criterion.better} than {', '.join(one.technique for one in lost)}")
    winner = min(left, key=lambda one: (one.flips, -one.speed_ratio.low))
    equals = [one for one in left if one is not winner]
    for one in equals:
        beaten[one.technique] = (
            f"Tied with {winner.technique} in everything; {one.flips:,} flips against {winner.flips:,}, and a speed of "
            f"at least {one.speed_ratio.low:.2f} against {winner.speed_ratio.low:.2f}."
        )
    if equals:
        wins.append(f"tied with {', '.join(one.technique for one in equals)} but for flips and the least speed")
    return winner, {name: f"{why[0].upper()}{why[1:]}" for name, why in beaten.items()}, wins


def refusal(one: BenchmarkRecord, settings: ReportSettings) -> str:
    """Why an artefact is not acceptable; empty where it is."""
    if one.technique == REFERENCE.name:
        return ""
    reasons: list[str] = []
    if (low := one.agreement.low) < settings.min_agreement_low:
        reasons.append(f"Agreement may be as low as {low:.3f} (needed: {settings.min_agreement_low:.3f}).")
    if (low := one.macro_f1_difference.low) < -settings.max_macro_f1_loss:
        reasons.append(f"Macro-F1 may change by {low:+.3f} (allowed: -{settings.max_macro_f1_loss:.3f}).")
    return " ".join(reasons)


def rule_of(settings: ReportSettings) -> str:
    """The rule of the choice in words."""
    compared = ", ".join(one.name for one in CRITERIA)
    size, time = settings.size_noise_ratio, settings.time_noise_ratio
    return (
        f"Acceptable is an artefact whose agreement with the merged model is at least "
        f"{settings.min_agreement_low:.3f} and whose macro-F1 is at most {settings.max_macro_f1_loss:.3f} lower, each "
        f"at the unfavourable end of its 95 % interval; {REFERENCE.name} is the merged model and acceptable by "
        f"definition. The acceptable ones are compared by {compared}, in this order. Each criterion drops those that "
        "are clearly worse than another one that is left: in speed and agreement, those whose whole interval is "
        f"worse; in memory and size, those that need over {size:.0%} more; in latency and load time, over {time:.0%} "
        "more. All else is tied. Of what is left in the end, the one with the fewest flips is picked, and of equals "
        "the one with the highest lower bound of the speed."
    )


def beside_pick(one: BenchmarkRecord, picked: BenchmarkRecord) -> str:
    """Its figures over those of the pick; empty for the pick itself."""
    if one is picked:
        return ""
    ratios = {
        "memory": one.peak_memory_bytes / picked.peak_memory_bytes,
        "size on disk": one.size_bytes / picked.size_bytes,
        "latency p50": one.latency.p50_ms / picked.latency.p50_ms,
        "p95": one.latency.p95_ms / picked.latency.p95_ms,
        "load time": one.load_s / picked.load_s,
    }
    told = ", ".join(f"{name} {ratio:.1f}x" for name, ratio in ratios.items())
    return f"{told}; {one.flips:,} flips against {picked.flips:,}"


def _figures(one: BenchmarkRecord) -> str:
    shown = "" if one.speed_ratio.low > 1 else ", which does not show that it is faster"
    difference = one.macro_f1_difference
    return (
        f"It runs at {one.speed_ratio} times the speed of the merged model{shown}; it needs "
        f"{one.peak_memory_bytes / 1e6:,.0f} MB of memory and {one.size_bytes / 1e6:,.1f} MB on disk, loads in "
        f"{one.load_s:,.2f} s and takes {one.latency.p50_ms:,.1f} ms for one review (p95 {one.latency.p95_ms:,.1f}). "
        f"It gives the class of the merged model on {one.rows - one.flips:,} of {one.rows:,} test rows (agreement "
        f"{one.agreement.interval}) and changes macro-F1 by {difference.value:+.3f} [{difference.low:+.3f}, "
        f"{difference.high:+.3f}]."
    )


def pareto_front(benchmarks: Sequence[BenchmarkRecord]) -> list[BenchmarkRecord]:
    """The artefacts that none beats or equals in both peak memory and speed while beating it in one; by memory."""

    def beaten(one: BenchmarkRecord) -> bool:
        memory, speed = one.peak_memory_bytes, one.speed_ratio.value
        return any(
            other.peak_memory_bytes <= memory
            and other.speed_ratio.value >= speed
            and (other.peak_memory_bytes < memory or other.speed_ratio.value > speed)
            for other in benchmarks
        )

    return sorted((one for one in benchmarks if not beaten(one)), key=lambda one: one.peak_memory_bytes)
