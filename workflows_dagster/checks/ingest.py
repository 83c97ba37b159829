"""What must hold of raw reviews before they are published."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.ingest.raw_reviews import REJECTS_FILE, REVIEWS_FILE, IngestReport

MOST_REJECTED_RATIO: Final = 0.1
"""Above it, the source is more likely described wrongly in sources.yaml than broken."""

IDS_AT_ONCE: Final = 500_000


def rows_accounted(folder: Path) -> Verdict:
    """Compares the rows that each file held with the rows of it that the two tables hold."""
    written = (
        pl.concat([pl.scan_parquet(folder / name, glob=False).select("file") for name in (REVIEWS_FILE, REJECTS_FILE)])
        .group_by("file")
        .len()
        .collect(engine="streaming")
    )
    held: dict[str, int] = dict(written.iter_rows())
    report = IngestReport.read(folder)
    expected = {file.uri: file.rows_in - file.rows_skipped_by_limit for file in report.files}
    off = {
        uri: (expected.get(uri, 0), held.get(uri, 0))
        for uri in sorted({*expected, *held})
        if expected.get(uri, 0) != held.get(uri, 0)
    }
    skipped = report.rows_skipped_by_limit
    sums = f"{report.rows_in:,} rows in, {sum(held.values()):,} kept or rejected, {skipped:,} beyond the limit"
    return Verdict(
        not off,
        f"{sums}; files that are off (rows read, rows written): {dict(list(off.items())[:5])}" if off else sums,
        {
            "rows_in": report.rows_in,
            "rows_written": sum(held.values()),
            "rows_skipped_by_limit": skipped,
            "files_off": len(off),
        },
    )


def mostly_kept(folder: Path) -> Verdict:
    """Compares the share of rejected rows with what real exports show."""
    report = IngestReport.read(folder)
    rows = report.rows_kept + report.rows_rejected
    ratio = report.rows_rejected / rows if rows else 0.0
    return Verdict(
        ratio <= MOST_REJECTED_RATIO,
        f"{report.rows_rejected:,} of {rows:,} rows were rejected: {counts(report.reasons)}",
        {"rejected_ratio": ratio, "threshold": MOST_REJECTED_RATIO},
    )


def some_kept(folder: Path) -> Verdict:
    """Counts the rows that are kept; a source that is described wrongly may keep none."""
    report = IngestReport.read(folder)
    return Verdict(
        bool(report.rows_kept) or not report.rows_rejected,
        f"{report.rows_kept:,} rows are kept, {report.rows_rejected:,} rejected: {counts(report.reasons)}",
        {"rows_kept": report.rows_kept, "rows_rejected": report.rows_rejected},
    )


def files_read(folder: Path) -> Verdict:
    """Counts the files that could not be read, and says why."""
    failures = IngestReport.read(folder).failures
    shown = "; ".join(failure.problem for failure in failures[:5])
    return Verdict(
        not failures,
        f"{len(failures):,} files could not be read; each is read again once it or its source changes: {shown}"
        if failures
        else "every file could be read",
        {"files_failed": len(failures), "threshold": 0},
    )


def dates_read(folder: Path) -> Verdict:
    """Compares the share of dates that could not be read with what real exports show."""
    report = IngestReport.read(folder)
    ratio = report.dates_unreadable / report.rows_kept if report.rows_kept else 0.0
    return Verdict(
        ratio <= MOST_REJECTED_RATIO,
        f"{report.dates_unreadable:,} of {report.rows_kept:,} rows hold a date that cannot be read, and are kept "
        "without it; if there are many, correct created_at_format of the source",
        {"unreadable_ratio": ratio, "threshold": MOST_REJECTED_RATIO},
    )


def counts(reasons: Mapping[str, int]) -> str:
    """Counts by reason, as text."""
    return ", ".join(f"{reason} {rows:,}" for reason, rows in reasons.items()) or "none"


def ids_name_one_text(folder: Path) -> Verdict:
    """Counts the ids under which this batch holds several texts."""
    reviews = pl.scan_parquet(folder / REVIEWS_FILE, glob=False)
    # By parts of the ids, so that memory does not grow with the rows; by hashes, so that long texts do not count.
    parts = reviews.select(pl.len()).collect().item() // IDS_AT_ONCE + 1
    several = sum(
        reviews.filter(pl.col("review_id").hash() % parts == part)
        .group_by(pl.col("review_id").hash())
        .agg(pl.col("text").hash().n_unique())
        .select((pl.col("text") > 1).sum())
        .collect(engine="streaming")
        .item()
        for part in range(parts)
    )
    return Verdict(
        several == 0,
        f"{several:,} ids come with several texts; if ids start anew in each file, set id_scope: file",
        {"ids_with_several_texts": several, "threshold": 0},
    )


RAW_REVIEWS: Final = (
    Audit(
        "rows_accounted",
        "Of each file, rows in = rows kept + rows rejected (+ rows beyond the limit, where one was asked for).",
        rows_accounted,
    ),
    Audit(
        "some_kept",
        "Where there are rows, at least one is kept.",
        some_kept,
    ),
    Audit(
        "files_read",
        "Every file of the batch could be read; one that could not costs itself alone.",
        files_read,
        blocking=False,
    ),
    Audit(
        "dates_read",
        f"At most {MOST_REJECTED_RATIO:.0%} of the kept rows hold a date that cannot be read.",
        dates_read,
        blocking=False,
    ),
    Audit(
        "mostly_kept",
        f"At most {MOST_REJECTED_RATIO:.0%} of the rows are rejected.",
        mostly_kept,
        blocking=False,
    ),
    Audit(
        "ids_name_one_text",
        "No review id comes with several texts; later stages keep one review of each id.",
        ids_name_one_text,
        blocking=False,
    ),
)
