"""The versioned store as a Dagster resource: write aside, audit, publish, report."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from workflows_dagster.lib.artifact import Artifact, Markdown, Report
from workflows_dagster.lib.audit import Audit, Comparison, Verdict
from workflows_dagster.lib.errors import ConfigurationError, ConflictError, QualityGateError, WorkflowError
from workflows_dagster.lib.store.directory import DirectoryStore
from workflows_dagster.lib.store.interface import Commit, VersionedStore

Published = Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]
"""What a publishing asset yields: its materialization and the results of its audits, or these alone if refused."""

COMMIT_KEY = "store/commit_id"
"""Metadata key under which a materialization records the commit that readers read."""

UPSTREAM_KEY = "store/upstream_commits"
"""Metadata key of the commits that a version was made from, by `asset` or `asset/partition`."""


def check_specs(asset: str, audits: Sequence[Audit | Comparison]) -> list[dg.AssetCheckSpec]:
    """The Dagster check specs of an asset's audits."""
    return [
        dg.AssetCheckSpec(audit.name, asset=asset, blocking=audit.blocking, description=audit.description)
        for audit in audits
    ]


class StoreResource(dg.ConfigurableResource[VersionedStore]):
    """Publishes what an asset writes; nothing that fails an audit becomes visible."""

    root: str

    def store(self) -> VersionedStore:
        """The store itself."""
        return DirectoryStore(Path(self.root))

    def artifact(self, asset: str, partition: str | None, commit_id: str) -> Artifact:
        """An asset as one commit published it."""
        store = self.store()
        return Artifact(asset, partition, commit_id, store.commit(commit_id).digest, store.folder(commit_id))

    def publish(
        self,
        context: dg.AssetExecutionContext,
        build: Callable[[Path], Report],
        *,
        audits: Sequence[Audit] = (),
        inputs: Sequence[Artifact] = (),
    ) -> Published:
        """Builds an asset's output aside, audits it, publishes it and yields the events for Dagster.

        Args:
            context: Context of the step.
            build: Writes the output into the folder it is given and returns its report.
            audits: Judged on that folder before it is published.
            inputs: The versions it was made from, recorded as provenance.

        Raises:
            dg.Failure: An error of this project was raised, or a blocking audit failed; nothing was published.
        """
        try:
            yield from self._publish(context, build, audits, inputs)
        except WorkflowError as error:
            context.log.debug("the step failed", exc_info=error)
            # What depends on the moment may go well at another; what depends on data or configuration will not.
            passing = isinstance(error, OSError | ConflictError)
            raise dg.Failure(description=str(error), allow_retries=passing) from error

    def _publish(
        self,
        context: dg.AssetExecutionContext,
        build: Callable[[Path], Report],
        audits: Sequence[Audit],
        inputs: Sequence[Artifact],
    ) -> Published:
        asset = context.asset_key.to_python_identifier()
        partition = _partition(context)
        path = f"{asset}/{partition}" if partition else asset
        branch = f"{path}/{_run_id(context)}/{_attempt(context)}"
        provenance = {
            "asset": asset,
            "partition": partition or "",
            "run_id": _run_id(context),
            "code_version": _code_version(context) or "",
            **{f"upstream/{_label(artifact)}": artifact.commit for artifact in inputs},
        }
        with self.store().transaction(path, f"Materialize {path}", branch=branch, metadata=provenance) as transaction:
            metadata = report_metadata(build(transaction.folder))
            metadata.update(_table_metadata(transaction.folder))
            verdicts = [(audit, audit.judge(transaction.folder)) for audit in audits]
            results = [_check_result(asset, audit, verdict) for audit, verdict in verdicts]
            for audit, verdict in verdicts:
                if not verdict.passed:
                    context.log.warning("%s does not hold: %s", audit.name, verdict.description)
            if refusal := _refusal(path, branch, verdicts):
                yield from results
                raise refusal
        if transaction.commit is None:
            raise RuntimeError("a transaction that ended well has a commit")
        metadata.update(_commit_metadata(transaction.commit, inputs))
        yield dg.MaterializeResult(
            asset_key=context.asset_key, metadata=metadata, data_version=dg.DataVersion(transaction.commit.digest)
        )
        # Afterwards, because Dagster takes a result for one of the version that was materialized last.
        yield from results


