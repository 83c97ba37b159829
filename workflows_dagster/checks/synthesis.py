"""What must hold of synthetic rows before they are published."""

from pathlib import Path
from typing import Final

import polars as pl

from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.schema import CORPUS_REVIEW
from workflows_dagster.lib.synthesis.balance import ClassBalance
from workflows_dagster.lib.synthesis.generation import SYNTHETIC_FILE
from workflows_dagster.lib.synthesis.review import VERDICTS_FILE, Outcome, ReviewStanding, VettedSynthetics
from workflows_dagster.lib.synthesis.review_request import SAMPLE_FILE, SyntheticRequest
from workflows_dagster.lib.synthesis.similarity import highest_similarity

HELD_OUT_SIMILARITY: Final = 0.5
"""Highest similarity of a kept row to a validation or test row, whatever the run configuration says."""

_REVIEWS: Final = "reviews.parquet"


def _within_target(folder: Path) -> Verdict:
    balance = ClassBalance.read(folder)
    beyond = {x: n for x, n in balance.wanted.items() if n > balance.target[x] - balance.real[x]}
    return Verdict(not beyond, f"classes filled beyond their target: {beyond or 'none'}", {"beyond": len(beyond)})


def _parents_in_train(training: Path, folder: Path) -> Verdict:
    """On the data itself: every parent is looked up in the rows that the texts were made from."""
    rows = pl.scan_parquet(folder / SYNTHETIC_FILE, glob=False)
    parents = rows.select(review_id=pl.col("parent_ids").explode()).unique()
    train = pl.scan_parquet(training / _REVIEWS, glob=False).filter(pl.col("split") == "train").select("review_id")
    strange = _count(parents.join(train, on="review_id", how="anti"))
    orphans = _count(rows.filter(pl.col("parent_ids").list.len() == 0))
    text = f"{strange} parents outside the train split, {orphans} rows without parents"
    return Verdict(not strange and not orphans, text, {"outside_train": strange, "without_parents": orphans})


def _marked_synthetic(folder: Path) -> Verdict:
    rows = pl.scan_parquet(folder / SYNTHETIC_FILE, glob=False)
    marked = (pl.col("label_source") == "synthetic") & (pl.col("split") == "train")
    wrong = _count(rows.filter(~marked | pl.col("label").is_null() | pl.col("review_id").is_duplicated()))
    text = f"{wrong} rows that are not marked synthetic, not in train, without a class or repeated"
    return Verdict(not wrong, text, {"wrong": wrong})


def _rows_accounted(synthetic: Path, folder: Path) -> Verdict:
    made = pl.read_parquet(synthetic / SYNTHETIC_FILE, columns=["review_id"], glob=False)["review_id"].sort()
    kept, rejected = (
        pl.read_parquet(folder / name, columns=["review_id"], glob=False)["review_id"]
        for name in (_REVIEWS, "rejects.parquet")
    )
    same = pl.concat([kept, rejected]).sort().equals(made)
    text = f"{len(made)} generated, {len(kept)} kept + {len(rejected)} rejected"
    return Verdict(same, text, {"generated": len(made), "kept": len(kept), "rejected": len(rejected)})


def _no_held_out_copy(training: Path, folder: Path) -> Verdict:
    """With an exact index, where validation uses MinHash."""
    kept = pl.read_parquet(folder / _REVIEWS, columns=["text"], glob=False)["text"].to_list()
    held_out = pl.scan_parquet(training / _REVIEWS, glob=False).filter(pl.col("split").is_in(["validation", "test"]))
    highest = highest_similarity(kept, held_out.select("text").collect()["text"])
    text = f"highest similarity of a kept row to a validation or test row {highest:.3f}; below {HELD_OUT_SIMILARITY}"
    passed = highest < HELD_OUT_SIMILARITY
    return Verdict(passed, text, {"highest_similarity": highest, "threshold": HELD_OUT_SIMILARITY})


def _asks_validated_rows(validated: Path, folder: Path) -> Verdict:
    sample = pl.read_parquet(folder / SAMPLE_FILE, columns=["review_id"], glob=False)
    strange = _count(sample.lazy().join(pl.scan_parquet(validated / _REVIEWS, glob=False), on="review_id", how="anti"))
    asked = SyntheticRequest.read(folder).rows
    repeated = sample.height - sample.n_unique()
    text = f"{asked} rows requested, {sample.height} drawn, {repeated} of them repeated, {strange} not validated"
    figures = {"asked": asked, "drawn": sample.height, "repeated": repeated, "strange": strange}
    return Verdict(asked == sample.height and not repeated and not strange, text, figures)


