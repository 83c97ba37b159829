"""What people make of the synthetic rows: their verdict on each row they saw, and whether any row is trained on."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

import polars as pl
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, computed_field

from workflows_dagster.lib.annotation.agreement import Resampling, ballot, measure
from workflows_dagster.lib.annotation.consensus import majority
from workflows_dagster.lib.annotation.desk import RESPONSE, AnnotationDesk, Responses, RoundStatus
from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.cleaning.clean import clean_texts
from workflows_dagster.lib.cleaning.settings import CleaningSettings
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.schema import SYNTHETIC_REVIEW, column
from workflows_dagster.lib.synthesis.review_request import FIX, KEEP, REVIEW, SyntheticRequest
from workflows_dagster.lib.synthesis.validation import Refusal, ValidSynthetics, refuse_rows

VERDICTS_FILE: Final = "verdicts.parquet"
CORRECTED: Final = "corrected by people"
"""Added to the name of the generator where people changed its text."""

_CONFIDENCE: Final = 0.95

WhenUnreviewed = Literal["use", "leave out"]


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
        default=20,
        ge=1,
        description="Answered rows from which on that share decides. With fewer, only the rejected rows are left out.",
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


class ReviewGate(BaseModel):
    """The share of sound rows, and what follows from it.

    Attributes:
        asked: Rows that people were shown.
        sound: Part of the answered rows that most people keep or fix; None without an answer.
        settings: What the share has to reach.
    """

    model_config = ConfigDict(frozen=True)

    asked: int
    sound: Estimate | None
    settings: ReviewSettings

    @computed_field
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

    @computed_field
    @property
    def used(self) -> bool:
        """Whether synthetic rows are trained on, less those that people rejected."""
        if self.standing in {ReviewStanding.SOUND, ReviewStanding.UNSOUND}:
            return self.standing is ReviewStanding.SOUND
        return self.settings.when_unreviewed == "use"

    @computed_field
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


class ReviewFindings(ReviewGate):
    """The gate, and the answers behind it.

    Attributes:
        answered: Rows that people answered.
        outcomes: These rows by what becomes of them.
        votes: These rows by the verdict of the majority.
        rejected_answers: Answers that do not count.
        compared: Rows with at least two answers.
        raw_agreement: Part of the pairs of answers to these rows that are the same.
        alpha: Krippendorff's alpha of them, nominal.
    """

    answered: int
    outcomes: Mapping[str, int]
    votes: Mapping[str, int]
    rejected_answers: int
    compared: int
    raw_agreement: Estimate | None
    alpha: Estimate | None


class VettedSynthetics(Record):
    """What people left of the synthetic rows.

    Attributes:
        rows_in: Validated rows.
        rows_kept: Rows that are left.
        kept_by_label: The same by class.
        review: What people found, and what follows.
        validation: What validation had found before.
        status: How far people are, to be shown; not written, so that equal answers give an equal version.
    """

    rows_in: int
    rows_kept: int
    kept_by_label: Mapping[str, int]
    review: ReviewFindings
    validation: ValidSynthetics
    status: RoundStatus | None = Field(default=None, exclude=True)

    def to_metadata(self) -> Mapping[str, object]:
        """What people left, as flat metadata."""
        shown = {"sound": self.review.sound, "alpha": self.review.alpha}
        return {
            "synthesis/review": self.review.sentence,
            "synthesis/review_standing": self.review.standing.value,
            "synthesis/validated_rows": self.rows_in,
            "synthesis/reviewed_rows": self.review.answered,
            "synthesis/reviewed_by_outcome": dict(self.review.outcomes),
            **{f"synthesis/review_{name}": str(value) for name, value in shown.items() if value},
            **(self.status.to_metadata() if self.status else {}),
        }


class Outcome(StrEnum):
    """What becomes of a row that people answered."""

    KEPT = "kept"
    FIXED = "fixed"
    REJECTED = "rejected"
    UNDECIDED = "undecided"
    NO_CORRECTION = "no_correction"
    CORRECTION_REFUSED = "correction_refused"


VERDICT: Final = pa.schema(
    [
        column("review_id", pa.string(), "The synthetic row", nullable=False),
        column("label", pa.string(), "What it is meant as", nullable=False),
        column("source", pa.string(), "Source that it is written for", nullable=False),
        column("verdict", pa.string(), "keep, fix or reject; null where the vote is tied"),
        column("votes", pa.int32(), "Valid answers", nullable=False),
        column("agreeing", pa.int32(), "Answers for the verdict", nullable=False),
        column("annotators", pa.list_(pa.string()), "Who answered", nullable=False),
        column("correction", pa.string(), "Cleaned and masked, where the verdict is fix and somebody wrote one"),
        column("corrected_id", pa.string(), "The row of the corrected text"),
        column("outcome", pa.string(), "What becomes of the row", nullable=False),
        column("detail", pa.string(), "Why a correction is refused"),
    ]
)


def build_reviewed_reviews(
    validated: Artifact,
    request: Artifact,
    training: Artifact,
    desk: AnnotationDesk,
    settings: ReviewSettings,
    folder: Path,
) -> VettedSynthetics:
    """Writes reviews.parquet, verdicts.parquet and the record.

    A row is left out where most people reject it, where they do not agree on it, or where its correction is missing or
    breaks the rules of validation. A usable correction takes the place of its row. Where people find too few of the
    sample sound, all rows are left out.

    Raises:
        RoundUnknownError: The desk no longer holds the round.
    """
    rows = validated.scan().collect()
    validation = ValidSynthetics.read(validated.folder)
    asked = SyntheticRequest.read(request.folder)
    responses, status = Responses(RESPONSE.to_frame(), []), None
    if asked.round_id is not None:
        responses, status = desk.responses(asked.round_id), desk.status(asked.round_id)
    decided = decide(responses, rows)
    corrected = corrected_rows(decided, rows)
    refusals: Mapping[str, Refusal] = {}
    if corrected.height:
        others = rows.join(decided.filter(pl.col("verdict") != KEEP), on="review_id", how="anti", maintain_order="left")
        refusals = refuse_rows(corrected, others, training, validation.settings)
    verdicts = with_outcome(decided, corrected, refusals)
    sound = verdicts.filter(pl.col("verdict").is_in([KEEP, FIX])).height
    agreement = measure(ballot(responses.table, REVIEW.choices), Resampling())
    review = ReviewFindings(
        asked=asked.rows,
        sound=sound_share(sound, verdicts.height),
        settings=settings,
        answered=verdicts.height,
        outcomes=dict(sorted(Counter(verdicts["outcome"]).items())),
        votes=dict(sorted(Counter(verdicts["verdict"].drop_nulls()).items())),
        rejected_answers=status.rejected if status else 0,
        compared=agreement.rows,
        raw_agreement=agreement.raw,
        alpha=agreement.alpha["nominal"],
    )
    kept = apply_verdicts(rows, verdicts, corrected) if review.used else rows.clear()
    write_table(folder / "reviews.parquet", kept, SYNTHETIC_REVIEW)
    write_table(folder / VERDICTS_FILE, verdicts, VERDICT)
    record = VettedSynthetics(
        rows_in=rows.height,
        rows_kept=kept.height,
        kept_by_label=dict(kept.group_by("label").len().sort("label").iter_rows()),
        review=review,
        validation=validation,
        status=status,
    )
    record.write(folder)
    return record


def decide(responses: Responses, rows: pl.DataFrame) -> pl.DataFrame:
    """The verdict of the majority on each answered row, with its correction; columns of VERDICT less the outcome.

    Where several people wrote a correction, the one that most of them wrote is taken; in a tie the first by alphabet.

    Args:
        responses: What people answered; their reasons are the corrected texts.
        rows: Columns of SYNTHETIC_REVIEW; answers to other rows do not count.
    """
    voted = majority(responses.table).rename({"label": "verdict"}).drop("resolution")
    fixing = responses.table.filter(pl.col("label") == FIX).select("review_id", "annotator")
    written = (
        responses.reasons.join(fixing, on=["review_id", "annotator"])
        .group_by("review_id", "reason")
        .len()
        .sort(["len", "reason"], descending=[True, False])
        .unique("review_id", keep="first", maintain_order=True)
    )
    written = written.select("review_id", correction=clean_texts(written["reason"], CleaningSettings()).texts)
    fix = pl.col("verdict") == FIX
    return (
        rows.select("review_id", "label", "source")
        .join(voted, on="review_id")
        .join(written, on="review_id", how="left")
        .with_columns(correction=pl.when(fix & (pl.col("correction") != "")).then("correction"))
        .sort("review_id")
    )


def corrected_rows(decided: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of the corrected texts; column `corrected` is the id of the row whose place each takes.

    Parents, prompt, seed and class are those of the row itself, so that the same rules judge it.
    """
    fixed = rows.join(decided.select("review_id", "correction").drop_nulls(), on="review_id")
    generators = [f"{name}, {CORRECTED}" for name in fixed["generator"]]
    texts = zip(generators, fixed["label"], fixed["correction"], fixed["review_id"], strict=True)
    ids = pl.Series([f"synthetic:{digest_text(*parts)[:24]}" for parts in texts], dtype=pl.String)
    return fixed.with_columns(
        corrected=pl.col("review_id"),
        review_id=ids,
        text=pl.col("correction"),
        generator=pl.Series(generators, dtype=pl.String),
    ).select("corrected", *SYNTHETIC_REVIEW.names)


