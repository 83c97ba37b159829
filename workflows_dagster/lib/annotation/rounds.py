"""Rounds of annotation: the one under way, the labels of those before it, and the model that its sample is drawn with.

What is asked next follows from what people answered, yet the sample comes before the answers in the graph: an edge back
would close a circle. A round is therefore drawn from published versions of pilot_labels that are named by commit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import polars as pl

from workflows_dagster.lib.annotation.consensus import EARLIER_LABEL, LABELS_FILE
from workflows_dagster.lib.annotation.desk import RoundState
from workflows_dagster.lib.annotation.next_round import NEXT_ROUND_FILE
from workflows_dagster.lib.annotation.records import PilotLabels, PilotSample, Scorer, ScorerUsed
from workflows_dagster.lib.errors import NotPublishedError
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.release.deployment import deployed, deployment
from workflows_dagster.lib.release.releases import Release, release
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore

SAMPLE_PATH: Final = "pilot_sample"
LABELS_PATH: Final = "pilot_labels"

_Read = TypeVar("_Read", bound=Record)


@dataclass(frozen=True)
class EarlierRound:
    """A round that people answered.

    Attributes:
        number: Its number, from 1.
        labels: The newest version of pilot_labels of that round that has answers.
        trusted: Whether its labels may be trained on.
    """

    number: int
    labels: Version
    trusted: bool


@dataclass(frozen=True)
class Opening:
    """What a round is drawn from besides the corpus.

    Attributes:
        number: Number of the round, from 1.
        earlier: The rounds before it, the last one first.
        released: The release whose model judges, or None.
        store: Where they are published; None only where there is nothing to read.
    """

    number: int = 1
    earlier: Sequence[EarlierRound] = ()
    released: Release | None = None
    store: VersionedStore | None = None

    @property
    def provenance(self) -> dict[str, str]:
        """The versions that were read, for the metadata of the sample.

        They are not inputs: the chain of a release would lead through the samples of all rounds.
        """
        named = {f"earlier_round/{one.number}/{LABELS_PATH}": one.labels.commit for one in self.earlier}
        return named | ({"scorer/model_release": self.released.version.commit} if self.released else {})

    @property
    def labels_commit(self) -> str | None:
        """Commit of the labels of the round before, or None."""
        return self.earlier[0].labels.commit if self.earlier else None

    @property
    def release_commit(self) -> str | None:
        """Commit of the release whose model judges, or None."""
        return self.released.version.commit if self.released else None

    def answered(self) -> pl.DataFrame:
        """Columns review_id and round (the last one) of the reviews that people answered, sorted by id."""
        schema = pl.Schema({"review_id": pl.String(), "round": pl.Int32()})
        tables = [
            self._table(one, LABELS_FILE).select("review_id", round=pl.lit(one.number, pl.Int32))
            for one in self.earlier
        ]
        return (
            pl.concat([schema.to_frame(), *tables]).group_by("review_id").agg(pl.col("round").max()).sort("review_id")
        )

    def labels(self) -> pl.DataFrame:
        """Columns of EARLIER_LABEL: the last label that people gave to a review in rounds that may be trained on."""
        empty = pl.DataFrame(pl.from_arrow(EARLIER_LABEL.empty_table()))
        tables = [
            self._table(one, LABELS_FILE).with_columns(round=pl.lit(one.number, pl.Int32))
            for one in self.earlier
            if one.trusted
        ]
        labels = pl.concat([empty, *tables]).filter(pl.col("label").is_not_null())
        return labels.sort("review_id", "round").unique("review_id", keep="last", maintain_order=True)

    def listed(self) -> pl.DataFrame:
        """What the last round asks next: columns of NEXT_ROUND."""
        if not self.earlier:
            return pl.DataFrame(schema={"review_id": pl.String, "reason": pl.String, "score": pl.Float64})
        return self._table(self.earlier[0], NEXT_ROUND_FILE)

    def _table(self, one: EarlierRound, name: str) -> pl.DataFrame:
        if self.store is None:
            raise RuntimeError("an opening with earlier rounds knows their store")
        return pl.read_parquet(self.store.file(LABELS_PATH, name, one.labels.commit), glob=False)


def open_round(store: VersionedStore, number: int | None, scorer: Scorer) -> Opening:
    """The round of this number, or the one under way.

    A round keeps the model that it began with: drawn again after another release, it is the same sample.

    Args:
        store: Where samples, labels and releases are published.
        number: Number of the round; None for that of the last published sample, or 1.
        scorer: What judges weak labels.

    Raises:
        NotPublishedError: A round before it has no published answers, or the model it needs is not released.
    """
    last = _read(store, PilotSample, SAMPLE_PATH) if store.head(SAMPLE_PATH) else None
    current = last.round if last else 1
    number = number or current
    began_with = last.scorer if last and number == current else None
    return Opening(number, list(_earlier(store, number)), _released(store, scorer, began_with), store)


def _earlier(store: VersionedStore, number: int) -> Iterator[EarlierRound]:
    """The rounds before this one, the last one first."""
    wanted = number - 1
    if not wanted:
        return
    for version in store.log(LABELS_PATH) if store.head(LABELS_PATH) else ():
        if _round_of(store, version) != wanted:
            continue
        labels = _read(store, PilotLabels, LABELS_PATH, version.commit)
        if labels.status is RoundState.WAITING:
            continue
        yield EarlierRound(wanted, version, labels.gate.trusted)
        wanted -= 1
        if not wanted:
            return
    raise NotPublishedError(
        f"round {number} cannot be drawn without what people answered in round {wanted}",
        given=f"no version of {LABELS_PATH} with answers to round {wanted}",
        expected="a published one, not pruned",
        remedy=f"materialize {LABELS_PATH} once people have answered, or leave `round` of {SAMPLE_PATH} unset to go on "
        "with the round under way",
    )


def _round_of(store: VersionedStore, labels: Version) -> int | None:
    """The round that a version of pilot_labels is of; None where its sample was pruned."""
    try:
        return _read(store, PilotSample, SAMPLE_PATH, labels.metadata[f"upstream/{SAMPLE_PATH}"]).round
    except NotPublishedError:
        return None


def _read(store: VersionedStore, kind: type[_Read], path: str, commit: str | None = None) -> _Read:
    """The record of a version; of the newest if no commit is named."""
    return kind.read(store.file(path, kind.FILE, commit).parent)


def _released(store: VersionedStore, scorer: Scorer, began_with: ScorerUsed | None) -> Release | None:
    """The release that judges, if one is to."""
    if scorer in {"words", "none"}:
        return None
    if began_with and began_with.asked == scorer:
        return release(store, began_with.release) if began_with.release else None
    return deployed(store) if scorer == "released" or deployment(store) else None
