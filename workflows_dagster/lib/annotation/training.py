"""The corpus as it is trained on: human labels laid over weak ones, every row naming where its label is from."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from workflows_dagster.lib.annotation.consensus import EARLIER_FILE, LABELS_FILE
from workflows_dagster.lib.annotation.desk import RoundState
from workflows_dagster.lib.annotation.gate import Gate, gate_of
from workflows_dagster.lib.artifact import Artifact, conform, write_report
from workflows_dagster.lib.parquet import read_batches
from workflows_dagster.lib.schema import CORPUS_REVIEW

BATCH_ROWS = 65_536

TRAINING_REVIEW: Final = CORPUS_REVIEW.append(
    pa.field("votes", pa.int32(), nullable=False)  # valid answers of people; 0 where nobody answered
).append(
    pa.field("agreeing", pa.int32(), nullable=False)  # of these, answers for the label people agreed on most
)


@dataclass(frozen=True)
class TrainingReport:
    """Where the labels are from.

    Attributes:
        status: How far people are with the pilot.
        gate: Whether they agree well enough.
        rows: Reviews in all.
        label_sources: Labelled reviews by where the label is from.
        human_by_split: Human labels by split.
        differs: Human labels that are not the weak label they replaced.
        changes: Such labels by `weak->human`.
        gold: Human labels of the test split by label: what a model is judged on apart from weak labels.
    """

    status: RoundState
    gate: Gate
    rows: int
    label_sources: Mapping[str, int]
    human_by_split: Mapping[str, int]
    differs: int
    changes: Mapping[str, int]
    gold: Mapping[str, int]

    @property
    def human(self) -> int:
        """Reviews with a human label."""
        return sum(self.human_by_split.values())

    def to_metadata(self) -> dict[str, object]:
        """Where the labels are from, as flat metadata."""
        metadata: dict[str, object] = {
            "annotation/status": self.status.value,
            "annotation/rows_by_label_source": dict(self.label_sources),
            "annotation/human_rows_by_split": dict(self.human_by_split),
            "annotation/human_differs_rows": self.differs,
            "annotation/gold_rows": sum(self.gold.values()),
            "annotation/gold_rows_by_label": dict(self.gold),
            "annotation/agreement_standing": self.gate.standing.value,
        }
        if self.human:
            metadata["annotation/human_differs_ratio"] = self.differs / self.human
        else:
            metadata["annotation/note"] = f"weak labels only. {self.gate.sentence}"
        return metadata


@dataclass
class _Tally:
    """Counts gathered while the corpus streams by."""

    rows: int = 0
    sources: Counter[str] = field(default_factory=Counter[str])
    splits: Counter[str] = field(default_factory=Counter[str])
    changes: Counter[str] = field(default_factory=Counter[str])
    gold: Counter[str] = field(default_factory=Counter[str])

    def count(self, overlaid: pl.DataFrame) -> None:
        self.rows += overlaid.height
        self.sources.update(overlaid["label_source"].drop_nulls().to_list())
        human = overlaid.filter(pl.col("human").is_not_null())
        self.splits.update(human["split"].to_list())
        self.gold.update(human.filter(pl.col("split") == "test")["human"].to_list())
        changed = human.filter(pl.col("human") != pl.col("weak").fill_null("none"))
        for weak, label in changed.select(pl.col("weak").fill_null("none"), "human").iter_rows():
            self.changes[f"{weak}->{label}"] += 1


def build_training_reviews(corpus: Artifact, pilot_labels: Artifact, folder: Path) -> TrainingReport:
    """Writes reviews.parquet (TRAINING_REVIEW) and the report, in the order of the corpus and in bounded memory.

    Labels of people whose agreement is not known to suffice stay beside: their votes are counted, the weak label stays.
    Labels of earlier rounds stand, but for reviews that this round gives another.

    Raises:
        NotPublishedError: pilot_labels is of a version that measured no agreement, or knew no rounds.
    """
    found = pilot_labels.report()
    status, gate = RoundState(str(found["status"])), gate_of(found)
    human = human_labels(pilot_labels, gate)
    tally = _Tally()
    with pq.ParquetWriter(folder / "reviews.parquet", TRAINING_REVIEW, compression="zstd") as writer:
        for batch in _batches(corpus.file("reviews.parquet")):
            overlaid = overlay(batch, human)
            tally.count(overlaid)
            writer.write_table(conform(overlaid.select(TRAINING_REVIEW.names).to_arrow(), TRAINING_REVIEW))
    report = TrainingReport(
        status=status,
        gate=gate,
        rows=tally.rows,
        label_sources=dict(sorted(tally.sources.items())),
        human_by_split=dict(sorted(tally.splits.items())),
        differs=tally.changes.total(),
        changes=dict(sorted(tally.changes.items())),
        gold=dict(sorted(tally.gold.items())),
    )
    write_report(folder, _record(report))
    return report


def human_labels(pilot_labels: Artifact, gate: Gate) -> pl.DataFrame:
    """Columns review_id, votes, agreeing and human (the label, null where the weak one stays), a row a review."""
    trusted = pl.col("label") if gate.trusted else pl.lit(None, pl.String)
    columns = ("review_id", "votes", "agreeing")
    now = pilot_labels.scan(LABELS_FILE).select(*columns, human=trusted).collect()
    before = pilot_labels.scan(EARLIER_FILE).select(*columns, human="label").collect()
    settled = now.filter(pl.col("human").is_not_null())
    stands = before.join(settled, on="review_id", how="anti")
    return pl.concat([now.join(stands, on="review_id", how="anti"), stands])


def overlay(reviews: pl.DataFrame, human: pl.DataFrame) -> pl.DataFrame:
    """The reviews in their order, with human labels in place of weak ones, and columns `weak` and `human` beside.

    Args:
        reviews: Columns of CORPUS_REVIEW.
        human: Columns review_id, human (the label, null where the weak one stays), votes and agreeing; a row a review.
    """
    joined = reviews.join(human, on="review_id", how="left", maintain_order="left")
    answered = pl.col("human").is_not_null()
    return joined.with_columns(
        weak=pl.col("label"),
        votes=pl.col("votes").fill_null(0),
        agreeing=pl.col("agreeing").fill_null(0),
        label=pl.coalesce("human", "label"),
        label_source=pl.when(answered).then(pl.lit("human")).otherwise("label_source"),
    )


def _batches(path: Path) -> Iterator[pl.DataFrame]:
    for batch in read_batches(pq.ParquetFile(path), rows=BATCH_ROWS):
        yield pl.DataFrame(pa.Table.from_batches([batch]))


def _record(report: TrainingReport) -> dict[str, object]:
    return {
        "status": report.status.value,
        "agreement": report.gate.standing.value,
        "rows": report.rows,
        "label_sources": dict(report.label_sources),
        "human_rows": report.human,
        "human_by_split": dict(report.human_by_split),
        "human_differs": report.differs,
        "gold_rows": sum(report.gold.values()),
        "gold_by_label": dict(report.gold),
        "human_differs_by_change": dict(report.changes),
    }
