"""Writes the bundled sample: three files of made-up reviews and the sources.yaml that describes them."""

import random
from collections import Counter
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Final

from workflows_dagster.lib.sample.mess import Mess
from workflows_dagster.lib.sample.phrases import load_phrases
from workflows_dagster.lib.sample.platforms import BROKEN, reasons_of, write_posts, write_shop, write_survey
from workflows_dagster.lib.sample.report import SampleReport
from workflows_dagster.lib.sample.reviews import PLATFORMS, Platform, Review, ReviewWriter, copyable, make_products
from workflows_dagster.lib.sample.settings import SampleSettings
from workflows_dagster.lib.schema import LABELS

SOURCES_FILE: Final = "sources.yaml"
_FILES: Final = {
    "northgate_shop": ("northgate_shop.csv", write_shop),
    "pipit_posts": ("pipit_posts.jsonl", write_posts),
    "hearth_survey": ("hearth_survey.parquet", write_survey),
}
_ROWS_PER_PRODUCT: Final = 20
_COPIES: Final = {"same_id": 0.004, "exact": 0.012, "conflicting": 0.002, "near": 0.012, "near_elsewhere": 0.006}
"""Copies of each kind, as a share of a platform's rows; `near_elsewhere`: edited copies of another platform's rows."""


def write_sample(folder: Path, settings: SampleSettings) -> SampleReport:
    """Writes the sample into a folder; the same settings write the same bytes.

    Args:
        folder: Where to; made if missing, files of an earlier sample are overwritten.
        settings: Size, seed and difficulty.

    Returns:
        What was planted, for whoever has to find it again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sample = _Sample(settings)
    rows = sample.compose()
    for platform in PLATFORMS:
        source, (name, write) = platform.source, _FILES[platform.source]
        rng = random.Random(f"{settings.seed}/{source}/file")
        broken = reasons_of(source, rng, len(rows[source]))
        write(folder / name, rows[source], broken, rng)
        sample.count(source, rows[source], set(broken))
    catalog = files("workflows_dagster.lib.sample").joinpath(SOURCES_FILE).read_bytes()
    (folder / SOURCES_FILE).write_bytes(catalog)
    names = [SOURCES_FILE, *(name for name, _ in _FILES.values())]
    return SampleReport(
        rows={source: len(reviews) for source, reviews in rows.items()},
        labels=sample.labels,
        rejects={source: {reason.value: n for reason, n in reasons.items()} for source, reasons in BROKEN.items()},
        planted=dict(sorted(sample.mess.planted.items())),
        size_bytes=sum((folder / name).stat().st_size for name in names),
    )


class _Sample:
    """The rows of one sample while it is made."""

    def __init__(self, settings: SampleSettings) -> None:
        self._settings = settings
        self._phrases = load_phrases()
        self._rng = random.Random(f"{settings.seed}/sample")
        self.mess = Mess(self._rng)
        self.labels: dict[str, dict[str, int]] = {}

    def compose(self) -> dict[str, list[Review]]:
        """The rows of each source, copies included, in the order of the files."""
        products = make_products(self._rng, self._phrases, max(30, self._settings.rows // _ROWS_PER_PRODUCT))
        taken: set[str] = set()
        writers: dict[str, ReviewWriter] = {}
        rows: dict[str, list[Review]] = {}
        for platform, total in zip(PLATFORMS, self._totals(), strict=True):
            writer = ReviewWriter(self._rng, self._phrases, platform, self._settings, self.mess)
            writers[platform.source] = writer
            copies = sum(_copies(platform, total).values())
            rows[platform.source] = writer.write(products, total - copies, taken)
        originals = {source: copyable(reviews) for source, reviews in rows.items()}
        for pool in originals.values():
            self._rng.shuffle(pool)
        for platform, total in zip(PLATFORMS, self._totals(), strict=True):
            rows[platform.source] += self._copy(platform, total, writers[platform.source], originals)
            self._rng.shuffle(rows[platform.source])
        return rows

    def count(self, source: str, reviews: list[Review], broken: set[int]) -> None:
        """Counts the labels of the rows that can be kept."""
        counts = Counter(review.label for index, review in enumerate(reviews) if index not in broken)
        self.labels[source] = {label: counts[label] for label in LABELS}

    def _totals(self) -> list[int]:
        first, *others = [round(self._settings.rows * platform.share) for platform in PLATFORMS]
        return [self._settings.rows - sum(others), *others] if first else others

    def _copy(
        self, platform: Platform, total: int, writer: ReviewWriter, originals: dict[str, list[Review]]
    ) -> list[Review]:
        """Copies of reviews, each of a different one."""
        own = originals[platform.source]
        others = [pool for source, pool in originals.items() if source != platform.source]
        copies: list[Review] = []
        for kind, count in _copies(platform, total).items():
            for _ in range(count):
                pool = self._rng.choice(others) if kind == "near_elsewhere" else own
                copies.append(self._copy_one(kind, pool.pop(), writer))
        return copies

    def _copy_one(self, kind: str, original: Review, writer: ReviewWriter) -> Review:
        match kind:
            case "same_id":
                self.mess.planted["same_id_duplicate"] += 1
                return original
            case "exact":
                self.mess.planted["exact_duplicate"] += 1
                return writer.adopt(original)
            case "conflicting":
                self.mess.planted["conflicting_duplicate"] += 1
                other = self._rng.choice([label for label in LABELS if label != original.label])
                return writer.adopt(original, label=other)
            case _:
                return replace(writer.adopt(original, text=self.mess.near_copy(original.text)), title="")


def _copies(platform: Platform, total: int) -> dict[str, int]:
    kinds = {kind: round(total * share) for kind, share in _COPIES.items()}
    return kinds if platform.genre == "shop" else kinds | {"same_id": 0}
