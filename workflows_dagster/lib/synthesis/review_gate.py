"""Whether the synthetic rows are trained on, by the share of a sample that people found sound."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.metrics import Estimate

WhenUnreviewed = Literal["use", "leave out"]
_CONFIDENCE = 0.95


class ReviewSettings(BaseModel):
    """What people have to find for synthetic rows to be trained on."""

    model_config = ConfigDict(frozen=True)

    minimum_sound_ratio: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="What the lower bound of the share of rows that people keep or fix has to reach; else no synthetic "
        "row is trained on.",
    )
    minimum_rows: int = Field(
        default=20, ge=1, description="Answered rows below which that share says nothing, and only rejected rows go."
    )
    when_unreviewed: WhenUnreviewed = Field(
        default="use",
        description="What becomes of synthetic rows while people have answered none or too few: trained on (use), or "
        "none of them (leave out).",
    )


class ReviewStanding(StrEnum):
    """What is known of the synthetic rows from people."""

    NOT_ASKED = "not asked"
    NOT_REVIEWED = "not reviewed"
    TOO_FEW = "too few answers"
    SOUND = "sound"
    UNSOUND = "unsound"


@dataclass(frozen=True)
class ReviewGate:
    """The share of sound rows beside what is asked of it.

    Attributes:
        asked: Rows that people were shown.
        sound: Part of the answered ones that most people keep or fix; None without an answer.
        settings: What is asked.
    """

    asked: int
    sound: Estimate | None
    settings: ReviewSettings

    @property
    def standing(self) -> ReviewStanding:
        """Judged by the lower bound: that rows are sound has to be shown, not only be likely."""
        if not self.asked:
            return ReviewStanding.NOT_ASKED
        if self.sound is None:
            return ReviewStanding.NOT_REVIEWED
        if self.sound.n < self.settings.minimum_rows:
            return ReviewStanding.TOO_FEW
        reached = self.sound.low >= self.settings.minimum_sound_ratio
        return ReviewStanding.SOUND if reached else ReviewStanding.UNSOUND

    @property
    def used(self) -> bool:
        """Whether synthetic rows are trained on, less those that people rejected."""
        if self.standing in {ReviewStanding.SOUND, ReviewStanding.UNSOUND}:
            return self.standing is ReviewStanding.SOUND
        return self.settings.when_unreviewed == "use"

    @property
    def sentence(self) -> str:
        """What people said, what was asked for, and what follows."""
        then = "they are trained on" if self.used else "none of them is trained on"
        least = f"its lower bound has to reach {self.settings.minimum_sound_ratio:g}"
        match self.standing:
            case ReviewStanding.NOT_ASKED:
                return f"Synthetic rows were not put before people: {then}"
            case ReviewStanding.NOT_REVIEWED:
                return f"Synthetic rows were not reviewed by people yet: {then}"
            case ReviewStanding.TOO_FEW:
                few = f"People have answered {self.sound.n if self.sound else 0} of {self.asked} synthetic rows"
                return f"{few}, the share of sound ones is judged from {self.settings.minimum_rows} on: {then}"
            case ReviewStanding.SOUND | ReviewStanding.UNSOUND:
                return f"People find synthetic rows sound in {self.sound}; {least}: {then}"


def sound_share(sound: int, answered: int) -> Estimate | None:
    """The share of sound rows with its interval after Wilson; None where nothing was answered.

    Not by resampling: where people keep all rows, that would give a lower bound of 1 whatever their number.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    if not answered:
        return None
    from scipy.stats import binomtest

    interval = binomtest(sound, answered).proportion_ci(confidence_level=_CONFIDENCE, method="wilson")
    return Estimate(sound / answered, float(interval.low), float(interval.high), answered, _CONFIDENCE)
