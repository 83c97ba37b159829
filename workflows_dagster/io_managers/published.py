"""Hands an asset the versions that its upstream assets published."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import NotPublishedError
from workflows_dagster.resources.store import COMMIT_KEY, StoreResource

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
            NotPublishedError: The upstream asset, or the one partition that is read, was never materialized, or what
                was last reported of it is no publication of this store.
            IntegrityError: A file of it is no longer what was published.
        """
        key = context.asset_key
        asset = key.to_python_identifier()
        if not context.has_asset_partitions:
            commits: Mapping[str | None, str] = _latest_commits(context.instance, key, None)
            return self._artifact(asset, None, commits)
        wanted = list(context.asset_partition_keys)
        commits = _latest_commits(context.instance, key, wanted)
        if context.has_partition_key and len(wanted) == 1:
            return self._artifact(asset, wanted[0], commits)
        missing = [partition for partition in wanted if partition not in commits]
        if missing:
            context.log.warning(
                "%s: %d of %d partitions are not there and are left out: %s",
                asset,
                len(missing),
                len(wanted),
                missing[:10],
            )
        return [self._artifact(asset, partition, commits) for partition in sorted(set(wanted) - set(missing))]

    def _artifact(self, asset: str, partition: str | None, commits: Mapping[str | None, str]) -> Artifact:
        if partition not in commits:
            raise NotPublishedError(
                f"{asset} has no published version",
                given=f"partition {partition!r}" if partition else asset,
                expected="a materialization of it",
                remedy=f"materialize {asset} first",
            )
        return self.store.artifact(asset, partition, commits[partition])


def _latest_commits(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str] | None
) -> dict[str | None, str]:
    """The commit of the newest materialization of each partition (None: of the unpartitioned asset)."""
    if partitions is None:
        event = instance.get_latest_materialization_event(key)
        materialization = event.asset_materialization if event else None
        return {None: _commit_of(materialization)} if materialization else {}
    commits: dict[str | None, str] = {}
    cursor: str | None = None
    wanted = set(partitions)
    while wanted - commits.keys():
        page = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, asset_partitions=list(wanted)), limit=PAGE, cursor=cursor
        )
        for record in page.records:
            if record.asset_materialization and record.partition_key not in commits:
                commits[record.partition_key] = _commit_of(record.asset_materialization)
        if not page.has_more:
            break
        cursor = page.cursor
    return commits


def _commit_of(materialization: dg.AssetMaterialization) -> str:
    value: Any = materialization.metadata[COMMIT_KEY].value if COMMIT_KEY in materialization.metadata else None
    if not value:
        asset = materialization.asset_key.to_user_string()
        raise NotPublishedError(
            f"the newest materialization of {asset} published nothing: it was reported by hand or by another tool",
            given=sorted(materialization.metadata),
            expected=f"metadata with {COMMIT_KEY}",
            remedy=f"materialize {asset} here",
        )
    return str(value)
