"""Which synthetic rows may be trained on: each is kept, or refused with a reason.

A row is refused for what its text shows by itself (length, repetition, truncation, profanity), for being a near copy
of a real row or of an earlier synthetic one, or because an independent judge finds another class likelier.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.artifact import Artifact, Markdown, write_table
from workflows_dagster.lib.errors import DataContractError
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.parquet import read_batches
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.schema import SYNTHETIC_REVIEW, column
from workflows_dagster.lib.synthesis.generation import SYNTHETIC_FILE, SyntheticReviews
from workflows_dagster.lib.synthesis.judge import Judgement, judge, with_folds
from workflows_dagster.lib.synthesis.sentences import is_finished, split_sentences
from workflows_dagster.lib.synthesis.similarity import Nearest, NearIndex, diversity

SYNTHETIC_REJECT: Final = pa.schema(
    [
        column("review_id", pa.string(), "The synthetic row", nullable=False),
        column("label", pa.string(), "What it is meant as", nullable=False),
        column("reason", pa.string(), "Why it may not be trained on, from a closed list", nullable=False),
        column("detail", pa.string(), "What was found", nullable=False),
        column("excerpt", pa.string(), "The first characters of the text", nullable=False),
    ]
)
_BATCH_ROWS: Final = 16_384
_PROFANITY: Final = Path(__file__).with_name("profanity.txt")
_CUT_WORDS: Final = re.compile(
    r"\b(?:a|an|the|and|or|but|of|to|with|for|in|on|at|by|from|that|which|because|if|as|than|is|are|was|were|very|my"
    r"|your|their|its|so|not)$",
    re.I,
)
_CUT_MARKS: Final = re.compile(r"[,;:(\[\u2013-]$")


class ValidationSettings(BaseModel):
    """What a synthetic row has to be like."""

    model_config = ConfigDict(frozen=True)

    max_repeated_ratio: float = Field(
        default=0.2, ge=0, le=1, description="Most of a text's trigrams or sentences that may occur twice."
    )
    near_copy_similarity: float = Field(
        default=0.7, gt=0, le=1, description="Trigram Jaccard similarity to a training or synthetic row that refuses."
    )
    held_out_similarity: float = Field(
        default=0.5, gt=0, le=1, description="The same to a validation or test row: leakage."
    )
    disagreement_margin: float = Field(
        default=0.2, ge=0, le=1, description="How much likelier the judge may find another class."
    )
    judge_rows: int = Field(
        default=20_000, ge=100, description="Most real rows that the judge is fitted on, picked by digest."
    )


class SyntheticReason(StrEnum):
    """Why a synthetic row may not be trained on."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    REPETITION = "repetition"
    TRUNCATED = "truncated"
    PROFANITY = "profanity"
    NEAR_COPY_OF_HELD_OUT = "near_copy_of_held_out"
    NEAR_COPY_OF_TRAINING = "near_copy_of_training"
    NEAR_COPY_OF_SYNTHETIC = "near_copy_of_synthetic"
    LABEL_DISAGREEMENT = "label_disagreement"


@dataclass(frozen=True)
class Refusal:
    """Why a text is refused, and what was found."""

    reason: SyntheticReason
    detail: str


