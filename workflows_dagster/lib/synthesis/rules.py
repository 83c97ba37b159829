"""What a text shows by itself: length, repetition, truncation, profanity."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl

from workflows_dagster.lib.synthesis.sentences import is_finished, split_sentences

_PROFANITY: Final = Path(__file__).with_name("profanity.txt")
_CUT_WORDS: Final = re.compile(
    r"\b(?:a|an|the|and|or|but|of|to|with|for|in|on|at|by|from|that|which|because|if|as|than|is|are|was|were|very|my"
    r"|your|their|its|so|not)$",
    re.I,
)
_CUT_MARKS: Final = re.compile(r"[,;:(\[\u2013-]$")


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
    words = pl.col("text").str.count_matches(r"\S+")
    finished = pl.col("text").str.contains(r"[.!?\u2026][\"'\u201d\u2019)\]]*\s*$")
    shapes = train.group_by("label", "source").agg(
        words.quantile(0.01, "lower").alias("low"),
        words.quantile(0.99, "higher").alias("high"),
        finished.mean().alias("finished"),
    )
    return {
        (label, source): RealShape(int(low), int(high), finished)
        for label, source, low, high, finished in shapes.collect().iter_rows()
    }


def refuse_text(text: str, shape: RealShape, max_repeated_ratio: float) -> Refusal | None:
    """The first reason that the text itself gives, or None."""
    words = text.split()
    if len(words) < shape.shortest:
        return Refusal(SyntheticReason.TOO_SHORT, f"{len(words)} words; real ones have {shape.shortest} or more")
    if len(words) > shape.longest:
        return Refusal(SyntheticReason.TOO_LONG, f"{len(words)} words; real ones have {shape.longest} or fewer")
    repeated = repeated_ratio(text)
    if repeated > max_repeated_ratio:
        return Refusal(SyntheticReason.REPETITION, f"{repeated:.2f} repeated; at most {max_repeated_ratio} allowed")
    if cut := truncation(text, shape.finished_ratio):
        return Refusal(SyntheticReason.TRUNCATED, cut)
    if profane := profanity().search(text):
        return Refusal(SyntheticReason.PROFANITY, f"holds {profane.group(0)!r}")
    return None


def repeated_ratio(text: str) -> float:
    """Part of the word trigrams, or of the sentences if that is more, that occur a second time (0-1)."""
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
def profanity() -> re.Pattern[str]:
    """Finds the words of profanity.txt, with the endings they take."""
    lines = _PROFANITY.read_text("utf-8").splitlines()
    stems = [re.escape(line) for line in lines if line and not line.startswith("#")]
    return re.compile(rf"\b(?:{'|'.join(stems)})(?:s|es|ed|er|ers|ing|in|y|ty)?\b", re.I)
