"""Looks at all locations and puts new files into batches, so that no file is taken twice and none is lost."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from workflows_dagster.lib.errors import WorkflowError
from workflows_dagster.lib.ingest.batches import known_files, plan_batches
from workflows_dagster.lib.ingest.catalog import Catalog
from workflows_dagster.lib.ingest.locations import FileVersion, list_files
from workflows_dagster.lib.ingest.manifests import Manifest, Manifests


@dataclass(frozen=True)
class Discovery:
    """The files that are there now.

    Attributes:
        files: The files of each source that could be listed, by source.
        failures: Why the others could not, by source.
    """

    files: Mapping[str, list[FileVersion]]
    failures: Mapping[str, WorkflowError]


def discover(catalog: Catalog) -> Discovery:
    """Lists every source; one that cannot be listed does not keep the others from it."""
    files: dict[str, list[FileVersion]] = {}
    failures: dict[str, WorkflowError] = {}
    for source in catalog.sources:
        try:
            files[source.name] = list_files(source)
        except WorkflowError as error:
            failures[source.name] = error
    return Discovery(files, failures)


def plan_new(
    catalog: Catalog,
    found: Discovery,
    ready: Mapping[str, Iterable[FileVersion]],
    manifests: Manifests,
    materialized: Set[str],
) -> list[Manifest]:
    """Puts files that are in no batch yet into batches, and returns every batch that can be read now.

    A batch that was never materialized and one of whose files has changed or gone since can no longer be read: its
    other files count as being in no batch, so that they are not lost with it.

    Args:
        catalog: The sources, and the caps of a batch.
        found: All files that are there now.
        ready: Those of them that may be put into a batch, by source.
        manifests: The record of batches; new ones are written before this returns.
        materialized: Keys of batches that were read.
    """
    with manifests.lock():
        recorded = manifests.all()
        now = {file.identity for files in found.files.values() for file in files}
        current = [manifest for manifest in recorded if all(file.identity in now for file in manifest.files)]
        known = known_files(current) | known_files(batch for batch in recorded if batch.key in materialized)
        planned = [
            manifest
            for source, files in ready.items()
            for manifest in plan_batches(source, files, known, catalog.batching)
        ]
        manifests.write(planned)
    return current + planned
