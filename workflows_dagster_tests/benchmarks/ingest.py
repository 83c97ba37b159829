"""Rows per second and peak memory of read_batch on a csv of real reviews, each size in a fresh process.

    python workflows_dagster_tests/benchmarks/ingest.py --data FOLDER --rows 1000000 3000000

FOLDER is the one with the public review sets. The texts of womens_clothing are repeated under new ids; the audits of
raw_reviews are timed with it.
"""

import argparse
import csv
import gzip
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TEXTS = "womens_clothing/womens_clothing_reviews.csv.gz"
THREADS = "2"


def make_csv(data: Path, rows: int, path: Path) -> None:
    """Writes a csv with so many of the real reviews."""
    with gzip.open(data / TEXTS, "rt", encoding="utf-8", newline="") as file:
        reviews = [(r["Clothing ID"], r["Rating"], r["Title"], r["Review Text"]) for r in csv.DictReader(file)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "product", "stars", "title", "text"])
        writer.writerows((number, *review) for number, review in zip(range(rows), itertools.cycle(reviews)))


def measure(path: Path) -> dict[str, float]:
    """Reads the csv as one batch in this process."""
    from workflows_dagster.checks.ingest import RAW_REVIEWS
    from workflows_dagster.lib.ingest.formats.delimited import CsvSource
    from workflows_dagster.lib.ingest.locations import list_files
    from workflows_dagster.lib.ingest.manifests import Manifest
    from workflows_dagster.lib.ingest.raw_reviews import IngestSettings, read_batch, read_file
    from workflows_dagster.lib.ingest.source import Columns

    columns = Columns(id="id", text="text", title="title", stars="stars", product="product")
    source = CsvSource(name="bench", location=str(path), format="csv", columns=columns)
    (file,) = list_files(source)
    started = time.perf_counter()
    parsed = sum(1 for _ in read_file(source, file))
    parse_s = time.perf_counter() - started
    started, cpu = time.perf_counter(), time.process_time()
    report = read_batch(Manifest(source="bench", files=(file,)), source, IngestSettings(), path.parent)
    read_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    verdicts = [audit.judge(path.parent) for audit in RAW_REVIEWS]
    return {
        "rows": parsed,
        "size_mb": round(file.size / 1e6),
        "parse_rows_per_s": round(parsed / parse_s),
        "read_batch_rows_per_s": round(parsed / read_s),
        "read_batch_cpu_s": round(cpu_s, 1),
        "rows_rejected": report.rows_rejected,
        "peak_rss_mb": round(peak / 1024),
        "audits_s": round(time.perf_counter() - started, 1),
        "audits_passed": sum(verdict.passed for verdict in verdicts),
        "peak_rss_with_audits_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    """Measures each size and prints one JSON line for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the public review sets")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    threads = {"OMP_NUM_THREADS": THREADS, "POLARS_MAX_THREADS": THREADS}
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "reviews.csv"
            make_csv(arguments.data, rows, path)
            subprocess.run([sys.executable, __file__, "--measure", path], check=True, env=os.environ | threads)


if __name__ == "__main__":
    main()
