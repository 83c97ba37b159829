"""A release put together from the chain of a benchmark report."""

from collections.abc import Collection, Mapping
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Final

import polars as pl

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.benchmark.report import ReportRecord
from workflows_dagster.lib.errors import DataContractError
from workflows_dagster.lib.export.exported_model import ExportRecord
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.release.record import GAIN, Member, Pick, ReleaseRecord, RowCount
from workflows_dagster.lib.store.lineage import chain_of, upstream_of
from workflows_dagster.lib.store.naming import published_path
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore

ROWS_ASSET: Final = "augmented_reviews"
"""What is trained and measured on."""

_ROWS_FILE: Final = "reviews.parquet"
_PROPERTIES: Final = ("source", "label", "label_source", "split")


def build_release(
    store: VersionedStore, report: Artifact, gates: Mapping[str, Collection[str]], folder: Path
) -> ReleaseRecord:
    """Writes release.json: every version behind a report, its pick, figures, rows, and the gates of each asset.

    Args:
        store: Where the chain is published.
        report: Version of benchmark_report.
        gates: Names of the blocking audits that each asset has.
        folder: Where to write.

    Raises:
        NotPublishedError: A version of the chain was pruned.
        DataContractError: The report was made of something else than the versions it names.
    """
    root = published_path(report.asset, report.partition)
    chain = chain_of(store, [(root, report.commit)])
    found = ReportRecord.read(report.folder)
    head = next(version for version in chain if version.path == root and version.commit == report.commit)
    assets = {version.path.partition("/")[0] for version in chain}
    record = ReleaseRecord(
        chain=tuple(Member.of(version) for version in chain),
        gates={asset: tuple(sorted(gates[asset])) for asset in sorted(assets & gates.keys())},
        pick=_pick(store, head, found),
        metrics=_metrics(found),
        rows=_rows(store, head),
        code=package_version("workflows-dagster"),
    )
    record.write(folder)
    return record


def _pick(store: VersionedStore, version: Version, report: ReportRecord) -> Pick | None:
    """The export that the benchmark of the picked technique measured."""
    technique = report.pick.technique
    if technique is None:
        return None
    benchmark = store.version(*_used(version, published_path("export_benchmarks", technique)))
    path, commit = _used(benchmark, published_path("exported_models", technique))
    exported = store.version(path, commit)
    model = ExportRecord.read(store.folder(path, commit)).model
    return Pick(
        technique=technique,
        reason=report.pick.reason,
        path=path,
        commit=commit,
        digest=exported.digest,
        file=model.file,
        sha256=model.sha256,
        size_bytes=model.size_bytes,
    )


def _metrics(report: ReportRecord) -> dict[str, Estimate]:
    metrics = {
        "model macro-F1": report.adapter.model.macro_f1,
        "baseline macro-F1": report.adapter.baseline.macro_f1,
        GAIN: report.adapter.macro_f1_gain,
    }
    if picked := report.picked:
        metrics |= {"pick macro-F1": picked.quality.macro_f1, "pick agreement": picked.agreement}
    return metrics


def _rows(store: VersionedStore, report: Version) -> tuple[RowCount, ...]:
    path, commit = _used(report, ROWS_ASSET)
    file = store.file(path, _ROWS_FILE, commit)
    counts = pl.scan_parquet(file, glob=False).group_by(_PROPERTIES).agg(rows=pl.len()).collect(engine="streaming")
    return tuple(RowCount(**row) for row in counts.sort(_PROPERTIES).iter_rows(named=True))


def _used(version: Version, path: str) -> tuple[str, str]:
    """Path and commit of a version that another one was made from."""
    upstream = upstream_of(version)
    if path not in upstream:
        raise DataContractError(
            f"{version.path} at {version.commit[:12]} does not say which version of {path} it was made from",
            given=sorted(upstream),
            expected=f"{path} among them",
            remedy=f"materialize {version.path} again with this version of the code",
        )
    return path, upstream[path]
