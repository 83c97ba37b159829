"""What a step knows of itself: the asset and partition it makes, its run, its code and its configuration."""

import json
from dataclasses import dataclass
from typing import Any, Self

import dagster as dg

from workflows_dagster.lib.errors import ConfigurationError

DIRECT = "direct"
"""Stands for the id of the run where an asset is called directly, as tests do."""


@dataclass(frozen=True)
class Step:
    """One attempt at one asset or partition.

    Attributes:
        asset: Name of the asset.
        partition: Key of the one partition that is made; None where the asset has no partitions.
        run_id: Id of the run.
        retry: Number of the retry within the run; 0 is the first attempt.
        code_version: Of the asset; "" where it has none.
        config: Run configuration as JSON; "" where the asset takes none.
    """

    asset: str
    partition: str | None
    run_id: str
    retry: int
    code_version: str
    config: str

    @classmethod
    def of(cls, context: dg.AssetExecutionContext) -> Self:
        """The step of a context.

        Raises:
            ConfigurationError: The run is over a range of partitions.
        """
        spec = context.assets_def.get_asset_spec(context.asset_key)
        return cls(
            asset=context.asset_key.to_python_identifier(),
            partition=_partition(context),
            run_id=_run_id(context),
            retry=_retry(context),
            code_version=spec.code_version or "",
            config=_config(context),
        )

    @property
    def label(self) -> tuple[str, ...]:
        """What tells this attempt from any other, in the name of its branch."""
        partition = (self.partition,) if self.partition else ()
        return (self.asset, *partition, self.run_id, str(self.retry))

    def provenance(self, ui_url: str) -> dict[str, str]:
        """Where a version comes from, as it is recorded with it."""
        run = {} if self.run_id == DIRECT else {"run_url": f"{ui_url.rstrip('/')}/runs/{self.run_id}"}
        return {
            "asset": self.asset,
            "partition": self.partition or "",
            "run_id": self.run_id,
            **run,
            "code_version": self.code_version,
            "config": self.config,
        }


def _partition(context: dg.AssetExecutionContext) -> str | None:
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
    try:
        return context.run.run_id
    except dg.DagsterError:
        return DIRECT


def _retry(context: dg.AssetExecutionContext) -> int:
    try:
        return context.retry_number
    except AttributeError:  # called directly
        return 0


def _config(context: dg.AssetExecutionContext) -> str:
    resolved: Any = context.op_execution_context.op_config
    if not resolved:
        return ""
    ops: Any = context.run.run_config.get("ops", {})
    given = ops.get(context.op_execution_context.op.name, {}).get("config", {})
    return json.dumps(_unresolved(resolved, given), sort_keys=True, ensure_ascii=False)


def _unresolved(resolved: Any, given: Any) -> Any:
    """The resolved configuration, but for what names an environment variable: its value may be a secret."""
    if isinstance(given, dict) and set(given) == {"env"}:
        return given
    if isinstance(resolved, dict) and isinstance(given, dict):
        return {name: _unresolved(value, given.get(name)) for name, value in resolved.items()}
    if isinstance(resolved, list) and isinstance(given, list):
        return [_unresolved(*pair) for pair in zip(resolved, given, strict=True)]
    return resolved
