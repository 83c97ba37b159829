"""The versioned store as a Dagster resource: write aside, audit, publish, report."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr

from workflows_dagster.lib.artifact import Artifact, Report
from workflows_dagster.lib.audit import Audit
from workflows_dagster.lib.errors import ConflictError, QualityGateError, WorkflowError
from workflows_dagster.lib.private_folder import keep_private
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.lakefs.repository import LakeFSRepository
from workflows_dagster.lib.store.naming import published_path
from workflows_dagster.lib.store.repository import Repository
from workflows_dagster.lib.store.transaction import Transaction
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster.resources.metadata import (
    check_result,
    commits_metadata,
    files_metadata,
    link_metadata,
    report_metadata,
    table_metadata,
)
from workflows_dagster.resources.step import Step
from workflows_dagster.stores import EMBEDDED, WORK

Published = Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]
"""What a publishing asset yields: its materialization and the results of its audits, or these alone if refused."""

COMMIT_KEY = "store/commit_id"
"""Metadata key under which a materialization records the commit that readers read."""

UPSTREAM_KEY = "store/upstream_commits"
"""Metadata key of the commits that a version was made from, by published path: `asset` or `asset/partition`."""

KIND_KEY = "store/kind"
"""Metadata key that says what kind of repository holds the commit: "git" is the embedded one."""

BASE_KEY = "store/base_branch"
"""Metadata key of the branch that the commit was published on."""


class StoreResource(dg.ConfigurableResource[VersionedStore], ABC):
    """Publishes what an asset writes; nothing that fails an audit becomes visible. Which store is configuration."""

    home: str = Field(
        description="Folder of what this machine keeps: outputs in the making and copies of what is read."
    )
    base_branch: str = Field(default="main", description="Branch that is published to and read from.")
    ui_url: str = Field(
        default="http://127.0.0.1:3000", description="Address of the Dagster UI, for the link from a commit to its run."
    )
    sample_rows: int = Field(default=10, ge=0, description="Masked rows of each table that the UI shows; 0 for none.")
    _store: VersionedStore | None = PrivateAttr(default=None)

    @abstractmethod
    def repository(self) -> Repository:
        """The repository that versions are kept in."""

    def store(self) -> VersionedStore:
        """The store itself; one for the life of this resource, so that its connections are used again."""
        if self._store is None:
            keep_private(Path(self.home))
            self._store = VersionedStore(self.repository(), Path(self.home) / WORK, self.base_branch)
        return self._store

    def artifact(self, asset: str, partition: str | None, commit_id: str) -> Artifact:
        """An asset as one commit published it."""
        version = self.store().version(published_path(asset, partition), commit_id)
        return Artifact(asset, partition, commit_id, version.digest, self.store().copy(version))

    def publish(
        self,
        context: dg.AssetExecutionContext,
        build: Callable[[Path], Report],
        *,
        table: str | None = None,
        audits: Sequence[Audit] = (),
        inputs: Sequence[Artifact] = (),
        given: Mapping[str, str] | None = None,
        after: Callable[[Version], Mapping[str, dg.MetadataValue]] | None = None,
    ) -> Published:
        """Builds an asset's output aside, audits it, publishes it and yields the events for Dagster.

        Args:
            context: Context of the step.
            build: Writes the output into the folder it is given and returns its report.
            table: Its Parquet file whose rows are the asset's own, where there is one.
            audits: Judged on that folder before it is published.
            inputs: The versions it was made from, recorded as provenance.
            given: What else it was made from besides its configuration, recorded as provenance.
            after: What is to be done with the published version before the step ends; returns what to show of it. As
                a step that died may be run again, it is called again for a version that was published before.

        Raises:
            dg.Failure: An error of this project was raised, or a blocking audit failed; nothing was published.
        """
        with told_to_dagster(context):
            yield from self._publish(context, build, table, audits, inputs, given or {}, after)

    def _publish(
        self,
        context: dg.AssetExecutionContext,
        build: Callable[[Path], Report],
        table: str | None,
        audits: Sequence[Audit],
        inputs: Sequence[Artifact],
        given: Mapping[str, str],
        after: Callable[[Version], Mapping[str, dg.MetadataValue]] | None,
    ) -> Published:
        step = Step.of(context)
        path = published_path(step.asset, step.partition)
        upstream = {f"upstream/{_path(input_)}": input_.commit for input_ in inputs}
        provenance = {**step.provenance(self.ui_url), **given, **upstream}
        findings: list[dg.AssetCheckResult] = []
        try:
            with self.store().transaction(
                path, f"Materialize {path}", label=step.label, metadata=provenance
            ) as transaction:
                metadata = report_metadata(build(transaction.folder))
                if table is not None:
                    metadata |= table_metadata(transaction.folder / table, self.sample_rows)
                findings += _judge(context, transaction, audits)
        except QualityGateError:
            yield from findings
            raise
        if transaction.version is None:
            raise RuntimeError("a transaction that ended well has a version")
        # Equal content of equal inputs makes no commit: the version is then that of an earlier run.
        is_new = transaction.version.metadata.get("run_id") == step.run_id
        if after is not None:
            metadata |= after(transaction.version)
        metadata |= self.version_metadata(transaction.version, inputs) | {
            "store/is_new_version": dg.MetadataValue.bool(is_new)
        }
        data_version = dg.DataVersion(transaction.version.digest)
        yield dg.MaterializeResult(asset_key=context.asset_key, metadata=metadata, data_version=data_version)
        # Afterwards, because Dagster takes a result for one of the version that was materialized last.
        yield from findings

    def materialization(self, version: Version, inputs: Sequence[Artifact]) -> dg.AssetMaterialization:
        """The event that tells Dagster of a version which no step of Dagster has published."""
        return dg.AssetMaterialization(
            version.path.partition("/")[0],
            partition=version.metadata.get("partition") or None,
            metadata=self.version_metadata(version, inputs),
            tags=data_version_tag(version.digest),
        )

    def version_metadata(self, version: Version, inputs: Sequence[Artifact]) -> dict[str, dg.MetadataValue]:
        """What a materialization says of the version that it published."""
        return {
            COMMIT_KEY: dg.MetadataValue.text(version.commit),
            "store/commit": link_metadata(self.store().link(version.commit)),
            BASE_KEY: dg.MetadataValue.text(self.base_branch),
            KIND_KEY: dg.MetadataValue.text(self.store().repository.kind),
            "store/size_bytes": dg.MetadataValue.int(version.size_bytes),
            "store/files": files_metadata(version.files),
            UPSTREAM_KEY: commits_metadata({_path(input_): input_.commit for input_ in inputs}),
        }


class EmbeddedStore(StoreResource):
    """The store without a server: a bare git repository in the home folder. A stand-in, labelled "git" in metadata."""

    def repository(self) -> Repository:
        """The git repository."""
        return GitRepository(Path(self.home) / EMBEDDED)


class LakeFSStore(StoreResource):
    """The store on a lakeFS server."""

    endpoint: str = Field(description="Address of the server.")
    access_key_id: str = Field(repr=False, description="Key; pass a dg.EnvVar, so that the UI shows its name only.")
    secret_access_key: str = Field(
        repr=False, description="Secret; pass a dg.EnvVar, so that the UI shows its name only."
    )
    repository_name: str = Field(description="Name of the repository.")
    storage_namespace: str | None = Field(default=None, description="Where lakeFS keeps a new repository's objects.")
    create: bool = Field(default=False, description="Whether a missing repository is made.")

    def repository(self) -> Repository:
        """The lakeFS repository."""
        return LakeFSRepository(
            endpoint=self.endpoint,
            access_key_id=_secret(self.access_key_id),
            secret_access_key=_secret(self.secret_access_key),
            repository=self.repository_name,
            storage_namespace=self.storage_namespace,
            create=self.create,
        )


@contextmanager
def told_to_dagster(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> Generator[None]:
    """Turns an error of this project into the one that Dagster shows: what was given, expected and to do next.

    Raises:
        dg.Failure: In its place; to be retried only where another moment may bring another outcome.
    """
    try:
        yield
    except WorkflowError as error:
        context.log.debug("the step failed", exc_info=error)
        # What depends on the moment may go well at another; what depends on data or configuration will not.
        passing = isinstance(error, OSError | ConflictError)
        description = "\n".join([str(error), *getattr(error, "__notes__", [])])
        raise dg.Failure(description=description, allow_retries=passing) from error


def data_version_tag(version: str) -> dict[str, str]:
    """The tag by which Dagster takes the data version off an event."""
    return {"dagster/data_version": version}


def _secret(value: str) -> str:
    """The value of a field that Dagster resolves within runs, and leaves to the caller outside of them."""
    return value.get_value() or "" if isinstance(value, dg.EnvVar) else value


def _judge(
    context: dg.AssetExecutionContext, transaction: Transaction, audits: Sequence[Audit]
) -> list[dg.AssetCheckResult]:
    found = transaction.audit(audits)
    for audit, verdict in found:
        if not verdict.passed:
            context.log.warning("%s does not hold: %s", audit.name, verdict.description)
    return [check_result(context.asset_key, audit, verdict) for audit, verdict in found]


def _path(artifact: Artifact) -> str:
    return published_path(artifact.asset, artifact.partition)
