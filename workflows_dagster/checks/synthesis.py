"""What must hold of synthetic rows before they are published."""

import json
from pathlib import Path
from typing import Final

import polars as pl

from workflows_dagster.lib.audit import Audit, Comparison, Verdict
from workflows_dagster.lib.schema import CORPUS_REVIEW
from workflows_dagster.lib.synthesis.balance import BALANCE_FILE
from workflows_dagster.lib.synthesis.making import SYNTHETIC_FILE
from workflows_dagster.lib.synthesis.similarity import highest_similarity

HELD_OUT_SIMILARITY: Final = 0.5
"""Most similar that a kept row may be to a validation or test row, whatever the run configuration says."""

_REVIEWS: Final = "reviews.parquet"


def _balance_bounded(folder: Path) -> Verdict:
    balance = json.loads((folder / BALANCE_FILE).read_text("utf-8"))
    wanted: dict[str, int] = {}
    for cell in balance["cells"]:
        wanted[cell["label"]] = wanted.get(cell["label"], 0) + cell["make"]
    beyond = {x: n for x, n in wanted.items() if n > balance["target"][x] - balance["real"][x]}
    return Verdict(not beyond, f"classes filled beyond their target: {beyond or 'none'}", {"beyond": len(beyond)})


def _parents_in_train(training: Path, folder: Path) -> Verdict:
    """Judged on the data: every parent is looked up in the rows that the texts were made from."""
    rows = pl.scan_parquet(folder / SYNTHETIC_FILE)
    parents = rows.select(review_id=pl.col("parent_ids").explode()).unique()
    train = pl.scan_parquet(training / _REVIEWS).filter(pl.col("split") == "train").select("review_id")
    strange = _count(parents.join(train, on="review_id", how="anti"))
    orphans = _count(rows.filter(pl.col("parent_ids").list.len() == 0))
    text = f"{strange} parents outside the train split, {orphans} rows without parents"
    return Verdict(not strange and not orphans, text, {"outside_train": strange, "without_parents": orphans})


def _marked_synthetic(folder: Path) -> Verdict:
    rows = pl.scan_parquet(folder / SYNTHETIC_FILE)
    marked = (pl.col("label_source") == "synthetic") & (pl.col("split") == "train")
    wrong = _count(rows.filter(~marked | pl.col("label").is_null() | pl.col("review_id").is_duplicated()))
    text = f"{wrong} rows that are not marked synthetic, not in train, without a class or repeated"
    return Verdict(not wrong, text, {"wrong": wrong})


def _rows_accounted_for(synthetic: Path, folder: Path) -> Verdict:
    made = pl.read_parquet(synthetic / SYNTHETIC_FILE, columns=["review_id"])["review_id"].sort()
    kept, rejected = (
        pl.read_parquet(folder / name, columns=["review_id"])["review_id"] for name in (_REVIEWS, "rejects.parquet")
    )
    same = pl.concat([kept, rejected]).sort().equals(made)
    text = f"{len(made)} generated, {len(kept)} kept + {len(rejected)} rejected"
    return Verdict(same, text, {"generated": len(made), "kept": len(kept), "rejected": len(rejected)})


def _no_held_out_copy(training: Path, folder: Path) -> Verdict:
    """By another method than validation: an exact index, no MinHash."""
    kept = pl.read_parquet(folder / _REVIEWS, columns=["text"])["text"].to_list()
    held_out = pl.scan_parquet(training / _REVIEWS).filter(pl.col("split").is_in(["validation", "test"]))
    highest = highest_similarity(kept, held_out.select("text").collect()["text"])
    text = f"highest similarity of a kept row to a validation or test row {highest:.3f}; below {HELD_OUT_SIMILARITY}"
    passed = highest < HELD_OUT_SIMILARITY
    return Verdict(passed, text, {"highest_similarity": highest, "threshold": HELD_OUT_SIMILARITY})


def _real_rows_unchanged(training: Path, folder: Path) -> Verdict:
    """All columns of the corpus of all real rows, in their order; the rest is synthetic and in train."""
    before, after = pl.scan_parquet(training / _REVIEWS), pl.scan_parquet(folder / _REVIEWS)
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


CLASS_BALANCE: Final = [
    Audit("class_balance_bounded", "No class is filled up beyond its target.", _balance_bounded),
]
SYNTHETIC_REVIEWS: Final = [
    Audit(
        "synthetic_reviews_marked", "Every row is marked synthetic, in train, once, with a class.", _marked_synthetic
    ),
]
SYNTHETIC_REVIEWS_OF_TRAINING: Final = [
    Comparison("synthetic_reviews_parents_in_train", "Every row has parents, all of them in train.", _parents_in_train),
]
VALIDATED_OF_SYNTHETIC: Final = [
    Comparison(
        "validated_synthetic_reviews_accounted_for", "Generated rows = kept + rejected rows.", _rows_accounted_for
    ),
]
VALIDATED_OF_TRAINING: Final = [
    Comparison(
        "validated_synthetic_reviews_no_held_out_copy",
        "No kept row is a near copy of a validation or test row.",
        _no_held_out_copy,
    ),
]
AUGMENTED_OF_TRAINING: Final = [
    Comparison(
        "augmented_reviews_real_rows_unchanged",
        "Validation, test and real training rows are those of training_reviews; what was added is synthetic.",
        _real_rows_unchanged,
    ),
]
