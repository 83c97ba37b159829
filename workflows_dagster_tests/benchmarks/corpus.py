"""Rows per second and peak memory of build_corpus on made-up reviews, each size in a fresh process.

    python workflows_dagster_tests/benchmarks/corpus.py --rows 1000000 3000000

Of the reviews (about 360 characters in the mean, words with Zipf's frequencies) 1 % are older versions of another, 6 %
exact copies but for case and punctuation, and 8 % copies with a word put in front; a fifth has no stars.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS_PER_BATCH = 100_000
THREADS = "2"


def make_batch(number: int, rows: int, folder: Path) -> None:
    """Writes one batch of made-up cleaned reviews."""
    import numpy as np
    import polars as pl

    from workflows_dagster.lib.artifact import write_table
    from workflows_dagster.lib.schema import CLEAN_REVIEW

    random = np.random.default_rng([7, number])
    letters = np.random.default_rng(1)
    vocabulary = pl.Series(
        ["".join(letters.choice(list("aeioulnrstdmpbkg"), size)) for size in letters.integers(2, 11, 30_000)]
    )
    lengths = np.clip(random.lognormal(3.85, 0.55, rows), 4, 300).astype(np.int64)
    shares = 1 / np.arange(3, len(vocabulary) + 3)
    words = np.searchsorted(np.cumsum(shares / shares.sum())[:-1], random.random(int(lengths.sum())))
    owner = np.repeat(np.arange(rows), lengths)
    origin = np.arange(rows)
    kind = random.choice(4, rows, p=[0.85, 0.01, 0.06, 0.08])
    origin[kind > 0] = random.integers(0, rows, int((kind > 0).sum()))
    texts = (
        pl.DataFrame({"owner": owner, "word": vocabulary.gather(words)})
        .group_by("owner", maintain_order=True)
        .agg(pl.col("word").str.join(" "))["word"]
        .gather(origin)
    )
    changed = pl.Series(vocabulary.gather(random.integers(0, len(vocabulary), rows)))
    frame = pl.DataFrame({"text": texts, "changed": changed, "kind": kind, "number": np.arange(rows), "origin": origin})
    frame = frame.select(
        review_id=pl.format(
            "shop:{}-{}", pl.lit(number), pl.when(pl.col("kind") == 1).then("origin").otherwise("number")
        ),
        source=pl.lit("shop"),
        batch=pl.lit(f"shop-{number:05d}"),
        text=pl.when(pl.col("kind") == 2)
        .then(pl.col("text").str.to_titlecase() + "!!")
        .when(pl.col("kind") == 3)
        .then(pl.col("changed") + " " + pl.col("text"))
        .otherwise("text"),
        stars=pl.Series(random.choice(6, rows, p=[0.2, 0.08, 0.08, 0.1, 0.2, 0.34])).replace(0, None),
        label=pl.lit(None, pl.String),
        language=pl.lit("en"),
        product_id=pl.Series(random.integers(0, 50_000, rows)).cast(pl.String),
        group_key=pl.Series(random.integers(0, 50_000, rows)).cast(pl.String),
        created_at=pl.Series(random.integers(1_500_000_000, 1_700_000_000, rows) * 1_000_000).cast(
            pl.Datetime("us", "UTC")
        ),
        file=pl.lit("reviews.csv"),
        row=pl.col("number"),
        language_score=pl.lit(0.9),
        masked=pl.lit(0),
    )
    folder.mkdir(parents=True)
    write_table(folder / "reviews.parquet", frame, CLEAN_REVIEW)


def measure(data: Path, batches: int, out: Path) -> None:
    """Builds the corpus of these batches in this process and prints what it and its audits took as JSON."""
    from workflows_dagster.checks.cleaning import REVIEW_CORPUS
    from workflows_dagster.lib.artifact import Artifact
    from workflows_dagster.lib.cleaning.corpus import CorpusSettings, build_corpus

    artifacts = [Artifact("cleaned_reviews", str(n), str(n), str(n), data / str(n)) for n in range(batches)]
    started = time.perf_counter()
    report = build_corpus(artifacts, {"shop"}, CorpusSettings(), out)
    seconds = time.perf_counter() - started
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    cpu_s = time.process_time()
    failed = [audit.name for audit in REVIEW_CORPUS if not audit.judge(out).passed]
    audited_s = time.perf_counter() - started - seconds
    audited_peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        json.dumps(
            {
                "rows": report.rows_in,
                "rows_kept": report.rows_kept,
                "rows_duplicate": dict(report.rows_duplicate),
                "seconds": round(seconds, 1),
                "rows_per_s": round(report.rows_in / seconds),
                "cpu_s": round(cpu_s, 1),
                "peak_rss_mb": round(peak_bytes / 1e6),
                "audits_s": round(audited_s, 1),
                "audits_failed": failed,
                "peak_rss_mb_with_audits": round(audited_peak_bytes / 1e6),
            }
        )
    )


def main() -> None:
    """Makes the reviews once, then measures each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--make", nargs=2, metavar=("DATA", "BATCH"), help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=3, metavar=("DATA", "BATCHES", "OUT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        data, batch = arguments.make
        make_batch(int(batch), ROWS_PER_BATCH, Path(data) / batch)
    elif arguments.measure:
        data, batches, out = arguments.measure
        measure(Path(data), int(batches), Path(out))
    else:
        run(arguments.rows)


def run(sizes: list[int]) -> None:
    """Measures all sizes, the smallest first."""
    threads = {"POLARS_MAX_THREADS": THREADS, "OMP_NUM_THREADS": THREADS, "RAYON_NUM_THREADS": THREADS}
    environment = {**os.environ, **threads}
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        for batch in range(max(sizes) // ROWS_PER_BATCH):
            command = [sys.executable, __file__, "--make", str(data), str(batch)]
            subprocess.run(command, check=True, env=environment)
        for rows in sorted(sizes):
            out = Path(scratch) / f"corpus-{rows}"
            out.mkdir()
            command = [sys.executable, __file__, "--measure", str(data), str(rows // ROWS_PER_BATCH), str(out)]
            subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main()