def report_metadata(report: Report) -> dict[str, dg.MetadataValue]:
    """A report's metadata as Dagster shows it; floats to six significant digits."""
    return {key: _metadata_value(value) for key, value in report.to_metadata().items()}


def _metadata_value(value: object) -> dg.MetadataValue:
    match value:
        case Markdown(text):
            return dg.MetadataValue.md(text)
        case bool():
            return dg.MetadataValue.bool(value)
        case float():
            return dg.MetadataValue.float(float(f"{value:.6g}"))
        case int():
            return dg.MetadataValue.int(value)
        case str():
            return dg.MetadataValue.text(value)
        case dict() | list() | tuple():
            return dg.MetadataValue.json(list(value) if isinstance(value, tuple) else value)  # pyright: ignore[reportUnknownArgumentType]
        case _:
            raise TypeError(
                f"metadata of type {type(value).__name__}: expected str, int, float, bool, dict, list, Markdown"
            )


def _table_metadata(folder: Path) -> dict[str, dg.MetadataValue]:
    """Row count and columns of the main table, where the output is one."""
    table = folder / "reviews.parquet"
    if not table.exists():
        return {}
    file = pq.ParquetFile(table)
    columns = [
        dg.TableColumn(field.name, str(field.type), constraints=dg.TableColumnConstraints(nullable=field.nullable))
        for field in file.schema_arrow
    ]
    return {
        "dagster/row_count": dg.MetadataValue.int(file.metadata.num_rows),
        "dagster/column_schema": dg.MetadataValue.table_schema(dg.TableSchema(columns)),
    }


def _commit_metadata(commit: Commit, inputs: Sequence[Artifact]) -> dict[str, dg.MetadataValue]:
    return {
        COMMIT_KEY: dg.MetadataValue.text(commit.id),
        "store/digest": dg.MetadataValue.text(commit.digest),
        "store/size_bytes": dg.MetadataValue.int(commit.size_bytes),
        "store/files": dg.MetadataValue.json(dict(commit.files)),
        UPSTREAM_KEY: dg.MetadataValue.json({_label(artifact): artifact.commit for artifact in inputs}),
    }


def _check_result(asset: str, audit: Audit, verdict: Verdict) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=audit.name,
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.ERROR if audit.blocking else dg.AssetCheckSeverity.WARN,
        description=verdict.description,
        metadata={key: _metadata_value(value) for key, value in verdict.metadata.items()},
    )


def _refusal(path: str, branch: str, verdicts: Sequence[tuple[Audit, Verdict]]) -> QualityGateError | None:
    """Why the output must not be published, or None where every blocking audit was passed."""
    failed = [(audit, verdict) for audit, verdict in verdicts if audit.blocking and not verdict.passed]
    if not failed:
        return None
    return QualityGateError(
        f"{path} was not published: {', '.join(audit.name for audit, _ in failed)} failed",
        given="; ".join(verdict.description for _, verdict in failed),
        expected="; ".join(audit.description for audit, _ in failed),
        remedy=f"look at the staged output under the branch {branch}, mend its cause and run the asset again",
    )


def _label(artifact: Artifact) -> str:
    return f"{artifact.asset}/{artifact.partition}" if artifact.partition else artifact.asset


def _partition(context: dg.AssetExecutionContext) -> str | None:
    """Key of the one partition that the step makes; None where the asset has no partitions."""
    if context.has_partition_key:
        return context.partition_key
    if context.assets_def.partitions_def is not None:
        # Dagster would take the one version for a materialization of every partition of the range.
        raise ConfigurationError(
            f"{context.asset_key.to_user_string()} is published one partition at a time",
            given="a run over a range of partitions, or over none",
            expected="a run with one partition key",
            remedy="launch a backfill with one run for each partition",
        )
    return None


def _run_id(context: dg.AssetExecutionContext) -> str:
    """Id of the run; "direct" where the asset is called directly, outside a run."""
    try:
        return context.run.run_id
    except dg.DagsterError:
        return "direct"


def _attempt(context: dg.AssetExecutionContext) -> int:
    """Number of the retry; 0 where the asset is called directly, outside a run."""
    try:
        return context.retry_number
    except AttributeError:
        return 0


def _code_version(context: dg.AssetExecutionContext) -> str | None:
    return context.assets_def.get_asset_spec(context.asset_key).code_version
