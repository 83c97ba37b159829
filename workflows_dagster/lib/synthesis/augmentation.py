"""The rows that are trained on: all real ones as they are, and the synthetic ones that were accepted."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workflows_dagster.lib.annotation.records import TrainingReviews
from workflows_dagster.lib.artifact import Artifact, conform
from workflows_dagster.lib.parquet import read_batches
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.schema import CORPUS_REVIEW
from workflows_dagster.lib.synthesis.review import ReviewFindings, VettedSynthetics
from workflows_dagster.lib.synthesis.validation import ValidSynthetics


class AugmentedReviews(Record):
    """What is in the table, and where its synthetic rows come from.

    Attributes:
        rows: All rows.
        rows_real: Real rows of all splits.
        rows_synthetic: Synthetic rows, all of them in train.
        synthetic_by_label: Synthetic rows by class.
        label_sources: Labelled rows by where the label is from.
        status: How far people are with the pilot.
        validation: What validation found of the generated rows.
        review: What people said of the validated rows, and what followed.
    """

    rows: int
    rows_real: int
    rows_synthetic: int
    synthetic_by_label: Mapping[str, int]
    label_sources: Mapping[str, int]
    status: str
    validation: ValidSynthetics
    review: ReviewFindings

    def to_metadata(self) -> Mapping[str, object]:
        """What is in the table, as flat metadata."""
        return {
            "synthesis/real_rows": self.rows_real,
            "synthesis/synthetic_rows": self.rows_synthetic,
            "synthesis/synthetic_rows_by_label": dict(self.synthetic_by_label),
            "synthesis/rows_by_label_source": dict(self.label_sources),
            "synthesis/annotation_status": self.status,
            "synthesis/review": self.review.sentence,
        }


def build_augmented_reviews(training: Artifact, reviewed: Artifact, folder: Path) -> AugmentedReviews:
    """Writes reviews.parquet and the record; real rows stream through unchanged, in their order.

    Args:
        training: training_reviews.
        reviewed: vetted_synthetics.
        folder: Where to write.
    """
    counts: list[int] = []
    with pq.ParquetWriter(folder / "reviews.parquet", CORPUS_REVIEW, compression="zstd") as writer:
        for artifact in (training, reviewed):
            reviews = pq.ParquetFile(artifact.file("reviews.parquet"))
            for batch in read_batches(reviews):
                writer.write_table(conform(pa.Table.from_batches([batch]), CORPUS_REVIEW))
            counts.append(reviews.metadata.num_rows)
    real, synthetic = counts
    labels = TrainingReviews.read(training.folder)
    synthesis = VettedSynthetics.read(reviewed.folder)
    record = AugmentedReviews(
        rows=real + synthetic,
        rows_real=real,
        rows_synthetic=synthetic,
        synthetic_by_label=synthesis.kept_by_label,
        label_sources={**labels.label_sources, "synthetic": synthetic},
        status=labels.status,
        validation=synthesis.validation,
        review=synthesis.review,
    )
    record.write(folder)
    return record
