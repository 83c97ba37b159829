"""What must hold of cleaned reviews and of the corpus before they are published."""

from pathlib import Path
from typing import Final

import polars as pl
import pyarrow.parquet as pq

from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.cleaning import corpus_audits as corpus
from workflows_dagster.lib.schema import CLEAN_REVIEW, LABELS

_REVIEWS: Final = "reviews.parquet"
_REJECTS: Final = "rejects.parquet"

# Written apart from the masking rules on purpose: an audit that shares their patterns would share their mistakes.
_EMAIL: Final = r"[A-Za-z0-9]@[A-Za-z0-9-]+\.[A-Za-z]{2}"
_CARD: Final = (
    r"(?:^|[^A-Za-z0-9_.,-])((?:[2-6][0-9]{15}|[2-6][0-9]{3}(?:[ -][0-9]{4}){3}|"
    r"3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5}))(?:$|[^A-Za-z0-9_.,-])"
)
_ISSUED: Final = r"^(?:4[0-9]{15}|5[1-5][0-9]{14}|3[47][0-9]{13}|6011[0-9]{12})$"


def _rows_accounted(raw: Path, folder: Path) -> Verdict:
    """Compares the raw rows with the kept and the rejected ones, by id, file and row number."""
    before = _fingerprint([raw / _REVIEWS])
    after = _fingerprint([folder / _REVIEWS, folder / _REJECTS])
    rows_in, rows_out = before["rows"].item(), after["rows"].item()
    same = before.equals(after)
    found = "each raw row is there once" if same else "the rows are not the raw ones"
    return Verdict(
        same,
        f"{rows_in:,} rows in, {rows_out:,} kept or rejected; {found}",
        {"rows_in": rows_in, "rows_kept_or_rejected": rows_out},
    )


def _fingerprint(tables: list[Path]) -> pl.DataFrame:
    """Number of rows and an order-independent sum over their keys, in constant memory."""
    key = pl.struct(pl.col("review_id"), pl.col("file"), pl.col("row")).hash()
    rows = pl.concat([pl.scan_parquet(table).select("review_id", "file", "row") for table in tables])
    # 40 bits of each hash, so that the sum over 16 million rows cannot overflow.
    return rows.select(rows=pl.len(), keys=(key // 2**24).sum()).collect(engine="streaming")


def _conforms(folder: Path) -> Verdict:
    """Compares columns and types with the schema, and values with their closed lists."""
    schema = pq.read_schema(folder / _REVIEWS)
    broken = {
        "stars": ~pl.col("stars").is_between(1, 5),
        "label": ~pl.col("label").is_in(LABELS),
        "language": pl.col("language").is_null() | (pl.col("language") == ""),
        "review_id": pl.col("review_id") == "",
        "group_key": pl.col("group_key") == "",
        "masked": pl.col("masked") < 0,
        "language_score": ~pl.col("language_score").is_between(0, 1),
    }
    rows = pl.scan_parquet(folder / _REVIEWS)
    counted = rows.select(**{name: rule.sum() for name, rule in broken.items()}).collect(engine="streaming")
    off = {name: count for name, count in counted.row(0, named=True).items() if count}
    same_schema = schema.equals(CLEAN_REVIEW)
    return Verdict(
        same_schema and not off,
        f"schema {'as' if same_schema else 'not as'} expected; rows with a value outside its list: {off or 'none'}",
        {"rows_off": sum(off.values()), "threshold": 0},
    )


def _masked(folder: Path) -> Verdict:
    """Counts the kept rows in which a second, independent detector sees an e-mail address or a payment card."""
    rows = pl.scan_parquet(folder / _REVIEWS).select("text")
    emails = rows.select(pl.col("text").str.contains(_EMAIL).sum()).collect(engine="streaming").item()
    cards = _cards(rows.filter(pl.col("text").str.contains("[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}|3[47][0-9]{2}[ -]")))
    return Verdict(
        emails + cards == 0,
        f"{emails:,} rows hold an e-mail address, {cards:,} a payment card",
        {"emails_rows": emails, "cards_rows": cards, "threshold": 0},
    )


def _cards(rows: pl.LazyFrame) -> int:
    numbers = (
        rows.with_row_index("row")
        .select("row", number=pl.col("text").str.extract_all(_CARD))
        .explode("number")
        .select("row", digits=pl.col("number").str.replace_all("[^0-9]", ""))
        .filter(pl.col("digits").str.contains(_ISSUED))
        .collect(engine="streaming")
    )
    passing = numbers.with_columns(digit=pl.col("digits").str.reverse().str.split("")).with_row_index("id")
    digits = passing.explode("digit").filter(pl.col("digit") != "").with_columns(pl.col("digit").cast(pl.Int32))
    place = pl.int_range(pl.len()).over("id")
    doubled = pl.col("digit") * pl.when(place % 2 == 1).then(2).otherwise(1)
    sums = digits.with_columns(value=doubled % 10 + doubled // 10).group_by("id", "row").agg(pl.col("value").sum())
    return sums.filter(pl.col("value") % 10 == 0)["row"].n_unique()


CLEANED_REVIEWS: Final = (
    Audit(
        "conforms_to_schema",
        "Columns and types are those of CLEAN_REVIEW; stars, labels, languages and ids are of their closed lists.",
        _conforms,
    ),
    Audit(
        "free_of_emails_and_cards",
        "A second detector, written apart from the masking rules, finds no e-mail address and no payment card.",
        _masked,
    ),
    Audit(
        "rows_accounted",
        "Rows in = rows kept + rows rejected, and they are the same rows.",
        _rows_accounted,
        against="raw_reviews",
    ),
)

REVIEW_CORPUS: Final = (
    Audit(
        "rows_accounted",
        "Rows of all batches = rows kept + duplicates + rows of sources that are not in the catalog.",
        corpus.rows_accounted,
    ),
    Audit("ids_unique", "Each review is there once; the table is sorted by id.", corpus.ids_unique),
    Audit(
        "conforms_to_schema",
        "Columns and types are those of CORPUS_REVIEW; labels and splits are of their closed lists and go together.",
        corpus.conforms,
    ),
    Audit(
        "groups_in_one_split",
        "No product, author or parallel translation is in two of train, validation and test.",
        corpus.groups_in_one_split,
    ),
    Audit(
        "texts_in_one_split",
        "No text, case and punctuation aside, is in two of train, validation and test.",
        corpus.texts_in_one_split,
    ),
    Audit(
        "near_duplicates_in_one_split",
        f"At most {corpus.MOST_NEAR_TWINS_RATIO:.0%} of {corpus.SAMPLE_ROWS:,} held-out rows have a near copy in "
        "another split, looked for with other hashes than the build.",
        corpus.near_duplicates_in_one_split,
    ),
    Audit(
        "classes_large_enough",
        f"Each class has at least {corpus.LEAST_CLASS_ROWS} rows in each split.",
        corpus.classes_large_enough,
        blocking=False,
    ),
    Audit(
        "splits_near_target",
        f"The share of each split is within {corpus.MOST_SPLIT_DRIFT:.0%} points of what was asked for.",
        corpus.splits_near_target,
        blocking=False,
    ),
)
