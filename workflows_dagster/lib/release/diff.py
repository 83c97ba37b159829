"""What differs between two releases: rows, figures, versions."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from workflows_dagster.lib.benchmark.export_benchmark import PREDICTIONS_FILE
from workflows_dagster.lib.metrics import Estimate, paired_bootstrap
from workflows_dagster.lib.model.quality import class_ids
from workflows_dagster.lib.release.record import Member
from workflows_dagster.lib.release.releases import Release
from workflows_dagster.lib.release.rows import RowChange, changed_rows
from workflows_dagster.lib.schema import LABELS
from workflows_dagster.lib.store.naming import published_path
from workflows_dagster.lib.store.versioned import VersionedStore

TABLES: Final = ("review_corpus", "training_reviews", "augmented_reviews")
"""The tables whose rows are compared."""

_ROWS_FILE: Final = "reviews.parquet"


@dataclass(frozen=True)
class TableChange:
    """What became of the rows of one table.

    Attributes:
        asset: Name of the table.
        changes: Rows by change, source and label; none where both releases hold the same version.
    """

    asset: str
    changes: tuple[RowChange, ...]


@dataclass(frozen=True)
class MetricChange:
    """One figure in both releases; None where a release does not have it."""

    name: str
    before: Estimate | None
    after: Estimate | None


@dataclass(frozen=True)
class VersionChange:
    """One path that the releases hold in different versions; None where one does not hold it."""

    path: str
    before: Member | None
    after: Member | None

    @property
    def kind(self) -> str:
        """What is different, in words."""
        match self.before, self.after:
            case None, _:
                return "added"
            case _, None:
                return "removed"
            case Member() as before, Member() as after:
                reasons = {
                    "content": before.digest != after.digest,
                    "config": before.config != after.config,
                    "code": before.code_version != after.code_version,
                }
                return ", ".join(name for name, differs in reasons.items() if differs) or "inputs only"


@dataclass(frozen=True)
class ReleaseDiff:
    """What changed from one release to another.

    Attributes:
        before: The one.
        after: The other.
        tables: Rows, table by table.
        metrics: Figures as both releases state them, each on its own test rows.
        paired: Macro-F1 of the second pick minus that of the first on the test rows that both were measured on and
            that carry the same label in both; None where there are none.
        versions: Paths in different versions.
    """

    before: Release
    after: Release
    tables: tuple[TableChange, ...]
    metrics: tuple[MetricChange, ...]
    paired: Estimate | None
    versions: tuple[VersionChange, ...]


def compare(store: VersionedStore, before: Release, after: Release) -> ReleaseDiff:
    """What changed from one release to another.

    Raises:
        NotPublishedError: A version of one of them was pruned.
    """
    first, second = before.record, after.record
    return ReleaseDiff(
        before,
        after,
        tables=tuple(_table(store, before, after, asset) for asset in TABLES),
        metrics=tuple(
            MetricChange(name, first.metrics.get(name), second.metrics.get(name))
            for name in {**first.metrics, **second.metrics}
        ),
        paired=paired_difference(*(_predictions(store, release) for release in (before, after))),
        versions=tuple(_versions(before, after)),
    )


def worse_by(store: VersionedStore, candidate: Release, deployed: Release) -> Estimate | None:
    """The change of macro-F1 from the deployed release to another one, where the whole interval is below 0; else None.

    Both models are compared on the test rows that both were measured on, with the same label.
    """
    found = paired_difference(*(_predictions(store, one) for one in (deployed, candidate)))
    return found if found is not None and found.high < 0 else None


def paired_difference(before: pl.DataFrame, after: pl.DataFrame) -> Estimate | None:
    """Macro-F1 of the second predictions minus that of the first, on the rows that both have with the same label.

    Args:
        before: Columns review_id, label, predicted.
        after: The same, of the other model.
    """
    both = before.join(after, on=["review_id", "label"], suffix="_after").sort("review_id")
    if both.is_empty():
        return None
    truth, second, first = (class_ids(both[name]) for name in ("label", "predicted_after", "predicted"))
    return paired_bootstrap(truth, second, first, classes=len(LABELS))


def _table(store: VersionedStore, before: Release, after: Release, asset: str) -> TableChange:
    first, second = before.record.member(asset), after.record.member(asset)
    if first is None or second is None or first.digest == second.digest:
        return TableChange(asset, ())
    before_file, after_file = (store.file(asset, _ROWS_FILE, member.commit) for member in (first, second))
    return TableChange(asset, tuple(changed_rows(before_file, after_file)))


def _predictions(store: VersionedStore, release: Release) -> pl.DataFrame:
    benchmark = release.record.require(published_path("export_benchmarks", release.pick.technique))
    file = store.file(benchmark.path, PREDICTIONS_FILE, benchmark.commit)
    return pl.read_parquet(file, columns=["review_id", "label", "predicted"], glob=False)


def _versions(before: Release, after: Release) -> list[VersionChange]:
    first = {member.path: member for member in before.record.chain}
    second = {member.path: member for member in after.record.chain}
    return [
        VersionChange(path, first.get(path), second.get(path))
        for path in sorted(first.keys() | second.keys())
        if (one := first.get(path)) is None or (other := second.get(path)) is None or one.commit != other.commit
    ]
