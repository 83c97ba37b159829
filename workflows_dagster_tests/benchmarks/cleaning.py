"""Cleaning against a well-guarded pandas apply, and its peak memory at two sizes.

    python workflows_dagster_tests/benchmarks/cleaning.py --rows 1000000

Both sides read the same Parquet file of messy reviews, do the same work (the same encoding repair, HTML, whitespace,
language model on the same characters, masking by the same rules, rejects) and write Parquet. The competitor guards
every expensive call with the cheapest test that Python has. Runs alternate in one sitting, each in a fresh process
bound to the same CPUs, so that a busy machine slows both. Peak memory is ru_maxrss, and beside it the largest sum of
the resident memory of a process and its children that was seen.
"""
# The competitor does the same work by the same patterns, and those are private to the modules that own them.
# pyright: reportPrivateUsage=false

import argparse
import html
import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import unicodedata
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from workflows_dagster.lib.artifact import Artifact, conform
from workflows_dagster.lib.cleaning.clean import clean_batch
from workflows_dagster.lib.cleaning.personal_data.masking import personal_data_rules
from workflows_dagster.lib.cleaning.personal_data.masks import ANY_MASK
from workflows_dagster.lib.cleaning.rules import rewrite_until_stable
from workflows_dagster.lib.cleaning.settings import CleaningSettings
from workflows_dagster.lib.schema import RAW_REVIEW

REAL_DATA: Final = "WORKFLOWS_DAGSTER_REAL_DATA"
MEAN_CHARACTERS: Final = 355
CHUNK_ROWS: Final = 50_000
SETTINGS: Final = CleaningSettings(workers=2)

PHRASES: Final = (
    "the fit is lovely and soft but it runs small so i sent it back because colour faded after one wash my daughter "
    "loves this dress would buy again great price quality not what we expected arrived late service was kind zipper "
    "broke within a week perfect for summer true to size very comfortable material feels cheap"
)


# --- messy rows -------------------------------------------------------------------------------------------------------


def sentences(seed: int) -> list[str]:
    """Sentences of the public sets where they are named by the environment, else generated ones."""
    folder = os.environ.get(REAL_DATA)
    if folder is None:
        rng = random.Random(seed)
        words = PHRASES.split()
        return [" ".join(rng.choices(words, k=rng.randint(5, 18))).capitalize() + "." for _ in range(20_000)]
    texts = [
        pl.read_csv(Path(folder) / name, columns=[column])[column]
        for name, column in (
            ("womens_clothing/womens_clothing_reviews.csv.gz", "Review Text"),
            ("amazon_fine_food/fine_food_reviews_5000.csv", "Text"),
            ("tweet_sentiment/tweets.csv", "text"),
        )
    ]
    return (
        pl.concat([text.alias("text") for text in texts])
        .drop_nulls()
        .str.split(". ")
        .explode()
        .unique()
        .sort()
        .to_list()
    )


def messy_text(pool: Sequence[str], rng: random.Random) -> str:
    """About 355 characters: mess in the shares that review exports show."""
    text = rng.choice(pool)
    while len(text) < rng.gauss(MEAN_CHARACTERS - 30, 90):
        text += rng.choice((". ", "  ", ".<br /><br />", ".\n", ". ", ". ")) + rng.choice(pool)
    for share, mess in MESS:
        if rng.random() < share:
            at = rng.randint(0, len(text))
            text = f"{text[:at]}{mess(rng)}{text[at:]}"
    return text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}") if rng.random() < 0.1 else text


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices("0123456789", k=count))


MESS: Final = (
    (0.05, lambda rng: rng.choice((" &amp; ", " &quot;wow&quot; ", " caf&eacute; ", " &#39;ok&#39; "))),
    (0.05, lambda rng: f" <a href=\"http://shop.example/{_digits(rng, 5)}\">this</a> "),
    (0.06, lambda rng: rng.choice((" soooooo ", " loooove!!!!!! ", " nooooo ", " ...... "))),
    (0.08, lambda rng: rng.choice((" 😍 ", " ❤️❤️❤️❤️ ", " 👍🏽 ", " 👩‍👩‍👧 "))),
    (0.04, lambda rng: rng.choice((" donâ€™t ", " cafÃ© ", " Ã©tÃ© "))),
    (0.03, lambda rng: rng.choice(("\u200b", "\u00a0\u00a0", "\u00ad", "\x07"))),
    (0.02, lambda rng: f" jo{_digits(rng, 3)}@mail.example.com "),
    (0.02, lambda rng: f" call 212-555-{_digits(rng, 4)} "),
    (0.01, lambda rng: " 4111 1111 1111 1111 "),
    (0.02, lambda rng: f" order #{_digits(rng, 8)} "),
    (0.03, lambda rng: f" @user{_digits(rng, 2)} "),
    (0.04, lambda rng: f" https://t.example/{_digits(rng, 6)}?token=x "),
    (0.10, lambda rng: rng.choice((" size 10-12 ", " $1,234.50 ", " 2024-05-01 ", " 5'4\" 130 lbs "))),
    (0.30, lambda rng: "   "),
)  # fmt: skip


