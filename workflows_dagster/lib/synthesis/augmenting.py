"""The rows that are trained on: all real ones as they are, and the synthetic ones that were accepted."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workflows_dagster.lib.artifact import Artifact, conform, write_report
from workflows_dagster.lib.parquet import read_batches
from workflows_dagster.lib.schema import CORPUS_REVIEW

_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class AugmentedReport:
    """What is in the table.

    Attributes:
        real: Real rows of all splits.
        synthetic: Synthetic rows, all of them in train.
        by_label: Synthetic rows by class.
        status: How far people are with the pilot.
        label_sources: Real labelled rows by where the label is from.
        review: What people said of the synthetic rows, and what followed.
    """

    real: int
    synthetic: int
    by_label: Mapping[str, int]
    status: str
    label_sources: Mapping[str, int]
    review: str

    def to_metadata(self) -> dict[str, object]:
        """What is in the table, as flat metadata."""
        return {
            "synthesis/real_rows": self.real,
            "synthesis/synthetic_rows": self.synthetic,
            "synthesis/synthetic_rows_by_label": dict(self.by_label),
            "synthesis/rows_by_label_source": {**self.label_sources, "synthetic": self.synthetic},
            "synthesis/annotation_status": self.status,
            "synthesis/review": self.review,
        }


def build_augmented_reviews(training: Artifact, reviewed: Artifact, folder: Path) -> AugmentedReport:
    """Writes reviews.parquet and the report; real rows stream through unchanged, in their order.

    Args:
        training: training_reviews.
        reviewed: reviewed_synthetic_reviews.
        folder: Where to write.
    """
    real = synthetic = 0
    with pq.ParquetWriter(folder / "reviews.parquet", CORPUS_REVIEW, compression="zstd") as writer:
        for batch in read_batches(pq.ParquetFile(training.file("reviews.parquet")), rows=_BATCH_ROWS):
            writer.write_table(conform(pa.Table.from_batches([batch]), CORPUS_REVIEW))
            real += batch.num_rows
        for batch in read_batches(pq.ParquetFile(reviewed.file("reviews.parquet")), rows=_BATCH_ROWS):
            writer.write_table(conform(pa.Table.from_batches([batch]), CORPUS_REVIEW))
            synthetic += batch.num_rows
    upstream, found = training.report(), reviewed.report()
    review: Any = found["review"]
    report = AugmentedReport(
        real=real,
        synthetic=synthetic,
        by_label=_counts(found["kept_by_label"]),
        status=str(upstream["status"]),
        label_sources=_counts(upstream["label_sources"]),
        review=review["sentence"],
    )
    write_report(
        folder,
        {
            "rows": real + synthetic,
            "rows_real": real,
            "rows_synthetic": synthetic,
            "synthetic_by_label": dict(report.by_label),
            "label_sources": {**report.label_sources, "synthetic": synthetic},
            "status": report.status,
            "review": {"standing": review["standing"], "sentence": report.review},
            "generator_is_stand_in": found["generator_is_stand_in"],
        },
    )
    return report


def _counts(value: object) -> dict[str, int]:
    return {str(key): int(count) for key, count in value.items()} if isinstance(value, dict) else {}
