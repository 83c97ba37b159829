"""Cleans one batch of raw reviews in bounded memory: kept rows, rejected rows with reasons, and the report."""

import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from workflows_dagster.lib.artifact import Artifact, Markdown
from workflows_dagster.lib.cleaning.language import identify
from workflows_dagster.lib.cleaning.personal_data.masking import personal_data_rules
from workflows_dagster.lib.cleaning.rejection import judge
from workflows_dagster.lib.cleaning.rules import Rewritten, Rule, RuleGroup, rewrite_until_stable, spread
from workflows_dagster.lib.cleaning.settings import CleaningSettings, RejectReason
from workflows_dagster.lib.cleaning.text import emoji_rules, form_rules, surface_rules
from workflows_dagster.lib.parquet import read_batches, to_table
from workflows_dagster.lib.process_guard import die_with_parent
from workflows_dagster.lib.progress import Progress
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.schema import CLEAN_REVIEW, REJECT

SLICE_ROWS: Final = 16_384
"""Rows cleaned at once, and rows of a row group of the output. Not configuration: the bytes written depend on it."""

_WORTH_A_WORKER: Final = 2
"""Slices for which starting a process pays."""

EXCERPT_CHARACTERS: Final = 80
_OVERSIZE: Final = 4
"""A text this many times too long is cut before it is cleaned, for its excerpt, and rejected whatever is left."""


class CleaningReport(Record):
    """What cleaning one batch found.

    Attributes:
        reasons: Rejected rows by reason.
        languages: Kept rows by language.
        masked: Masked pieces of personal data by kind.
        repaired: Rows that each rule changed.
    """

    rows_in: int
    rows_kept: int
    rows_rejected: int
    reasons: dict[str, int]
    languages: dict[str, int]
    masked: dict[str, int]
    repaired: dict[str, int]

    def to_metadata(self) -> dict[str, str | int | float | dict[str, int] | Markdown]:
        """The counts as metadata."""
        return {
            "cleaning/in_rows": self.rows_in,
            "cleaning/kept_rows": self.rows_kept,
            "cleaning/rejected_rows": self.rows_rejected,
            "cleaning/masked_pieces": sum(self.masked.values()),
            "cleaning/counts": Markdown(self._tables()),
        }

    def _tables(self) -> str:
        named = {
            "Rejected because": self.reasons,
            "Language": self.languages,
            "Masked": self.masked,
            "Repaired rows": self.repaired,
        }
        return "\n\n".join(
            "\n".join(
                [
                    f"| {title} | rows |",
                    "|---|---:|",
                    *(f"| {name} | {n:,} |" for name, n in Counter(found).most_common() if n),
                ]
            )
            for title, found in named.items()
            if any(found.values())
        )


@dataclass(frozen=True)
class CleanSlice:
    """One slice after cleaning.

    Attributes:
        kept: CLEAN_REVIEW.
        rejected: REJECT.
        found: What was counted, by the field of the report that holds it.
    """

    kept: pa.Table
    rejected: pa.Table
    found: dict[str, Counter[str]]


def clean_batch(raw: Artifact, settings: CleaningSettings, folder: Path) -> CleaningReport:
    """Cleans a batch: writes reviews.parquet (CLEAN_REVIEW), rejects.parquet (REJECT) and report.json.

    Rows keep their order, and each is cleaned by itself: neither the order of rows nor the number of workers changes
    what becomes of a row. Memory is bounded by a few slices per worker.

    Args:
        raw: Holds reviews.parquet (RAW_REVIEW).
        settings: What is done and what is refused.
        folder: Where the files are written.
    """
    with pq.ParquetFile(raw.file("reviews.parquet"), pre_buffer=False, buffer_size=1 << 20) as source:
        rows = source.metadata.num_rows
        progress = Progress(f"cleaning {raw.partition or raw.asset}", rows, "rows")
        workers = min(settings.workers, rows // (_WORTH_A_WORKER * SLICE_ROWS))
        # A run configuration is a subclass that would drag Dagster into every worker.
        plain = CleaningSettings.model_validate(settings.model_dump())
        found = {name: Counter[str]() for name in ("reasons", "languages", "masked", "repaired")}
        with (
            pq.ParquetWriter(folder / "reviews.parquet", CLEAN_REVIEW, compression="zstd") as reviews,
            pq.ParquetWriter(folder / "rejects.parquet", REJECT, compression="zstd") as rejects,
            _mapper(workers) as in_order,
        ):
            for cleaned in in_order(partial(clean_slice, settings=plain), read_batches(source, rows=SLICE_ROWS)):
                reviews.write_table(cleaned.kept)
                rejects.write_table(cleaned.rejected)
                for name, counts in found.items():
                    counts += cleaned.found[name]  # in place; what was counted zero times is left out
                progress.advance(cleaned.kept.num_rows + cleaned.rejected.num_rows)
    reasons = {reason.value: found["reasons"][reason.value] for reason in RejectReason}
    report = CleaningReport(
        rows_in=rows,
        rows_kept=rows - found["reasons"].total(),
        rows_rejected=found["reasons"].total(),
        reasons=reasons,
        languages=found["languages"],
        masked=found["masked"],
        repaired=found["repaired"],
    )
    report.write(folder)
    return report


_InOrder = Callable[[Callable[[pa.RecordBatch], CleanSlice], Iterable[pa.RecordBatch]], Iterator[CleanSlice]]


@contextmanager
def _mapper(workers: int) -> Generator[_InOrder]:
    """A `map` over slices that keeps their order, in this process or in several.

    Language identification holds the interpreter's lock, so threads would take turns.
    """
    if workers <= 1:
        yield map
        return
    with ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=die_with_parent, initargs=(os.getpid(),)
    ) as pool:
        yield partial(_map_bounded, pool, workers + 1)


