"""The corpus for training: human labels replace weak ones, and every row names where its label is from."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from workflows_dagster.lib.annotation.consensus import EARLIER_FILE, LABELS_FILE
from workflows_dagster.lib.annotation.gate import Gate
from workflows_dagster.lib.annotation.records import PilotLabels, TrainingReviews
from workflows_dagster.lib.artifact import Artifact, conform
from workflows_dagster.lib.parquet import read_batches
from workflows_dagster.lib.schema import CORPUS_REVIEW, column

BATCH_ROWS = 65_536

TRAINING_REVIEW: Final = CORPUS_REVIEW.append(
    column("votes", pa.int32(), "Valid answers of people; 0 where nobody answered", nullable=False)
).append(column("agreeing", pa.int32(), "Of these, answers for the label that most people gave", nullable=False))


@dataclass
class _Tally:
    """Counts over the batches of the corpus."""

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


def build_training_reviews(corpus: Artifact, pilot_labels: Artifact, folder: Path) -> TrainingReviews:
    """Writes reviews.parquet (TRAINING_REVIEW) and the record, in the order of the corpus and in bounded memory.

    Labels whose agreement is not known to suffice are not used: their votes are counted, the weak label stays. Labels
    of earlier rounds stay, unless this round gives the review another one.
    """
    labels = PilotLabels.read(pilot_labels.folder)
    human = human_labels(pilot_labels, labels.gate)
    tally = _Tally()
    with pq.ParquetWriter(folder / "reviews.parquet", TRAINING_REVIEW, compression="zstd") as writer:
        for batch in _batches(corpus.file("reviews.parquet")):
            overlaid = overlay(batch, human)
            tally.count(overlaid)
            writer.write_table(conform(overlaid.select(TRAINING_REVIEW.names).to_arrow(), TRAINING_REVIEW))
    record = TrainingReviews(
        status=labels.status,
        gate=labels.gate,
        rows=tally.rows,
        label_sources=dict(sorted(tally.sources.items())),
        human_rows=tally.splits.total(),
        human_by_split=dict(sorted(tally.splits.items())),
        human_differs=tally.changes.total(),
        human_differs_by_change=dict(sorted(tally.changes.items())),
        gold_rows=tally.gold.total(),
        gold_by_label=dict(sorted(tally.gold.items())),
    )
    record.write(folder)
    return record


def human_labels(pilot_labels: Artifact, gate: Gate) -> pl.DataFrame:
    """The answers of people, one row for each review: review_id, votes, agreeing and human.

    Human is the label, null where the weak one stays.
    """
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
        human: As `human_labels` returns it.
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