def with_outcome(decided: pl.DataFrame, corrected: pl.DataFrame, refusals: Mapping[str, Refusal]) -> pl.DataFrame:
    """Columns of VERDICT.

    Args:
        decided: Of `decide`.
        corrected: Of `corrected_rows`.
        refusals: Why corrected rows may not be trained on, by their id.
    """
    said = {review_id: f"{refusal.reason.value}: {refusal.detail}" for review_id, refusal in refusals.items()}
    links = corrected.select(review_id="corrected", corrected_id="review_id").with_columns(
        detail=pl.col("corrected_id").replace_strict(said, default=None, return_dtype=pl.String)
    )
    verdict = pl.col("verdict")
    outcome = (
        pl.when(verdict.is_null())
        .then(pl.lit(Outcome.UNDECIDED))
        .when(verdict == KEEP)
        .then(pl.lit(Outcome.KEPT))
        .when(verdict != FIX)
        .then(pl.lit(Outcome.REJECTED))
        .when(pl.col("correction").is_null())
        .then(pl.lit(Outcome.NO_CORRECTION))
        .when(pl.col("detail").is_not_null())
        .then(pl.lit(Outcome.CORRECTION_REFUSED))
        .otherwise(pl.lit(Outcome.FIXED))
    )
    return decided.join(links, on="review_id", how="left").with_columns(outcome=outcome).sort("review_id")


def apply_verdicts(rows: pl.DataFrame, verdicts: pl.DataFrame, corrected: pl.DataFrame) -> pl.DataFrame:
    """The rows that people kept or did not see, and the corrected ones, sorted by id."""
    out = verdicts.filter(pl.col("outcome") != Outcome.KEPT)
    fixed = verdicts.filter(pl.col("outcome") == Outcome.FIXED).select(review_id="corrected_id")
    left = rows.join(out, on="review_id", how="anti")
    return pl.concat([left, corrected.select(rows.columns).join(fixed, on="review_id", how="semi")]).sort("review_id")
