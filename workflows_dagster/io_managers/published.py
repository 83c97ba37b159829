"""Hands an asset the versions that its upstream assets published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import NotPublishedError
from workflows_dagster.resources.store import BASE_KEY, COMMIT_KEY, KIND_KEY, StoreResource

PAGE = 1000
"""Materialization events read at once."""


class PublishedIOManager(dg.ConfigurableIOManager):
    """Loads an upstream asset at the commit that its materialization recorded, never at whatever is newest."""

    store: dg.ResourceDependency[StoreResource]

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuses values: assets publish their output themselves, through the store resource."""
        raise TypeError(
            f"{context.asset_key.to_user_string()} returned a {type(obj).__name__}: "
            "expected no value; publish files with StoreResource.publish instead"
        )

    def load_input(self, context: dg.InputContext) -> Artifact | list[Artifact]:
        """One artifact, or where the upstream is partitioned and the reader is not, those of all its partitions.

        Raises:
            NotPublishedError: The upstream asset, or the one partition that is read, was never materialized; what was
                last reported of it is no publication, or one of another store or base branch.
            IntegrityError: A file of it is no longer what was published.
        """
        key = context.asset_key
        asset = key.to_python_identifier()
        if not context.has_asset_partitions:
            return self._artifact(asset, None, _newest(context.instance, key, None))
        wanted = list(context.asset_partition_keys)
        newest = _newest(context.instance, key, wanted)
        if context.has_partition_key and len(wanted) == 1:
            return self._artifact(asset, wanted[0], newest)
        missing = [partition for partition in wanted if partition not in newest]
        if missing:
            context.log.warning(
                "%s: %d of %d partitions are not there and are left out: %s",
                asset,
                len(missing),
                len(wanted),
                missing[:10],
            )
        return [self._artifact(asset, partition, newest) for partition in sorted(set(wanted) - set(missing))]

    def _artifact(self, asset: str, partition: str | None, newest: Mapping[str | None, "_Publication"]) -> Artifact:
        if partition not in newest:
            raise NotPublishedError(
                f"{asset} has no published version",
                given=f"partition {partition!r}" if partition else asset,
                expected="a materialization of it",
                remedy=f"materialize {asset} first",
            )
        publication = newest[partition]
        here = _Publication(publication.commit, self.store.store().repository.kind, self.store.base_branch)
        if publication != here:
            raise NotPublishedError(
                f"the newest materialization of {asset} is not in the store that is in use",
                given=f"commit {publication.commit[:12]} on branch {publication.base!r} of a {publication.kind} store",
                expected=f"a commit on branch {here.base!r} of the {here.kind} store",
                remedy=f"materialize {asset} here, or set WORKFLOWS_DAGSTER_STORE and WORKFLOWS_DAGSTER_BASE_BRANCH "
                "to where it was published",
            )
        return self.store.artifact(asset, partition, publication.commit)


@dataclass(frozen=True)
class _Publication:
    """What a materialization says of where its output is."""

    commit: str
    kind: str
    base: str


def _newest(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str] | None
) -> dict[str | None, _Publication]:
    """What the newest materialization of each partition published (None: of the unpartitioned asset)."""
    if partitions is None:
        event = instance.get_latest_materialization_event(key)
        materialization = event.asset_materialization if event else None
        return {None: _publication(materialization)} if materialization else {}
    found: dict[str | None, _Publication] = {}
    cursor: str | None = None
    wanted = set(partitions)
    while wanted - found.keys():
        page = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, asset_partitions=list(wanted)), limit=PAGE, cursor=cursor
        )
        for record in page.records:
            if record.asset_materialization and record.partition_key not in found:
                found[record.partition_key] = _publication(record.asset_materialization)
        if not page.has_more:
            break
        cursor = page.cursor
    return found


def _publication(materialization: dg.AssetMaterialization) -> _Publication:
    said = {key: str(value.value) for key, value in materialization.metadata.items()}
    missing = [key for key in (COMMIT_KEY, KIND_KEY, BASE_KEY) if not said.get(key)]
    if missing:
        asset = materialization.asset_key.to_user_string()
        raise NotPublishedError(
            f"the newest materialization of {asset} published nothing: it was reported by hand or by another tool",
            given=sorted(said),
            expected=f"metadata with {', '.join(missing)}",
            remedy=f"materialize {asset} here",
        )
    return _Publication(said[COMMIT_KEY], said[KIND_KEY], said[BASE_KEY])