class ValidSynthetics(Record):
    """What validation found.

    Attributes:
        rows_in: Generated rows.
        rows_kept: Rows that may be trained on.
        rows_rejected: Refused rows.
        reasons: Refused rows by reason.
        generated_by_label: Generated rows by class.
        kept_by_label: Kept rows by class.
        near_training_rows: Kept rows that have a near one among the training rows.
        highest_training_similarity: Highest similarity of a kept row to a training row (0-1).
        highest_held_out_similarity: The same to a validation or test row.
        highest_held_out_similarity_seen: The same, of all generated rows.
        judge_macro_f1: Macro-F1 of the judge on real rows that it was not fitted on.
        judge_rows: How many these are.
        diversity: Figures of `similarity.diversity` of the kept rows.
        diversity_of_real: The same of as many real rows.
        generator_is_stand_in: Whether the generator stands in for a language model.
        settings: What the rows were judged by.
    """

    rows_in: int
    rows_kept: int
    rows_rejected: int
    reasons: Mapping[str, int]
    generated_by_label: Mapping[str, int]
    kept_by_label: Mapping[str, int]
    near_training_rows: int
    highest_training_similarity: float
    highest_held_out_similarity: float
    highest_held_out_similarity_seen: float
    judge_macro_f1: float
    judge_rows: int
    diversity: Mapping[str, float]
    diversity_of_real: Mapping[str, float]
    generator_is_stand_in: bool
    settings: ValidationSettings

    def to_metadata(self) -> Mapping[str, object]:
        """The findings as flat metadata."""
        reasons = [f"| {reason} | {rows:,} |" for reason, rows in self.reasons.items()]
        figures = [f"| {name} | {value} | {self.diversity_of_real[name]} |" for name, value in self.diversity.items()]
        summary = ["| reason | rows |", "|---|---|", *reasons, f"| kept | {self.rows_kept:,} |"]
        summary += ["", "| diversity | synthetic | as many real rows |", "|---|---|---|", *figures]
        return {
            "synthesis/generated_rows": self.rows_in,
            "synthesis/kept_rows": self.rows_kept,
            "synthesis/rejected_rows": self.rows_rejected,
            "synthesis/kept_rows_by_label": dict(self.kept_by_label),
            "synthesis/judge_macro_f1": self.judge_macro_f1,
            "synthesis/held_out_similarity": self.highest_held_out_similarity_seen,
            "synthesis/generator_is_stand_in": self.generator_is_stand_in,
            "synthesis/summary": Markdown("\n".join(summary)),
        }


def build_validated_reviews(
    synthetic: Artifact, training: Artifact, settings: ValidationSettings, folder: Path
) -> ValidSynthetics:
    """Writes reviews.parquet, rejects.parquet and the record."""
    rows = synthetic.scan(SYNTHETIC_FILE).sort("review_id").collect()
    evidence = _gather(rows, training, settings)
    refusals = _refusals(rows, evidence, training, settings)
    kept = rows.filter(~pl.col("review_id").is_in(list(refusals)))
    write_table(folder / "reviews.parquet", kept, SYNTHETIC_REVIEW)
    write_table(folder / "rejects.parquet", _rejects(rows, refusals), SYNTHETIC_REJECT)
    real = _train(training).select("text").head(max(kept.height, 1)).collect()["text"].to_list()
    kept_ids = set(kept["review_id"])
    near = [nearest.similarity for review_id, nearest in evidence.training.items() if review_id in kept_ids]
    held_out = {review_id: nearest.similarity for review_id, nearest in evidence.held_out.items()}
    record = ValidSynthetics(
        rows_in=rows.height,
        rows_kept=kept.height,
        rows_rejected=len(refusals),
        reasons=dict(sorted(Counter(refusal.reason.value for refusal in refusals.values()).items())),
        generated_by_label=dict(rows.group_by("label").len().sort("label").iter_rows()),
        kept_by_label=dict(kept.group_by("label").len().sort("label").iter_rows()),
        near_training_rows=len(near),
        highest_training_similarity=round(max(near, default=0.0), 4),
        highest_held_out_similarity=round(max((held_out[x] for x in held_out.keys() & kept_ids), default=0.0), 4),
        highest_held_out_similarity_seen=round(max(held_out.values(), default=0.0), 4),
        judge_macro_f1=round(evidence.judgement.macro_f1, 4),
        judge_rows=evidence.judgement.rows,
        diversity=diversity(kept["text"].to_list()),
        diversity_of_real=diversity(real),
        generator_is_stand_in=SyntheticReviews.read(synthetic.folder).generator_is_stand_in,
        settings=settings,
    )
    record.write(folder)
    return record


def refuse_rows(
    rows: pl.DataFrame, beside: pl.DataFrame, training: Artifact, settings: ValidationSettings
) -> dict[str, Refusal]:
    """Why rows may not be trained on, by id.

    Args:
        rows: Columns of SYNTHETIC_REVIEW.
        beside: The accepted rows that they join, and must be no copies of.
        training: training_reviews.
        settings: What the accepted rows were judged by.
    """
    return _refusals(rows, _gather(rows, training, settings, beside), training, settings)


@dataclass(frozen=True)
class _Evidence:
    """What is known of each synthetic row beside its text: its nearest rows, by id, and the judgement of its class."""

    held_out: Mapping[str, Nearest]
    training: Mapping[str, Nearest]
    synthetic: Mapping[str, Nearest]
    judgement: Judgement


