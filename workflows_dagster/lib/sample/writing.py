"""Writes the bundled sample: three files of made-up reviews and the sources.yaml that describes them."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from workflows_dagster.lib.sample.platforms import write_posts, write_shop, write_survey
from workflows_dagster.lib.sample.rows import BROKEN, Composition, Row
from workflows_dagster.lib.sample.settings import SampleSettings
from workflows_dagster.lib.schema import LABELS

SOURCES_FILE: Final = "sources.yaml"
_FILES: Final[dict[str, tuple[str, Callable[[Path, Sequence[Row], random.Random], None]]]] = {
    "northgate_shop": ("northgate_shop.csv", write_shop),
    "pipit_posts": ("pipit_posts.jsonl", write_posts),
    "hearth_survey": ("hearth_survey.parquet", write_survey),
}


@dataclass(frozen=True)
class SampleReport:
    """What was written: the counts that later stages must find again.

    Attributes:
        rows: Data rows by source, broken ones included.
        labels: Labels by source, as the files give them; rows that will be rejected or have no label are not counted.
        rejects: By source, how many rows must be rejected when it is read, by reason.
        planted: Rows by kind of mess; a row may hold several kinds.
        size_bytes: Size of all files.
    """

    rows: dict[str, int]
    labels: dict[str, dict[str, int]]
    rejects: dict[str, dict[str, int]]
    planted: dict[str, int]
    size_bytes: int


def write_sample(folder: Path, settings: SampleSettings) -> SampleReport:
    """Writes the sample into a folder; the same settings write the same bytes.

    Args:
        folder: Where to; made if missing, files of an earlier sample are overwritten.
        settings: Seed and label noise.

    Returns:
        What was planted, for whoever has to find it again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    composition = Composition(settings)
    for source, (name, write) in _FILES.items():
        write(folder / name, composition.rows[source], random.Random(f"{settings.seed}/{source}/file"))
    catalog = files("workflows_dagster.lib.sample").joinpath(SOURCES_FILE).read_bytes()
    (folder / SOURCES_FILE).write_bytes(catalog)
    names = [SOURCES_FILE, *(name for name, _ in _FILES.values())]
    return SampleReport(
        rows={source: len(rows) for source, rows in composition.rows.items()},
        labels={source: _labels(rows) for source, rows in composition.rows.items()},
        rejects={source: {reason.value: n for reason, n in reasons.items()} for source, reasons in BROKEN.items()},
        planted=dict(sorted(composition.planted.items())),
        size_bytes=sum((folder / name).stat().st_size for name in names),
    )


def _labels(rows: Sequence[Row]) -> dict[str, int]:
    counts = Counter(row.label for row in rows if row.broken is None)
    return {label: counts[label] for label in LABELS}
