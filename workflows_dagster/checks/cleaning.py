"""What must hold of cleaned reviews and of the corpus before they are published.

The corpus is judged from its files by other means than those that made it.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq

from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.cleaning.copies import REVIEWS_FILE, text_key
from workflows_dagster.lib.cleaning.corpus import DUPLICATES_FILE, CorpusReport
from workflows_dagster.lib.cleaning.near_duplicates import band_hashes, band_layout, signatures, similarities
from workflows_dagster.lib.parquet import read_batches
from workflows_dagster.lib.schema import CLEAN_REVIEW, CORPUS_REVIEW, LABELS, SPLITS

_REJECTS_FILE: Final = "rejects.parquet"

# Written apart from the masking rules on purpose: an audit that shares their patterns would share their mistakes.
_EMAIL: Final = r"[A-Za-z0-9]@[A-Za-z0-9-]+\.[A-Za-z]{2}"
_CARD: Final = (
    r"(?:^|[^A-Za-z0-9_.,-])((?:[2-6][0-9]{15}|[2-6][0-9]{3}(?:[ -][0-9]{4}){3}|"
    r"3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5}))(?:$|[^A-Za-z0-9_.,-])"
)
_ISSUED: Final = r"^(?:4[0-9]{15}|5[1-5][0-9]{14}|3[47][0-9]{13}|6011[0-9]{12})$"


def cleaned_rows_accounted(raw: Path, folder: Path) -> Verdict:
    """Compares the raw rows with the kept and the rejected ones, by id, file and row number."""
    before = _fingerprint([raw / REVIEWS_FILE])
    after = _fingerprint([folder / REVIEWS_FILE, folder / _REJECTS_FILE])
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
    rows = pl.concat([pl.scan_parquet(table, glob=False).select("review_id", "file", "row") for table in tables])
    # 40 bits of each hash, so that the sum over 16 million rows cannot overflow.
    return rows.select(rows=pl.len(), keys=(key // 2**24).sum()).collect(engine="streaming")


def cleaned_conforms(folder: Path) -> Verdict:
    """Compares columns and types with the schema, and values with their closed lists."""
    schema = pq.read_schema(folder / REVIEWS_FILE)
    broken = {
        "stars": ~pl.col("stars").is_between(1, 5),
        "label": ~pl.col("label").is_in(LABELS),
        "language": pl.col("language").is_null() | (pl.col("language") == ""),
        "review_id": pl.col("review_id") == "",
        "group_key": pl.col("group_key") == "",
        "masked": pl.col("masked") < 0,
        "language_score": ~pl.col("language_score").is_between(0, 1),
    }
    rows = pl.scan_parquet(folder / REVIEWS_FILE, glob=False)
    counted = rows.select(**{name: rule.sum() for name, rule in broken.items()}).collect(engine="streaming")
    off = {name: count for name, count in counted.row(0, named=True).items() if count}
    same_schema = schema.equals(CLEAN_REVIEW)
    return Verdict(
        same_schema and not off,
        f"schema {'as' if same_schema else 'not as'} expected; rows with a value outside its list: {off or 'none'}",
        {"rows_off": sum(off.values()), "threshold": 0},
    )


def free_of_emails_and_cards(folder: Path) -> Verdict:
    """Counts the kept rows in which a second, independent detector sees an e-mail address or a payment card."""
    rows = pl.scan_parquet(folder / REVIEWS_FILE, glob=False).select("text")
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
        cleaned_conforms,
    ),
    Audit(
        "free_of_emails_and_cards",
        "A second detector, written apart from the masking rules, finds no e-mail address and no payment card.",
        free_of_emails_and_cards,
    ),
    Audit(
        "rows_accounted",
        "Rows in = rows kept + rows rejected, and they are the same rows.",
        cleaned_rows_accounted,
        against="raw_reviews",
    ),
)


# review_corpus

SAMPLE_ROWS: Final = 2_000
MOST_NEAR_TWINS_RATIO: Final = 0.01
"""Share of held-out rows that may have a near copy in another split: what the search may miss at its threshold."""

LEAST_CLASS_ROWS: Final = 30
MOST_SPLIT_DRIFT: Final = 0.03
_AUDIT_SEED: Final = 20_011
_PERMUTATIONS: Final = 128
_ROWS_AT_ONCE: Final = 10_000
_SPLIT_BITS: Final = np.uint64(3)


def corpus_rows_accounted(folder: Path) -> Verdict:
    """Compares the rows that came in with the rows of the tables and those left out."""
    report = CorpusReport.read(folder)
    kept, duplicates = (pq.read_metadata(folder / name).num_rows for name in (REVIEWS_FILE, DUPLICATES_FILE))
    rows_in, left_out = report.rows_in, report.rows_left_out
    return Verdict(
        rows_in == kept + duplicates + left_out,
        f"{rows_in:,} rows in; {kept:,} kept, {duplicates:,} duplicates, {left_out:,} of sources not in the catalog",
        {"rows_in": rows_in, "rows_kept": kept, "rows_duplicate": duplicates, "rows_left_out": left_out},
    )


def ids_unique(folder: Path) -> Verdict:
    """Counts ids that are not greater than the one before: the table is sorted, so these are repeated or misplaced."""
    last, off = "", 0
    for frame in _read(folder, ["review_id"]):
        ids = pl.concat([pl.Series("review_id", [last]), frame["review_id"]])
        off += int((ids[1:] <= ids[:-1]).sum())
        last = ids[-1]
    return Verdict(off == 0, f"{off:,} ids are repeated or out of order", {"rows_off": off, "threshold": 0})


def corpus_conforms(folder: Path) -> Verdict:
    """Compares columns and types with the schema, and labels and splits with their closed lists."""
    label, source, split = pl.col("label"), pl.col("label_source"), pl.col("split")
    broken = {
        "label": ~label.is_in(LABELS),
        "label_source": ~source.is_in(["rating", "given"]) | (label.is_null() != source.is_null()),
        "split": ~split.is_in(SPLITS) | (label.is_null() != (split == "none")),
    }
    off: Counter[str] = Counter()
    for frame in _read(folder, ["label", "label_source", "split"]):
        off.update(frame.select(**{name: rule.sum() for name, rule in broken.items()}).row(0, named=True))
    off = +off
    same_schema = pq.read_schema(folder / REVIEWS_FILE).equals(CORPUS_REVIEW)
    return Verdict(
        same_schema and not off,
        f"schema {'as' if same_schema else 'not as'} expected; rows with a value outside its list: "
        f"{dict(off) or 'none'}",
        {"rows_off": sum(off.values()), "threshold": 0},
    )


def groups_in_one_split(folder: Path) -> Verdict:
    """Counts the group keys whose labelled rows are in several splits."""
    return _in_one_split(folder, "group_key", pl.col("group_key"), "group keys")


def texts_in_one_split(folder: Path) -> Verdict:
    """Counts the normalised texts that are in several splits."""
    return _in_one_split(folder, "text", text_key(pl.col("text")), "normalised texts")


def _in_one_split(folder: Path, column: str, value: pl.Expr, what: str) -> Verdict:
    """Sorts hashes of the values with the split in their last two bits, 8 bytes a row, so that equal ones meet."""
    marked = np.empty(pq.read_metadata(folder / REVIEWS_FILE).num_rows, np.uint64)
    rows = 0
    for frame in _read(folder, [column, "split"]):
        labelled = frame.filter(pl.col("split") != "none")
        hashes = labelled.select(value.hash(3).alias("hash"))["hash"].to_numpy()
        marked[rows : rows + len(hashes)] = (hashes & ~_SPLIT_BITS) | _split_numbers(labelled["split"])
        rows += len(hashes)
    marked = marked[:rows]
    marked.sort()
    values = marked & ~_SPLIT_BITS
    straddling = len(np.unique(values[1:][(values[1:] == values[:-1]) & (marked[1:] != marked[:-1])]))
    return Verdict(
        straddling == 0,
        f"{straddling:,} {what} are in several splits, of {rows:,} labelled rows",
        {"straddling": straddling, "threshold": 0},
    )


def near_duplicates_in_one_split(folder: Path) -> Verdict:
    """Looks for near copies of `SAMPLE_ROWS` held-out rows in all other splits, with other hashes than the build."""
    similarity = CorpusReport.read(folder).near_similarity
    sample = _held_out_sample(folder)
    layout = band_layout(similarity, _PERMUTATIONS, 0.99)
    bands = _bands(sample["key"], layout)
    order = np.argsort(bands[0])
    known, owners = bands[0][order], bands[1][order]
    twins: set[int] = set()
    for frame in _read(folder, ["text", "split"]):
        for piece in frame.filter(pl.col("split") != "none").iter_slices(_ROWS_AT_ONCE):
            twins.update(_twins(sample, known, owners, piece, layout, similarity))
    ratio = len(twins) / max(1, sample.height)
    # One pair missed at the very threshold must not stop a corpus that is too small for a share to mean anything.
    return Verdict(
        ratio <= MOST_NEAR_TWINS_RATIO or len(twins) <= 1,
        f"{len(twins):,} of {sample.height:,} sampled held-out rows have a near copy in another split",
        {
            "rows_with_twin": len(twins),
            "sampled_rows": sample.height,
            "ratio": ratio,
            "threshold": MOST_NEAR_TWINS_RATIO,
        },
    )


def _held_out_sample(folder: Path) -> pl.DataFrame:
    splits = CorpusReport.read(folder).splits
    step = max(1, -(-(splits["validation"] + splits["test"]) // SAMPLE_ROWS))
    drawn = pl.col("split").is_in(["validation", "test"]) & (pl.col("review_id").hash(_AUDIT_SEED) % step == 0)
    key = text_key(pl.col("text")).alias("key")
    return pl.concat(
        [frame.filter(drawn).select(key, "split") for frame in _read(folder, ["review_id", "text", "split"])]
    )


def _bands(keys: pl.Series, layout: tuple[int, int]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Band hashes of the keys and the place of the key that each belongs to."""
    signature = signatures(keys, _PERMUTATIONS, _AUDIT_SEED)
    return band_hashes(signature, *layout).ravel(), np.repeat(np.arange(len(keys)), layout[0])