def write_rows(path: Path, rows: int, seed: int) -> None:
    """Writes RAW_REVIEW rows in chunks."""
    rng = random.Random(seed)
    pool = sentences(seed)
    with pq.ParquetWriter(path, RAW_REVIEW, compression="zstd") as writer:
        for start in range(0, rows, CHUNK_ROWS):
            count = min(CHUNK_ROWS, rows - start)
            frame = pl.DataFrame({"text": [messy_text(pool, rng) for _ in range(count)]}).with_columns(
                pl.format("bench:{}", pl.int_range(start, start + count)).alias("review_id"),
                *(pl.lit("bench").alias(name) for name in ("source", "batch", "file", "group_key")),
                *(pl.lit(None).alias(name) for name in ("stars", "label", "language", "product_id", "created_at")),
                row=pl.int_range(start + 1, start + count + 1, dtype=pl.Int64),
            )
            writer.write_table(conform(frame.select(RAW_REVIEW.names).to_arrow(), RAW_REVIEW))


# --- the two contestants ----------------------------------------------------------------------------------------------


def run_ours(folder: Path, out: Path) -> int:
    """This project's cleaning."""
    return clean_batch(Artifact("raw_reviews", "bench", "", "", folder), SETTINGS, out).rows_kept


def run_pandas(folder: Path, out: Path) -> int:
    """A pandas apply whose every expensive call is behind a cheap guard, written in the way a good team would."""
    import pandas as pd

    clean, identify, refuse = pandas_cleaner()
    frame = pd.read_parquet(folder / "reviews.parquet", dtype_backend="pyarrow")
    frame["text"] = frame["text"].astype(object).apply(clean)
    frame["reason"] = frame["text"].apply(refuse)
    rejected = frame[frame["reason"].notna()]
    frame = frame[frame["reason"].isna()].copy()
    frame["language"], frame["language_score"] = zip(*frame["text"].apply(identify), strict=True)
    frame.to_parquet(out / "reviews.parquet", compression="zstd")
    rejected.to_parquet(out / "rejects.parquet", compression="zstd")
    return len(frame)


def pandas_cleaner() -> tuple[Any, Any, Any]:
    """Functions of one text: clean, identify the language, reason to refuse it."""
    import ftfy
    import phonenumbers

    from workflows_dagster.lib.cleaning import language, rejection, text

    entity = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
    rust = partial(re.sub, r"\\x\{([0-9A-F]+)\}", lambda code: f"\\U{int(code[1], 16):08X}")
    block, inline, unseen = (re.compile(tag) for tag in (text._BLOCK, text._INLINE, text._UNSEEN))
    control = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
    invisible = re.compile(rust(text._INVISIBLE.replace(r"\p{Co}", "")))
    spaces = re.compile(rust(text._SPACE))
    quotes = str.maketrans(text._QUOTES)
    masking = personal_data_rules(SETTINGS)
    maskable = re.compile(r"[\d@]|www\.|://")
    runs = re.compile(r"([^\d\s]\uFE0F?)\1{3,}")
    blanks = re.compile(r"[ \t]{2,}|\t")
    breaks = re.compile(r"[ \t]*\n[ \t\n]*")
    masks = re.compile(ANY_MASK)
    letters = re.compile(r"(?:[^\W\d_][\W\d_]*){10}")
    suspicious = re.compile(r"[!-@\[-`{-~]{3}")
    consonants = re.compile(rejection._CONSONANT_RUN)
    hints = [hint for word in rejection._KEYBOARD_HINTS for hint in (word, word.title(), word.upper())]
    run_of_four = re.compile(r"(\S)\1{3}")
    predict = language.load_model().predict
    assert phonenumbers.SUPPORTED_REGIONS

    def clean(value: str) -> str:
        if "&" in value:
            value = entity.sub(lambda match: html.unescape(match[0]), value)
        if "<" in value:
            if "<!" in value or "<s" in value or "<S" in value:
                value = unseen.sub(" ", value)
            value = inline.sub("", block.sub("\n", value))
        if not value.isprintable():
            value = control.sub("", value.replace("\r\n", "\n").replace("\r", "\n"))
        if not value.isascii():
            value = ftfy.fix_encoding(value)  # returns at once where its own heuristic sees nothing bad
            value = spaces.sub(" ", invisible.sub("", value)).translate(quotes)
            value = unicodedata.normalize("NFC", value)
        if maskable.search(value):
            value = rewrite_until_stable(pl.Series("text", [value]), masking).texts[0]
        if run_of_four.search(value) or "\ufe0f" in value:
            value = runs.sub(lambda run: run[1] * 3, value)
        if "\n" in value:
            value = breaks.sub("\n", value)
        if "  " in value or "\t" in value:
            value = blanks.sub(" ", value)
        return value.strip()

    def identify(value: str) -> tuple[str, float | None]:
        if "[" in value:
            value = masks.sub("", value[: 2 * SETTINGS.language_characters])
        head = value[: SETTINGS.language_characters].replace("\n", " ")
        if not letters.match(head):
            return "und", None
        labels, scores = predict(head.lower() if head.isupper() else head)
        score = min(float(scores[0]), 1.0)
        return (labels[0].removeprefix("__label__") if score >= SETTINGS.min_language_score else "und"), score

    def refuse(value: str) -> str | None:
        content = masks.sub("", value) if "[" in value else value
        if not content:
            return "empty_after_cleaning"
        if len(content) < SETTINGS.min_characters:
            return "too_short"
        if len(value) > SETTINGS.max_characters:
            return "too_long"
        if suspicious.search(content):
            visible = len(content) - content.count(" ") - content.count("\n")
            if sum(map(str.isalpha, content)) / visible < SETTINGS.min_letter_ratio:
                return "gibberish"
        if (consonants.search(content) or any(hint in content for hint in hints)) and (
            rejection._unreadable(content) > SETTINGS.max_unreadable_ratio
        ):
            return "gibberish"
        return None

    return clean, identify, refuse


