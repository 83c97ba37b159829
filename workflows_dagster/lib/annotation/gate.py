"""Whether people agree well enough for their labels to be trained on."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from workflows_dagster.lib.annotation.agreement import Level
from workflows_dagster.lib.metrics import Estimate

WhenUnmeasured = Literal["weak", "hold", "accept"]
WhenInsufficient = Literal["hold", "weak"]

_NEXT_STEP: Final = (
    "Look at the reviews of reason disagreement in next_round.parquet, sharpen the guidelines and ask again; or run "
    "pilot_labels with when_insufficient: weak to train on weak labels meanwhile"
)


class Standing(StrEnum):
    """The state of the agreement in a round."""

    NO_ANSWERS = "no answers"
    UNMEASURED = "unmeasured"
    INSUFFICIENT = "insufficient"
    SUFFICIENT = "sufficient"


@dataclass(frozen=True)
class Gate:
    """The agreement of a round, and what is required of it.

    Attributes:
        answers: Valid answers.
        rows: Reviews with at least two of them.
        alpha: Krippendorff's alpha; None where it is undefined.
        level: Level of measurement of that alpha.
        minimum_alpha: What its lower bound has to reach.
        minimum_rows: Reviews with two answers below which agreement counts as unmeasured.
        when_unmeasured: Where agreement is unmeasured: train on weak labels, hold training, or accept the labels.
        when_insufficient: Where agreement is too low: hold training, or train on weak labels.
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
        """Whether labels of people replace weak ones."""
        accepted = self.standing is Standing.UNMEASURED and self.when_unmeasured == "accept"
        return accepted or self.standing is Standing.SUFFICIENT

    @property
    def holds_back(self) -> bool:
        """Whether training waits until people agree."""
        unmeasured = self.standing is Standing.UNMEASURED and self.when_unmeasured == "hold"
        return unmeasured or (self.standing is Standing.INSUFFICIENT and self.when_insufficient == "hold")

    @property
    def sentence(self) -> str:
        """What was measured, what is required, what follows and what to do."""
        measured = (
            f"Krippendorff's alpha ({self.level}) is {self.alpha}; its lower bound has to reach {self.minimum_alpha:g}"
        )
        match self.standing:
            case Standing.NO_ANSWERS:
                return "Nobody has answered: agreement is undefined, and training goes on with weak labels"
            case Standing.UNMEASURED:
                return f"{self._why_unmeasured()}. {self._what_follows()}"
            case Standing.SUFFICIENT:
                return f"{measured}: the labels of people are trained on"
            case Standing.INSUFFICIENT:
                follows = "Training is held back" if self.holds_back else "Weak labels are trained on"
                return f"{measured}. {follows}. {_NEXT_STEP}"

    def _why_unmeasured(self) -> str:
        if not self.rows:
            return "No review has two answers, so agreement is undefined (it is not 0)"
        if self.rows < self.minimum_rows:
            return f"{self.rows} reviews have two answers, agreement is judged from {self.minimum_rows} on"
        return f"All answers to {self.rows} reviews name one label, so agreement beyond chance is undefined"

    def _what_follows(self) -> str:
        ask = "Let a second person answer (minimum_annotators of pilot_request)"
        match self.when_unmeasured:
            case "weak":
                return f"Weak labels are trained on. {ask}, or run pilot_labels with when_unmeasured: accept"
            case "hold":
                return f"Training is held back. {ask}, or run pilot_labels with when_unmeasured: weak or accept"
            case "accept":
                return "The labels of people are trained on all the same, as when_unmeasured: accept asks"
