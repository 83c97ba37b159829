"""Peak memory and time of read_batch on files of hostile shapes, each in a fresh process of bounded memory.

    python workflows_dagster_tests/benchmarks/ingest_shapes.py [SHAPE ...]

A shape is a small file that asks for much: rows of 128 KB, values that a dictionary repeats, quotes that never close,
archives that unpack to gigabytes, nesting without end.
"""

import bz2
import gzip
import json
import lzma
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

LONG: Final = ("good kettle, " * 10_082)[:131_000]
MEGABYTE: Final = 1024**2
MEMORY_KILOBYTES: Final = 6_000_000
TIME_S: Final = 300


def lines(text: str, count: int, first: str = "") -> Callable[[Path], None]:
    """Writes a first line, then a text so many times."""

    def write(path: Path) -> None:
        block = text * max(1, MEGABYTE // len(text))
        with path.open("w") as file:
            file.write(first)
            for _ in range(count * len(text) // len(block)):
                file.write(block)

    return write


def packed(open_archive: Callable[[Path], Any], content: bytes, megabytes: int) -> Callable[[Path], None]:
    """Compresses so many megabytes of one text."""

    def write(path: Path) -> None:
        with open_archive(path) as file:
            for _ in range(megabytes):
                file.write(content * (MEGABYTE // len(content)))

    return write


def zipped(path: Path) -> None:
    """Eight members of 256 MB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(8):
            archive.writestr(f"{number}.csv", b"t\n" + b"\n" * (256 * MEGABYTE))


def rows_of_128_kb(path: Path) -> None:
    """16,384 different values, 1,024 to a row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, pa.schema([("t", pa.string())]), use_dictionary=False) as writer:
        for group in range(16):
            writer.write_table(pa.table({"t": [f"{group} {number} {LONG}" for number in range(1_024)]}))


def repeated(chars: int, rows: int) -> Callable[[Path], None]:
    """Four long values that so many rows repeat."""

    def write(path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        codes = pa.array([number % 4 for number in range(rows)], pa.int32())
        column = pa.DictionaryArray.from_arrays(codes, pa.array([letter * chars for letter in "abcd"]))
        pq.write_table(pa.table({"t": column}), path, store_schema=False)

    return write


ONE_COLUMN: Final = {"header": False, "names": ["t"]}
SHAPES: Final[dict[str, tuple[str, Callable[[Path], None], dict[str, Any]]]] = {
    "csv: 16,384 rows of 128 KB": ("csv", lines(f'"{LONG}"\n', 16_384, "t\n"), {}),
    "jsonl: 16,384 rows of 128 KB": ("jsonl", lines(json.dumps({"t": LONG}) + "\n", 16_384), {}),
    "parquet: 16,384 rows of 128 KB": ("parquet", rows_of_128_kb, {}),
    "parquet: 16,384 rows of 1 MB, stored once": ("parquet", repeated(MEGABYTE, 16_384), {}),
    "parquet: 2,000,000 rows of 100 KB, stored once": ("parquet", repeated(100_000, 2_000_000), {}),
    "csv: quotes that never close, 100 KB": ("csv", lines('x","z\n', 14_286, "t,u\n"), {}),
    "csv: quotes that never close, 1 MB": ("csv", lines('x","z\n', 149_797, "t,u\n"), {}),
    "csv: quotes that never close, 10 MB": ("csv", lines('x","z\n', 1_497_966, "t,u\n"), {}),
    "csv: one line of 500 MB": ("csv", lines("x", 500 * MEGABYTE), ONE_COLUMN),
    "jsonl: one line of 100 MB of brackets": ("jsonl", lines("[", 100 * MEGABYTE), {}),
    "csv.gz: 2 GB of line ends": ("csv.gz", packed(partial(gzip.open, mode="wb"), b"\n", 2_048), {}),
    "csv.bz2: 512 MB of line ends": ("csv.bz2", packed(partial(bz2.open, mode="wb"), b"\n", 512), {}),
    "csv.xz: 512 MB of line ends": ("csv.xz", packed(partial(lzma.open, mode="wb"), b"\n", 512), {}),
    "parquet.gz: 2 GB of zeros": ("parquet.gz", packed(partial(gzip.open, mode="wb"), b"\0", 2_048), {}),
    "zip: 2 GB in eight members": ("csv.zip", zipped, {}),
}


def measure(shape: str, path: Path) -> dict[str, Any]:
    """Reads the file in this process."""
    from workflows_dagster.lib.errors import WorkflowError
    from workflows_dagster.lib.ingest.formats import FORMATS
    from workflows_dagster.lib.ingest.locations import list_files
    from workflows_dagster.lib.ingest.manifests import Manifest
    from workflows_dagster.lib.ingest.raw_reviews import IngestSettings, read_batch

    suffix, _, options = SHAPES[shape]
    kind = suffix.split(".")[0]
    fields = {"name": "bench", "location": str(path), "format": kind, "columns": {"text": "t"}, **options}
    source = FORMATS[kind].model_validate(fields)
    began, cpu = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        try:
            manifest = Manifest(source="bench", files=tuple(list_files(source)))
            report = read_batch(manifest, source, IngestSettings(), Path(folder))
            outcome = f"{report.rows_kept:,} kept, {report.rows_rejected:,} rejected"
        except WorkflowError as error:
            outcome = f"refused: {error.given}"
    return {
        "shape": shape,
        "file_mb": round(path.stat().st_size / MEGABYTE, 1),
        "s": round(time.monotonic() - began, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "outcome": str(outcome)[:120],
    }


def main() -> None:
    """Prints a line for each shape."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(sys.argv[2], Path(sys.argv[3]))))
        return
    for shape in sys.argv[1:] or SHAPES:
        suffix, write, _ = SHAPES[shape]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"shape.{suffix}"
            write(path)
            limited = 'ulimit -v "$0"; exec timeout "$1" "${@:2}"'
            own = [sys.executable, __file__, "--one", shape, str(path)]
            subprocess.run(["bash", "-c", limited, str(MEMORY_KILOBYTES), str(TIME_S), *own], check=False)


if __name__ == "__main__":
    main()