# --- measurement ------------------------------------------------------------------------------------------------------


def child(way: str, folder: Path, out: Path, cpus: int) -> None:
    """Runs one contestant in this fresh process and prints what it measured."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cpus])
    pa.set_cpu_count(cpus)
    watch = threading.Event()
    peaks: list[int] = []
    watcher = threading.Thread(target=_watch, args=(watch, peaks), daemon=True)
    watcher.start()
    started = time.perf_counter()
    kept = (run_ours if way == "ours" else run_pandas)(folder, out)
    seconds = time.perf_counter() - started
    watch.set()
    watcher.join()
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(
        json.dumps(
            {
                "seconds": seconds,
                "rows_kept": kept,
                "cpu_s": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
                "max_rss_self_mb": own.ru_maxrss / 1024,
                "max_rss_child_mb": children.ru_maxrss / 1024,
                "peak_all_mb": max(peaks) / 2**20,
            }
        )
    )


def _watch(stop: threading.Event, peaks: list[int]) -> None:
    import psutil

    process = psutil.Process()
    while not stop.wait(0.2):
        resident = process.memory_info().rss
        for other in process.children(recursive=True):
            try:
                resident += other.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        peaks.append(resident)


def measure(way: str, folder: Path, cpus: int) -> dict[str, float]:
    """One contestant in a fresh process bound to `cpus` CPUs."""
    environment = {
        **os.environ,
        "POLARS_MAX_THREADS": "1" if way == "ours" else str(cpus),
        "OMP_NUM_THREADS": str(cpus),
    }
    with tempfile.TemporaryDirectory(dir=folder) as out:
        command = [sys.executable, __file__, "--child", way, "--folder", str(folder), "--out", out, "--cpus", str(cpus)]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(
    folder: Path, rows: int, rounds: int, cpus: int, ways: Sequence[str]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Alternates the contestants and prints each run."""
    for turn in range(rounds):
        for way in ways:
            found = measure(way, folder, cpus)
            print(f"round {turn + 1} {way:6s} {rows / found['seconds']:9,.0f} rows/s", json.dumps(found), flush=True)
            yield way, found


def main() -> None:
    """Builds the rows, alternates the contestants, prints the ratio, then compares memory at two sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument(
        "--memory-rows", type=int, default=0, help="a larger size at which only peak memory is compared"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child", choices=["ours", "pandas"])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.folder, args.out, args.cpus)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        sizes = [args.rows, *([args.memory_rows] if args.memory_rows else [])]
        found: dict[str, list[dict[str, float]]] = {"ours": [], "pandas": []}
        peaks: list[tuple[int, float, float, float]] = []
        for rows in sizes:
            batch = folder / f"rows-{rows}-{args.seed}"
            batch.mkdir(parents=True, exist_ok=True)
            if not (batch / "reviews.parquet").exists():
                write_rows(batch / "reviews.parquet", rows, args.seed)
            ways, rounds = (("ours", "pandas"), args.rounds) if rows == args.rows else (("ours",), 1)
            for way, run in compare(batch, rows, rounds, args.cpus, ways):
                found[way].append({**run, "rows": rows})
                if way == "ours":
                    peaks.append((rows, run["max_rss_self_mb"], run["max_rss_child_mb"], run["peak_all_mb"]))
        ratios = [
            pandas["seconds"] / ours["seconds"] for ours, pandas in zip(found["ours"], found["pandas"], strict=False)
        ]
        if ratios:
            print(f"ratio of rows/s, ours over pandas, by round: {[round(ratio, 2) for ratio in ratios]}")
            print(f"median ratio {statistics.median(ratios):.2f}")
        for rows, own, largest, together in peaks:
            print(f"{rows:,} rows: ru_maxrss {own:,.0f} MB, worker {largest:,.0f} MB, all {together:,.0f} MB")


if __name__ == "__main__":
    main()