def _follows_verdicts(validated: Path, folder: Path) -> Verdict:
    """On the data itself: what is left is what people kept or did not see, and what they wrote."""
    verdicts = pl.read_parquet(folder / VERDICTS_FILE, glob=False)
    kept = pl.read_parquet(folder / _REVIEWS, glob=False)
    refused = verdicts.filter(pl.col("outcome") != Outcome.KEPT).select("review_id")
    fixed = verdicts.filter(pl.col("outcome") == Outcome.FIXED).select(
        "label", "source", review_id="corrected_id", text="correction"
    )
    left_in = kept.join(refused, on="review_id", how="semi").height
    written = kept.join(fixed, on=fixed.columns, how="semi")
    others = kept.join(written, on="review_id", how="anti")
    before = pl.read_parquet(validated / _REVIEWS, glob=False)
    changed = others.height - others.join(before, on=["review_id", "text", "label"], how="semi").height
    missing = 0 if kept.is_empty() else before.height - refused.height + fixed.height - kept.height
    text = f"{left_in} rows that people refused, {changed} that changed without a correction, {missing} missing"
    figures = {"left_in": left_in, "changed": changed, "missing": missing}
    return Verdict(not left_in and not changed and not missing, text, figures)


def _judged_sound(folder: Path) -> Verdict:
    review = VettedSynthetics.read(folder).review
    return Verdict(review.standing is ReviewStanding.SOUND, review.sentence, {"standing": review.standing.value})


def _rest_on_verdicts(reviewed: Path, folder: Path) -> Verdict:
    """Every added synthetic row is one that was left after the review, and none is missing."""
    added = pl.scan_parquet(folder / _REVIEWS, glob=False).filter(pl.col("label_source") == "synthetic")
    passed = pl.scan_parquet(reviewed / _REVIEWS, glob=False).select("review_id", "text", "label")
    strange = _count(added.join(passed, on=["review_id", "text", "label"], how="anti"))
    rows, expected = _count(added), _count(passed)
    text = f"{strange} synthetic rows that the review had left out; {rows} rows, {expected} passed"
    return Verdict(not strange and rows == expected, text, {"strange": strange, "rows": rows, "passed": expected})


def _real_rows_unchanged(training: Path, folder: Path) -> Verdict:
    """All columns of the corpus of all real rows, in their order; the rest is synthetic and in train."""
    before, after = pl.scan_parquet(training / _REVIEWS, glob=False), pl.scan_parquet(folder / _REVIEWS, glob=False)
    real = _count(before)
    names = CORPUS_REVIEW.names  # votes of people are training_reviews' own
    changed = [
        name
        for name in names
        if not before.select(name).collect().equals(after.select(name).head(real).collect(), null_equal=True)
    ]
    synthetic = (pl.col("label_source") == "synthetic") & (pl.col("split") == "train")
    strange = _count(after.slice(real).filter(~synthetic))
    text = f"columns of real rows that changed: {changed or 'none'}; {strange} added rows are not synthetic train rows"
    return Verdict(not changed and not strange, text, {"columns_changed": len(changed), "strange": strange})


def _count(rows: pl.LazyFrame) -> int:
    return rows.select(pl.len()).collect().item()


CLASS_BALANCE: Final = (Audit("within_target", "No class is filled up beyond its target.", _within_target),)

SYNTHETIC_REVIEWS: Final = (
    Audit("marked_synthetic", "Every row is marked synthetic, in train, once, with a class.", _marked_synthetic),
    Audit(
        "parents_in_train",
        "Every row has parents, all of them in train.",
        _parents_in_train,
        against="training_reviews",
    ),
)

VALID_SYNTHETICS: Final = (
    Audit(
        "rows_accounted",
        "Generated rows = kept + rejected rows.",
        _rows_accounted,
        against="synthetic_reviews",
    ),
    Audit(
        "no_held_out_copy",
        "No kept row is a near copy of a validation or test row.",
        _no_held_out_copy,
        against="training_reviews",
    ),
)

SYNTHETIC_REQUEST: Final = (
    Audit(
        "asks_validated_rows",
        "Every row that people are shown is a validated one.",
        _asks_validated_rows,
        against="valid_synthetics",
    ),
)

VETTED_SYNTHETICS: Final = (
    # It only warns: where people have not reviewed the rows, the run goes on and says so.
    Audit(
        "judged_sound",
        "People find enough of a sample sound, by the lower bound of the share.",
        _judged_sound,
        blocking=False,
    ),
    Audit(
        "follows_verdicts",
        "What people refused is out, what they corrected is in, and all else is as it was validated.",
        _follows_verdicts,
        against="valid_synthetics",
    ),
    Audit(
        "no_held_out_copy",
        "No row, corrected ones included, is a near copy of a validation or test row.",
        _no_held_out_copy,
        against="training_reviews",
    ),
)

AUGMENTED_REVIEWS: Final = (
    Audit(
        "rest_on_verdicts",
        "The synthetic rows are those that were left after people reviewed a sample.",
        _rest_on_verdicts,
        against="vetted_synthetics",
    ),
    Audit(
        "real_rows_unchanged",
        "Validation, test and real training rows are those of training_reviews; what was added is synthetic.",
        _real_rows_unchanged,
        against="training_reviews",
    ),
)
