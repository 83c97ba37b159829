"""Whether people agree well enough for their labels to be trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from workflows_dagster.lib.annotation.agreement import Agreement
from workflows_dagster.lib.annotation.measures import Level
from workflows_dagster.lib.errors import NotPublishedError
from workflows_dagster.lib.metrics import Estimate

WhenUnmeasured = Literal["weak", "hold", "accept"]
WhenInsufficient = Literal["hold", "weak"]

_NEXT: Final = (
    "Look at the reviews of reason disagreement in next_round.parquet, sharpen the guidelines and ask again; or run "
    "pilot_labels with when_insufficient: weak to train on weak labels meanwhile"
)


class Standing(StrEnum):
    """What is known of the agreement in a round."""

    NO_ANSWERS = "no answers"
    UNMEASURED = "unmeasured"
    INSUFFICIENT = "insufficient"
    SUFFICIENT = "sufficient"


@dataclass(frozen=True)
class Gate:
    """The agreement of a round beside what is asked of it.

    Attributes:
        answers: Valid answers.
        rows: Reviews with at least two of them.
        alpha: Krippendorff's alpha; None where it is undefined.
        level: Of that alpha.
        minimum_alpha: What its lower bound has to reach.
        minimum_rows: Reviews with two answers below which agreement counts as unmeasured.
        when_unmeasured: What then becomes of the labels: kept apart, training held back, or trained on all the same.
        when_insufficient: What becomes of labels that people do not agree on: training held back, or kept apart.
    """

    answers: int
    rows: int
    alpha: Estimate | None
    level: Level
    minimum_alpha: float
    minimum_rows: int
    when_unmeasured: WhenUnmeasured
    when_insufficient: WhenInsufficient

    @property
    def standing(self) -> Standing:
        """Judged by the lower bound: agreement has to be shown, not only be likely."""
        if not self.answers:
            return Standing.NO_ANSWERS
        if self.rows < self.minimum_rows or self.alpha is None:
            return Standing.UNMEASURED
        return Standing.SUFFICIENT if self.alpha.low >= self.minimum_alpha else Standing.INSUFFICIENT

    @property
    def trusted(self) -> bool:
        """Whether the labels of people are laid over weak ones."""
        accepted = self.standing is Standing.UNMEASURED and self.when_unmeasured == "accept"
        return accepted or self.standing is Standing.SUFFICIENT

    @property
    def holds_back(self) -> bool:
        """Whether nothing is to be trained until people agree."""
        refused = self.standing is Standing.UNMEASURED and self.when_unmeasured == "hold"
        return refused or (self.standing is Standing.INSUFFICIENT and self.when_insufficient == "hold")

    @property
    def sentence(self) -> str:
        """What was measured, what was asked for, what follows and what to do."""
        match self.standing:
            case Standing.NO_ANSWERS:
                return "Nobody has answered: agreement is undefined, and training goes on with weak labels"
            case Standing.UNMEASURED:
                return f"{self._why_unmeasured()}. {self._then()}"
            case Standing.SUFFICIENT:
                return f"{self._measured()}: the labels of people are trained on"
            case Standing.INSUFFICIENT:
                then = "Training is held back" if self.holds_back else "Weak labels are trained on"
                return f"{self._measured()}. {then}. {_NEXT}"

    def to_record(self) -> dict[str, object]:
        """As a JSON object that `gate_of` reads back."""
        return {
            "answers": self.answers,
            "rows": self.rows,
            "alpha": estimate_record(self.alpha),
            "level": self.level,
            "minimum_alpha": self.minimum_alpha,
            "minimum_rows": self.minimum_rows,
            "when_unmeasured": self.when_unmeasured,
            "when_insufficient": self.when_insufficient,
            "standing": self.standing.value,
            "trusted": self.trusted,
        }

    def _measured(self) -> str:
        return (
            f"Krippendorff's alpha ({self.level}) is {self.alpha}; its lower bound has to reach {self.minimum_alpha:g}"
        )

    def _why_unmeasured(self) -> str:
        if not self.rows:
            return "No review has two answers, so agreement is undefined (it is not 0)"
        if self.rows < self.minimum_rows:
            return f"{self.rows} reviews have two answers, agreement is judged from {self.minimum_rows} on"
        return f"All answers to {self.rows} reviews name one label, so agreement beyond chance is undefined"

    def _then(self) -> str:
        ask = "Let a second person answer (minimum_annotators of pilot_annotation_request)"
        match self.when_unmeasured:
            case "weak":
                return f"Weak labels are trained on. {ask}, or run pilot_labels with when_unmeasured: accept"
            case "hold":
                return f"Training is held back. {ask}, or run pilot_labels with when_unmeasured: weak or accept"
            case "accept":
                return "The labels of people are trained on all the same, as when_unmeasured: accept asks"


def judge(
    agreement: Agreement,
    answers: int,
    level: Level,
    limits: tuple[float, int],
    then: tuple[WhenUnmeasured, WhenInsufficient],
) -> Gate:
    """The gate of a round.

    Args:
        agreement: Of the round.
        answers: Valid answers.
        level: Of the alpha that is judged.
        limits: Minimum of its lower bound, and of reviews with two answers.
        then: What happens where it is unmeasured, and where it does not suffice.
    """
    return Gate(answers, agreement.rows, agreement.alpha[level], level, *limits, *then)


def gate_of(report: Mapping[str, object]) -> Gate:
    """The gate that the report of pilot_labels holds.

    Raises:
        NotPublishedError: The report is of a version that measured no agreement.
    """
    record: Any = report.get("gate")
    if record is None:
        raise NotPublishedError(
            "pilot_labels says nothing about agreement",
            given=f"a report with {sorted(report)}",
            expected="a report with a gate",
            remedy="materialize pilot_labels again with this version of the code",
        )
    known: dict[str, Any] = {name: record[name] for name in Gate.__dataclass_fields__}
    if known["alpha"] is not None:
        known["alpha"] = Estimate(**known["alpha"])
    return Gate(**known)


def estimate_record(estimate: Estimate | None) -> dict[str, float | int] | None:
    """An estimate as a JSON object, its floats to six digits."""
    if estimate is None:
        return None
    value, low, high = (round(number, 6) for number in (estimate.value, estimate.low, estimate.high))
    return {"value": value, "low": low, "high": high, "n": estimate.n, "confidence": estimate.confidence}
