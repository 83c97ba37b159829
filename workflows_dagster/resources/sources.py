"""The sources and the batches of their files, as one Dagster resource."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import dagster as dg

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.ingest.catalog import Catalog, load_catalog
from workflows_dagster.lib.ingest.manifests import Manifest, Manifests
from workflows_dagster.lib.ingest.plan import (
    Commits,
    Plan,
    look_for_commits,
    only,
    outside_lakefs,
    plan_all,
    plan_settled,
)
from workflows_dagster.lib.ingest.source import Source
from workflows_dagster.partitions import BATCHES
from workflows_dagster.settings import environment

RAW_REVIEWS_KEY: Final = dg.AssetKey("raw_reviews")
PARTITION_TAG: Final = "dagster/partition"
PARTITIONS_PER_REQUEST: Final = 1_000
CONFIGURATION_TAG: Final = "ingest/configuration"
"""Tag of a run that a sensor asked for: digest of how the source of its batch was described."""

FILES_FAILED_TAG: Final = "ingest/files_failed"
"""Tag of a run that read some files of its batch and not others."""


@dataclass(frozen=True)
class Intake:
    """What a corpus depends on besides its batches.

    Attributes:
        sources: Names of the sources in the catalog; reviews of others are left out.
        batch_order: Keys of batches, in the order in which they were planned.
    """

    sources: frozenset[str]
    batch_order: tuple[str, ...]

    def to_metadata(self, batches: Sequence[Artifact]) -> dict[str, str]:
        """The part of it that concerns these batches, as it is recorded with a version."""
        keys = {batch.partition for batch in batches}
        order = [key for key in self.batch_order if key in keys]
        return {"intake/sources": json.dumps(sorted(self.sources)), "intake/batch_order": json.dumps(order)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Self:
        """What `to_metadata` recorded."""
        sources, order = (json.loads(metadata[f"intake/{name}"]) for name in ("sources", "batch_order"))
        return cls(frozenset(sources), tuple(order))


class SourcesResource(dg.ConfigurableResource["SourcesResource"]):
    """The sources.yaml in use and the folder that records which files are in which batch."""

    path: str
    manifests: str

    def catalog(self) -> Catalog:
        """The sources, read anew: an edit of the file needs no restart."""
        return load_catalog(Path(self.path), environment())

    def record(self) -> Manifests:
        """The record of batches."""
        return Manifests(Path(self.manifests))

    def batch(self, key: str) -> tuple[Manifest, Source]:
        """The files of a batch and the source that they belong to.

        Raises:
            NotPublishedError: There is no such batch.
            ConfigurationError: Its source is no longer in the catalog.
        """
        manifest = self.record().read(key)
        catalog = self.catalog()
        try:
            return manifest, catalog.source(manifest.source)
        except LookupError as error:
            raise ConfigurationError(
                f"batch {key} belongs to a source that is not in {self.path}",
                given=manifest.source,
                expected=f"one of {[source.name for source in catalog.sources]}",
                remedy="put the source back, or delete the partition of this batch",
            ) from error

    def intake(self) -> Intake:
        """The sources there are now, and the order in which their batches were planned."""
        return Intake(self.catalog().names(), tuple(self.record().by_age()))

    def collect(self, instance: dg.DagsterInstance) -> Plan:
        """Puts all files that are there into batches at once, however new they are, and registers their partitions.

        The same files in the same state give the same batches, however often this is called.
        """
        plan = plan_all(self.catalog(), self.record(), _materialized(instance))
        for request in partition_requests([batch.key for batch in plan.batches]):
            instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        return plan

    def plan_settled(self, instance: dg.DagsterInstance, now_s: float) -> Plan:
        """Puts the files that have stopped growing into batches; their partitions are not registered yet.

        Sources in lakeFS are left to `take`.
        """
        return plan_settled(outside_lakefs(self.catalog()), self.record(), _materialized(instance), now_s)

    def commits(self) -> Commits:
        """Where the sources in lakeFS stand now."""
        return look_for_commits(self.catalog())

    def take(self, instance: dg.DagsterInstance, names: Collection[str]) -> Plan:
        """Puts the files of these sources into batches at once; their partitions are not registered yet.

        For sources in lakeFS: what is committed does not grow any more.
        """
        catalog = only(self.catalog(), lambda source: source.name in names)
        return plan_all(catalog, self.record(), _materialized(instance))


def partition_requests(keys: Sequence[str]) -> list[dg.AddDynamicPartitionsRequest]:
    """Requests to register the partitions of batches, in pieces that Dagster takes."""
    return [
        BATCHES.build_add_request(list(keys[start : start + PARTITIONS_PER_REQUEST]))
        for start in range(0, len(keys), PARTITIONS_PER_REQUEST)
    ]


@dataclass(frozen=True)
class Standing:
    """How batches stand.

    Attributes:
        due: Requests of the runs to make: of batches that no run was ever made for, and of those that failed, or lack
            files that failed, under another description of their source.
        failed: Keys of the other batches that failed or lack files that failed.
    """

    due: list[dg.RunRequest]
    failed: list[str]


def standing(instance: dg.DagsterInstance, catalog: Catalog, batches: Iterable[Manifest]) -> Standing:
    """How batches stand.

    The instance is asked, not a cursor: a process that was killed after it wrote a manifest, or after it registered
    a partition, has then lost nothing.
    """
    configurations = {source.name: source.configuration for source in catalog.sources}
    of_batch = {batch.key: configurations[batch.source] for batch in batches if batch.source in configurations}
    done = _materialized(instance)
    partly = {run.tags[PARTITION_TAG] for run in instance.get_runs(dg.RunsFilter(tags={FILES_FAILED_TAG: "true"}))}
    open_keys = sorted(key for key in of_batch if key not in done or key in partly)
    runs: dict[str, list[dg.DagsterRun]] = {}
    for start in range(0, len(open_keys), PARTITIONS_PER_REQUEST):
        chunk = open_keys[start : start + PARTITIONS_PER_REQUEST]
        for run in instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: chunk})):  # the newest first
            runs.setdefault(run.tags[PARTITION_TAG], []).append(run)
    due: list[dg.RunRequest] = []
    failed: list[str] = []
    for key in open_keys:
        made, configuration = runs.get(key, []), of_batch[key]
        complete = next((FILES_FAILED_TAG not in run.tags for run in made if run.is_success), False)
        if complete or any(not run.is_finished for run in made):
            continue
        if any(run.tags.get(CONFIGURATION_TAG) == configuration for run in made):
            failed.append(key)
        else:
            run_key = f"{key}/{configuration}" if made else key
            tags = {CONFIGURATION_TAG: configuration}
            due.append(dg.RunRequest(run_key=run_key, partition_key=key, tags=tags))
    return Standing(due, failed)


def _materialized(instance: dg.DagsterInstance) -> set[str]:
    return instance.get_materialized_partitions(RAW_REVIEWS_KEY)