def _gather(
    rows: pl.DataFrame, training: Artifact, settings: ValidationSettings, beside: pl.DataFrame | None = None
) -> _Evidence:
    index = NearIndex(rows["review_id"].to_list(), rows["text"].to_list())
    together = index
    if beside is not None:
        both = pl.concat([frame.select("review_id", "text") for frame in (beside, rows)])
        together = NearIndex(both["review_id"].to_list(), both["text"].to_list())
    return _Evidence(
        held_out=index.nearest(_batches(training, ["validation", "test"])),
        training=index.nearest(_batches(training, ["train"])),
        synthetic=together.nearest_before(),
        judgement=judge(
            _judge_rows(training, settings.judge_rows),
            rows["text"].to_list(),
            rows["label"].to_list(),
            _parent_folds(rows, training),
        ),
    )


def _train(training: Artifact) -> pl.LazyFrame:
    return training.scan().filter(pl.col("split") == "train", pl.col("label").is_not_null())


def _batches(training: Artifact, splits: list[str]) -> Iterator[pl.DataFrame]:
    reviews = pq.ParquetFile(training.file("reviews.parquet"))
    for batch in read_batches(reviews, ["review_id", "text", "split"], _BATCH_ROWS):
        yield pl.DataFrame(pa.Table.from_batches([batch])).filter(pl.col("split").is_in(splits))


def _judge_rows(training: Artifact, most: int) -> pl.DataFrame:
    train = _train(training)
    ids = train.select("review_id").collect()["review_id"]
    picked = sorted(ids, key=lambda review_id: digest_text("judge", review_id))[:most]
    chosen = train.join(pl.LazyFrame({"review_id": picked}, {"review_id": pl.String}), on="review_id")
    return chosen.select("review_id", "text", "label", "group_key").collect().sort("review_id")


def _parent_folds(rows: pl.DataFrame, training: Artifact) -> list[int]:
    """The fold of each row's parents, in the order of the rows.

    Raises:
        DataContractError: The parents of a row are unknown, or of several folds, so that no judge is independent of it.
    """
    links = rows.select("review_id", pl.col("parent_ids").alias("parent")).explode("parent")
    train = training.scan().filter(pl.col("split") == "train").select("review_id", "group_key")
    parents = with_folds(train.join(links.lazy().select(review_id="parent").unique(), on="review_id").collect())
    folds = (
        links.join(parents.select("fold", parent="review_id"), on="parent", how="left")
        .group_by("review_id")
        .agg(pl.col("fold").min().alias("fold"), wrong=(pl.col("fold").n_unique() > 1) | pl.col("fold").has_nulls())
    )
    wrong = folds.filter("wrong")["review_id"].sort()
    if len(wrong):
        raise DataContractError(
            "synthetic rows whose parents are not training rows of one fold",
            given=wrong.head(5).to_list(),
            expected="parents of the train split, all of one fold",
            remedy="materialize synthetic_reviews again from this version of training_reviews",
        )
    return rows.select("review_id").join(folds, on="review_id", how="left", maintain_order="left")["fold"].to_list()


def _refusals(
    rows: pl.DataFrame, evidence: _Evidence, training: Artifact, settings: ValidationSettings
) -> dict[str, Refusal]:
    """The first reason against each row that has one, by id."""
    shapes = real_shapes(_train(training))
    refusals: dict[str, Refusal] = {}
    for number, (review_id, text, label, source) in enumerate(
        rows.select("review_id", "text", "label", "source").iter_rows()
    ):
        refusal = refuse_text(text, shapes[label, source], settings.max_repeated_ratio)
        refusal = refusal or _refuse_copy(review_id, evidence, refusals, settings)
        margin = evidence.judgement.margin[number]
        if refusal is None and margin > settings.disagreement_margin:
            found = f"judged {evidence.judgement.likeliest[number]}, {margin:.2f} likelier than {label}"
            refusal = Refusal(SyntheticReason.LABEL_DISAGREEMENT, found)
        if refusal is not None:
            refusals[review_id] = refusal
    return refusals


