"""The asset graph as the documentation shows it, read from the definitions."""

from dataclasses import dataclass
from functools import cached_property

import dagster as dg

from workflows_dagster.lib.audit import Audit
from workflows_dagster.publishing import declared_audits


@dataclass(frozen=True)
class Graph:
    """The assets of some definitions, upstream first."""

    definitions: dg.Definitions

    @cached_property
    def specs(self) -> dict[str, dg.AssetSpec]:
        """Every asset's spec by name; an asset comes after all that it is made from."""
        found = {spec.key.to_user_string(): spec for spec in self.definitions.resolve_all_asset_specs()}
        ordered: dict[str, dg.AssetSpec] = {}
        while len(ordered) < len(found):
            ready = sorted(name for name in found.keys() - ordered.keys() if _parents(found[name]) <= ordered.keys())
            ordered |= {name: found[name] for name in ready}
        return ordered

    @property
    def edges(self) -> set[tuple[str, str]]:
        """Pairs of an asset and one that is made from it."""
        return {(parent, name) for name, spec in self.specs.items() for parent in _parents(spec)}

    def partitions(self, name: str) -> str:
        """What the asset has one partition for each of; empty where it has none."""
        match self.specs[name].partitions_def:
            case None:
                return ""
            case dg.DynamicPartitionsDefinition(name=str(kind)):
                return kind
            case partitions:
                return ", ".join(partitions.get_partition_keys())

    def audits(self, name: str) -> list[Audit]:
        """The asset's audits by name."""
        return sorted(declared_audits().get(name, ()), key=lambda audit: audit.name)

    def is_external(self, name: str) -> bool:
        """Whether something else than this project makes it."""
        return not self.definitions.resolve_asset_graph().get(self.specs[name].key).is_executable


def _parents(spec: dg.AssetSpec) -> set[str]:
    return {dep.asset_key.to_user_string() for dep in spec.deps}
