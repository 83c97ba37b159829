"""A release put together from the chain of a benchmark report."""

import json
from collections.abc import Collection, Mapping
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any, Final

import polars as pl

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.benchmark.reporting import SUMMARY_FILE
from workflows_dagster.lib.errors import DataContractError
from workflows_dagster.lib.export.manifest import MANIFEST_FILE
from workflows_dagster.lib.metrics import Estimate
from workflows_dagster.lib.release.lineage import chain_of, upstream_of
from workflows_dagster.lib.release.record import Member, Pick, ReleaseRecord, RowCount
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
    summary: dict[str, Any] = json.loads(report.file(SUMMARY_FILE).read_text("utf-8"))
    head = next(version for version in chain if version.path == root and version.commit == report.commit)
    assets = {version.path.partition("/")[0] for version in chain}
    record = ReleaseRecord(
        chain=tuple(Member.of(version) for version in chain),
        gates={asset: tuple(sorted(gates[asset])) for asset in sorted(assets & gates.keys())},
        pick=_pick(store, head, summary),
        metrics=_metrics(summary),
        rows=_rows(store, head),
        code=package_version("workflows-dagster"),
    )
    record.write(folder)
    return record


def _pick(store: VersionedStore, report: Version, summary: Mapping[str, Any]) -> Pick | None:
    """The export that the benchmark of the picked technique measured."""
    technique = summary["pick"]
    if technique is None:
        return None
    benchmark = store.version(*_used(report, published_path("technique_benchmarks", technique)))
    path, commit = _used(benchmark, published_path("exported_models", technique))
    exported = store.version(path, commit)
    manifest = json.loads(store.file(path, MANIFEST_FILE, commit).read_text("utf-8"))
    return Pick(
        technique=technique,
        reason=summary["pick_reason"],
        path=path,
        commit=commit,
        digest=exported.digest,
        file=manifest["file"],
        sha256=manifest["sha256"],
        size_bytes=manifest["size_bytes"],
    )


def _metrics(summary: Mapping[str, Any]) -> dict[str, Estimate]:
    picked: Mapping[str, Any] = next((row for row in summary["techniques"] if row["technique"] == summary["pick"]), {})
    estimates = {
        "model macro-F1": summary["macro_f1"],
        "baseline macro-F1": summary["baseline"]["macro_f1"],
        "pick macro-F1": picked.get("macro_f1"),
        "pick agreement": picked.get("agreement"),
    }
    return {name: Estimate(**estimate) for name, estimate in estimates.items() if estimate}


def _rows(store: VersionedStore, report: Version) -> tuple[RowCount, ...]:
    path, commit = _used(report, ROWS_ASSET)
    file = store.file(path, _ROWS_FILE, commit)
    counts = pl.scan_parquet(file).group_by(_PROPERTIES).agg(rows=pl.len()).collect(engine="streaming")
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