def _refuse_copy(
    review_id: str, evidence: _Evidence, refusals: Mapping[str, Refusal], settings: ValidationSettings
) -> Refusal | None:
    near_copy, of_held_out = settings.near_copy_similarity, settings.held_out_similarity
    for nearest, threshold, reason in (
        (evidence.held_out.get(review_id), of_held_out, SyntheticReason.NEAR_COPY_OF_HELD_OUT),
        (evidence.training.get(review_id), near_copy, SyntheticReason.NEAR_COPY_OF_TRAINING),
        (evidence.synthetic.get(review_id), near_copy, SyntheticReason.NEAR_COPY_OF_SYNTHETIC),
    ):
        # A copy of a row that was itself refused takes its place.
        if nearest and nearest.similarity >= threshold and nearest.review_id not in refusals:
            return Refusal(reason, f"similarity {nearest.similarity:.2f} to {nearest.review_id}")
    return None


def _rejects(rows: pl.DataFrame, refusals: Mapping[str, Refusal]) -> pl.DataFrame:
    found = pl.DataFrame(
        [(review_id, refusal.reason.value, refusal.detail) for review_id, refusal in refusals.items()],
        schema={"review_id": pl.String, "reason": pl.String, "detail": pl.String},
        orient="row",
    )
    texts = rows.select("review_id", "label", pl.col("text").str.slice(0, 160).alias("excerpt"))
    return found.join(texts, on="review_id", how="left").sort("review_id")


@dataclass(frozen=True)
class RealShape:
    """What the real reviews of one class and source look like.

    Attributes:
        shortest: 1st percentile of their length, in words.
        longest: 99th percentile of it.
        finished_ratio: Part of them that ends in an end mark.
    """

    shortest: int
    longest: int
    finished_ratio: float


def real_shapes(train: pl.LazyFrame) -> Mapping[tuple[str, str], RealShape]:
    """The shape of the real training rows by (label, source)."""
    word_counts = pl.col("text").str.count_matches(r"\S+")
    finished = pl.col("text").str.contains(r"[.!?\u2026][\"'\u201d\u2019)\]]*\s*$")
    shapes = train.group_by("label", "source").agg(
        word_counts.quantile(0.01, "lower").alias("low"),
        word_counts.quantile(0.99, "higher").alias("high"),
        finished.mean().alias("finished"),
    )
    return {
        (label, source): RealShape(int(low), int(high), finished)
        for label, source, low, high, finished in shapes.collect().iter_rows()
    }


def refuse_text(text: str, shape: RealShape, max_repeated_ratio: float) -> Refusal | None:
    """The first reason that the text itself gives, or None."""
    length = len(text.split())
    if length < shape.shortest:
        return Refusal(SyntheticReason.TOO_SHORT, f"{length} words; real ones have {shape.shortest} or more")
    if length > shape.longest:
        return Refusal(SyntheticReason.TOO_LONG, f"{length} words; real ones have {shape.longest} or fewer")
    repeated = repeated_ratio(text)
    if repeated > max_repeated_ratio:
        return Refusal(SyntheticReason.REPETITION, f"{repeated:.2f} repeated; at most {max_repeated_ratio} allowed")
    if cut := truncation(text, shape.finished_ratio):
        return Refusal(SyntheticReason.TRUNCATED, cut)
    if profane := _profanity().search(text):
        return Refusal(SyntheticReason.PROFANITY, f"holds {profane.group(0)!r}")
    return None


def repeated_ratio(text: str) -> float:
    """Part of the word trigrams that occur a second time, or of the sentences if that is more (0-1)."""
    words = text.lower().split()
    trigrams = list(zip(words, words[1:], words[2:], strict=False))
    sentences = [sentence.lower() for sentence in split_sentences(text)]
    parts = [1 - len(set(items)) / len(items) for items in (trigrams, sentences) if items]
    return max(parts, default=0.0)


def truncation(text: str, finished_ratio: float) -> str | None:
    """What shows that a text ends in the middle of a sentence, or None.

    A missing end mark counts only where nearly all real reviews have one: posts often have none.
    """
    end = text.rstrip()
    if is_finished(end):
        return None
    if _CUT_WORDS.search(end) or _CUT_MARKS.search(end):
        return f"ends in {end.split()[-1]!r}"
    if finished_ratio >= 0.9:
        return f"no end mark, which {finished_ratio:.0%} of the real ones have"
    return None


@cache
def _profanity() -> re.Pattern[str]:
    """Finds the words of profanity.txt, with the endings they take."""
    lines = _PROFANITY.read_text("utf-8").splitlines()
    stems = [re.escape(line) for line in lines if line and not line.startswith("#")]
    return re.compile(rf"\b(?:{'|'.join(stems)})(?:s|es|ed|er|ers|ing|in|y|ty)?\b", re.I)
