"""Which reviews people are asked about: a stratified sample that stays the same while the corpus does."""

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.apportionment import apportion
from workflows_dagster.lib.artifact import Artifact, write_report, write_table
from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.schema import CORPUS_REVIEW

PILOT_FILE: Final = "pilot.parquet"
STRATUM: Final = ("label", "source")
_Key = TypeVar("_Key", bound=Hashable)


class PilotSettings(BaseModel):
    """How the pilot is drawn.

    Human labels serve two ends. In the train split they correct what the model learns from; in the test split they
    form the gold rows that it is judged on. Validation keeps its weak labels: it only picks a checkpoint.
    """

    model_config = ConfigDict(frozen=True)

    rows: int = Field(default=100, ge=1, le=10_000, description="Reviews that people are asked about.")
    test_ratio: float = Field(
        default=0.5, ge=0, le=1, description="Part of them drawn from the test split (gold rows); the rest from train."
    )
    seed: int = Field(default=20, ge=0, description="Picks within a stratum: by digest of seed and review id.")


@dataclass(frozen=True)
class PilotReport:
    """The sample that was drawn.

    Attributes:
        rows: Reviews in it.
        splits: Reviews by split.
        strata: Reviews by `label/source`.
        candidates: Labelled reviews of train and test that it was drawn from.
    """

    rows: int
    splits: Mapping[str, int]
    strata: Mapping[str, int]
    candidates: int

    def to_metadata(self) -> dict[str, object]:
        """The sample as flat metadata."""
        return {
            "dagster/row_count": self.rows,
            "annotation/candidate_rows": self.candidates,
            "annotation/rows_by_split": dict(self.splits),
            "annotation/rows_by_stratum": dict(self.strata),
        }


def build_pilot_sample(corpus: Artifact, settings: PilotSettings, folder: Path) -> PilotReport:
    """Writes the pilot and its report.

    Raises:
        NotEnoughDataError: No labelled review in train or test.
    """
    columns = ["review_id", "split", *STRATUM]
    candidates = (
        corpus.scan().filter(pl.col("split").is_in(["train", "test"]), pl.col("label").is_not_null()).select(columns)
    ).collect()
    if candidates.is_empty():
        raise NotEnoughDataError(
            "no review can be put before annotators",
            given=f"{corpus.asset} without a labelled row in train or test",
            expected="labelled rows in both splits",
            remedy="check the label mapping of sources.yaml, or add a source with stars or labels",
        )
    chosen = draw(candidates, settings)
    pilot = corpus.scan().filter(pl.col("review_id").is_in(chosen["review_id"].implode())).collect()
    pilot = pilot.sort("review_id")
    write_table(folder / PILOT_FILE, pilot, CORPUS_REVIEW)
    report = PilotReport(
        rows=pilot.height,
        splits=_counts(pilot["split"]),
        strata=_counts(pilot.select(pl.concat_str(STRATUM, separator="/")).to_series()),
        candidates=candidates.height,
    )
    write_report(
        folder,
        {"rows": report.rows, "splits": report.splits, "strata": report.strata, "candidates": report.candidates},
    )
    return report


def draw(candidates: pl.DataFrame, settings: PilotSettings) -> pl.DataFrame:
    """The rows of the sample, independent of the order of the candidates.

    Args:
        candidates: Columns review_id, split (train or test) and those of STRATUM.
        settings: Size, proportion and seed.
    """
    available = dict(candidates.group_by("split").len().iter_rows())
    wanted = min(settings.rows, candidates.height)
    from_test = min(round(wanted * settings.test_ratio), available.get("test", 0))
    from_train = min(wanted - from_test, available.get("train", 0))
    sizes = {"train": from_train, "test": wanted - from_train}
    ordered = candidates.with_columns(_order=_order(candidates["review_id"], settings.seed)).sort("_order", "review_id")
    parts = [_draw_split(ordered.filter(pl.col("split") == split), rows) for split, rows in sizes.items()]
    return pl.concat(parts).drop("_order")


def _draw_split(ordered: pl.DataFrame, rows: int) -> pl.DataFrame:
    sizes = {tuple(key): size for *key, size in ordered.group_by(STRATUM).len().iter_rows()}
    quota = [(*key, seats) for key, seats in allocate(sizes, rows).items()]
    schema = {**{name: pl.String for name in STRATUM}, "_quota": pl.Int64}
    quotas = pl.DataFrame(quota, schema=schema, orient="row")
    rank = pl.int_range(pl.len()).over(*STRATUM)
    return ordered.join(quotas, on=STRATUM, maintain_order="left").filter(rank < pl.col("_quota")).drop("_quota")


def allocate(sizes: Mapping[_Key, int], seats: int) -> dict[_Key, int]:
    """Seats for each stratum: one each, the rest in proportion to what is left of it, by largest remainder.

    With fewer seats than strata the largest strata get one each. Ties go to the lower key.

    Args:
        sizes: Rows of each stratum, at least one.
        seats: Rows to draw; never more than there are.
    """
    seats = min(seats, sum(sizes.values()))
    if seats <= len(sizes):
        largest = sorted(sizes, key=lambda key: (-sizes[key], key))
        return dict.fromkeys(largest[:seats], 1)
    rest = apportion({key: size - 1 for key, size in sizes.items()}, seats - len(sizes))
    return {key: 1 + more for key, more in rest.items()}


def _order(ids: pl.Series, seed: int) -> pl.Series:
    """A digest of each id: its place within the stratum. polars' own hash differs between its versions."""
    prefix = f"{seed}/"
    digests = [hashlib.blake2b((prefix + review_id).encode(), digest_size=8).digest() for review_id in ids]
    return pl.Series(digests, dtype=pl.Binary)


def _counts(values: pl.Series) -> dict[str, int]:
    return {str(value): count for value, count in values.value_counts().sort(values.name).iter_rows()}
