"""The sources and the batches of their files, as one Dagster resource."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import dagster as dg

from workflows_dagster.lib.errors import ConfigurationError, WorkflowError
from workflows_dagster.lib.ingest.catalog import Catalog, Source
from workflows_dagster.lib.ingest.discovery import Discovery, discover, plan_new
from workflows_dagster.lib.ingest.loading import load_catalog
from workflows_dagster.lib.ingest.locations import FileVersion
from workflows_dagster.lib.ingest.manifests import Manifest, Manifests
from workflows_dagster.partitions import BATCHES
from workflows_dagster.settings import environment

RAW_REVIEWS_KEY: Final = dg.AssetKey("raw_reviews")
PARTITIONS_PER_REQUEST: Final = 1_000


@dataclass(frozen=True)
class Collected:
    """The batches that can be read now.

    Attributes:
        keys: Their partition keys, all registered; the same files in the same state give the same keys.
        failures: Why some sources could not be listed, by source.
    """

    keys: Sequence[str]
    failures: Mapping[str, WorkflowError]


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

    def discover(self) -> Discovery:
        """The files that are there now."""
        return discover(self.catalog())

    def plan(
        self, found: Discovery, ready: Mapping[str, Iterable[FileVersion]], instance: dg.DagsterInstance
    ) -> list[Manifest]:
        """Puts ready files into batches; returns every batch that can be read now, new or not."""
        materialized = instance.get_materialized_partitions(RAW_REVIEWS_KEY)
        return plan_new(self.catalog(), found, ready, self.record(), materialized)

    def collect(self, instance: dg.DagsterInstance) -> Collected:
        """Puts all files that are there into batches at once, settled or not, and registers their partitions."""
        found = self.discover()
        keys = [manifest.key for manifest in self.plan(found, found.files, instance)]
        for chunk in chunks(keys):
            instance.add_dynamic_partitions(partition_set_name(), chunk)
        return Collected(keys, found.failures)


def partition_set_name() -> str:
    """Name of the dynamic partitions of batches."""
    if BATCHES.name is None:
        raise RuntimeError("BATCHES is a named dynamic partitions definition")
    return BATCHES.name


def chunks(keys: Sequence[str]) -> list[Sequence[str]]:
    """Keys in pieces that one request of partitions takes."""
    return [keys[start : start + PARTITIONS_PER_REQUEST] for start in range(0, len(keys), PARTITIONS_PER_REQUEST)]