def _twins(
    sample: pl.DataFrame,
    known: npt.NDArray[np.uint64],
    owners: npt.NDArray[np.int64],
    rows: pl.DataFrame,
    layout: tuple[int, int],
    similarity: float,
) -> list[int]:
    """Places in the sample of the rows that have a near copy in another split among `rows`."""
    keys = rows.select(text_key(pl.col("text")).alias("key"))["key"]
    hashes, places = _bands(keys, layout)
    first, last = np.searchsorted(known, hashes, side="left"), np.searchsorted(known, hashes, side="right")
    counts = last - first
    starts = np.repeat(first - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    ours, theirs = owners[starts + np.arange(counts.sum())], np.repeat(places, counts)
    apart = _split_numbers(sample["split"])[ours] != _split_numbers(rows["split"])[theirs]
    pairs = pl.DataFrame({"ours": ours[apart], "theirs": theirs[apart]}).unique()
    found = similarities(sample["key"].gather(pairs["ours"]), keys.gather(pairs["theirs"])) >= similarity
    return pairs.filter(pl.Series(found, dtype=pl.Boolean))["ours"].to_list()


def classes_large_enough(folder: Path) -> Verdict:
    """Finds the smallest class of any split."""
    cells = _cells(folder)
    smallest = min(cells, key=lambda cell: cells[cell])
    return Verdict(
        cells[smallest] >= LEAST_CLASS_ROWS,
        f"the smallest class is {smallest[1]} of {smallest[0]} with {cells[smallest]:,} rows",
        {"smallest_class_rows": cells[smallest], "threshold": LEAST_CLASS_ROWS},
    )


def splits_near_target(folder: Path) -> Verdict:
    """Compares the share of each split with the share that was asked for."""
    report = CorpusReport.read(folder)
    targets = report.split_targets
    labelled = sum(report.splits[split] for split in targets) or 1
    drifts = {split: report.splits[split] / labelled - target for split, target in targets.items()}
    worst = max(drifts, key=lambda split: abs(drifts[split]))
    return Verdict(
        abs(drifts[worst]) <= MOST_SPLIT_DRIFT,
        f"{worst} holds {drifts[worst] + targets[worst]:.1%} of the labelled rows, its target is {targets[worst]:.1%}; "
        "few or very large groups cannot be split evenly",
        {"greatest_drift_ratio": abs(drifts[worst]), "threshold": MOST_SPLIT_DRIFT},
    )


def _cells(folder: Path) -> dict[tuple[str, str], int]:
    table = CorpusReport.read(folder).split_table
    return {
        (split, label): sum(splits.get(split, {}).get(label, 0) for splits in table.values())
        for split in SPLITS
        if split != "none"
        for label in LABELS
    }


def _split_numbers(splits: pl.Series) -> npt.NDArray[np.uint8]:
    return splits.replace_strict(list(SPLITS), list(range(len(SPLITS))), return_dtype=pl.UInt8).to_numpy()


def _read(folder: Path, columns: list[str]) -> Iterator[pl.DataFrame]:
    with pq.ParquetFile(folder / REVIEWS_FILE) as file:
        for piece in read_batches(file, columns):
            yield pl.DataFrame(pl.from_arrow(piece)).select(columns)


REVIEW_CORPUS: Final = (
    Audit(
        "rows_accounted",
        "Rows of all batches = rows kept + duplicates + rows of sources that are not in the catalog.",
        corpus_rows_accounted,
    ),
    Audit("ids_unique", "Each review is there once; the table is sorted by id.", ids_unique),
    Audit(
        "conforms_to_schema",
        "Columns and types are those of CORPUS_REVIEW; labels and splits are of their closed lists and go together.",
        corpus_conforms,
    ),
    Audit(
        "groups_in_one_split",
        "No product, author or parallel translation is in two of train, validation and test.",
        groups_in_one_split,
    ),
    Audit(
        "texts_in_one_split",
        "No text, case and punctuation aside, is in two of train, validation and test.",
        texts_in_one_split,
    ),
    Audit(
        "near_duplicates_in_one_split",
        f"At most {MOST_NEAR_TWINS_RATIO:.0%} of {SAMPLE_ROWS:,} held-out rows have a near copy in "
        "another split, looked for with other hashes than the build.",
        near_duplicates_in_one_split,
    ),
    Audit(
        "classes_large_enough",
        f"Each class has at least {LEAST_CLASS_ROWS} rows in each split.",
        classes_large_enough,
        blocking=False,
    ),
    Audit(
        "splits_near_target",
        f"The share of each split is within {MOST_SPLIT_DRIFT:.0%} points of what was asked for.",
        splits_near_target,
        blocking=False,
    ),
)