def _map_bounded(
    pool: ProcessPoolExecutor,
    slots: int,
    function: Callable[[pa.RecordBatch], CleanSlice],
    batches: Iterable[pa.RecordBatch],
) -> Iterator[CleanSlice]:
    """Results in order, with at most `slots` slices under way: the pool's own `map` reads all its input at once."""
    waiting: deque[Future[CleanSlice]] = deque()
    for batch in batches:
        waiting.append(pool.submit(function, batch))
        if len(waiting) >= slots:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def clean_slice(batch: pa.RecordBatch, settings: CleaningSettings) -> CleanSlice:
    """Cleans the rows of one slice of RAW_REVIEW."""
    rows = pl.DataFrame(batch)
    limit = _OVERSIZE * settings.max_characters
    rewritten = clean_texts(rows["text"].str.slice(0, limit), settings)
    found = _refuse_oversize(rows["text"], limit, judge(rewritten.texts, settings))
    rows = rows.with_columns(rewritten.texts.alias("text"), rewritten.masked.alias("masked"), *found)
    kept = _with_language(rows.filter(pl.col("reason").is_null()), settings)
    rejected = rows.filter(pl.col("reason").is_not_null()).with_columns(
        line=pl.lit(None, pl.Int64), excerpt=pl.col("text").str.slice(0, EXCERPT_CHARACTERS)
    )
    counted = {
        "reasons": Counter(rejected["reason"].to_list()),
        "languages": Counter(kept["language"].to_list()),
        "masked": rewritten.masks,
        "repaired": rewritten.repaired,
    }
    return CleanSlice(to_table(kept, CLEAN_REVIEW), to_table(rejected, REJECT), counted)


def _refuse_oversize(raw: pl.Series, limit: int, found: pl.DataFrame) -> pl.DataFrame:
    length = raw.str.len_chars()
    detail = pl.format("length {} before cleaning; expected at most {}", pl.lit(length), pl.lit(limit))
    return found.with_columns(
        reason=pl.when(length > limit).then(pl.lit(RejectReason.TOO_LONG.value)).otherwise("reason"),
        detail=pl.when(length > limit).then(detail).otherwise("detail"),
    )


def clean_texts(texts: pl.Series, settings: CleaningSettings) -> Rewritten:
    """The texts repaired and masked; cleaning them again changes nothing.

    Most rows need some repair, and few hold personal data. So the form comes first, and only what masking changes is
    looked at again.
    """
    form, masking = _rules(settings.model_dump_json())
    formed = rewrite_until_stable(texts, form)
    cleaned = rewrite_until_stable(formed.texts, masking, form)
    return Rewritten(cleaned.texts, cleaned.masked, formed.repaired + cleaned.repaired, cleaned.masks)


def mask_texts(texts: pl.Series) -> pl.Series:
    """The texts with personal data masked and nothing else changed, whatever the settings of cleaning say."""
    return rewrite_until_stable(texts, personal_data_rules(CleaningSettings())).texts


@cache
def _rules(settings_json: str) -> tuple[tuple[Rule | RuleGroup, ...], tuple[Rule | RuleGroup, ...]]:
    settings = CleaningSettings.model_validate_json(settings_json)
    return (
        (*form_rules(), *surface_rules(settings)),
        (*personal_data_rules(settings), *emoji_rules(settings)),
    )


def _with_language(rows: pl.DataFrame, settings: CleaningSettings) -> pl.DataFrame:
    """Identifies the language of the rows that have none; a language that the source gave stays, without a score."""
    unknown = rows["language"].is_null()
    languages, scores = identify(rows["text"].filter(unknown), settings)
    return rows.with_columns(
        language=spread(languages, unknown, rows["language"]),
        language_score=spread(scores, unknown, pl.repeat(None, rows.height, dtype=pl.Float32, eager=True)),
    )
