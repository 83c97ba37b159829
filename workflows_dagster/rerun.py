"""A release made again from what came from outside, in a folder of its own, to see that the same comes out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final

import dagster as dg

from workflows_dagster.chain import reason_of
from workflows_dagster.definitions import build_definitions
from workflows_dagster.launcher import host_tags
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.release.record import Member
from workflows_dagster.lib.release.releases import Release
from workflows_dagster.lib.store.disk import disk_errors
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster.partitions import BATCHES
from workflows_dagster.resources.registry import build_store
from workflows_dagster.resources.sources import Intake, SourcesResource
from workflows_dagster.resources.store import StoreResource
from workflows_dagster.settings import Settings

GIVEN: Final = frozenset(
    {
        "raw_reviews",
        "pilot_annotation_request",
        "pilot_labels",
        "synthetic_review_request",
        "reviewed_synthetic_reviews",
    }
)
"""What came from outside, files and people, and is taken as it was published."""

UNTIL: Final = "augmented_reviews"
"""As far as equal inputs give equal bytes: training depends on the order of float operations, benchmarks on time."""


class RecordedSources(SourcesResource):
    """The sources and batches as a release knew them, without their files."""

    names: list[str]
    batch_order: list[str]

    def intake(self) -> Intake:
        """What the corpus of the release was made with."""
        return Intake(frozenset(self.names), tuple(self.batch_order))

    def current(self, batches: Sequence[Artifact]) -> list[Artifact]:
        """All of them: a release holds no others."""
        return list(batches)


@dataclass(frozen=True)
class Remade:
    """One version of a release beside what came out this time.

    Attributes:
        member: The version of the release.
        digest: Data version this time; None where the run failed.
        given: Whether it was taken as published.
        failure: Why its run failed; "" where it did not.
    """

    member: Member
    digest: str | None
    given: bool = False
    failure: str = ""

    @property
    def is_equal(self) -> bool:
        """Whether the data version is the same."""
        return self.digest == self.member.digest


@dataclass(frozen=True)
class Rerun:
    """Makes the assets of a release again.

    Args:
        release: The release.
        store: Where it is published.
        settings: Of this deployment; its home and store are not used.
        home: Folder of a deployment of its own.
        until: Asset to stop at.
    """

    release: Release
    store: VersionedStore
    settings: Settings
    home: Path
    until: str = UNTIL

    def run(self) -> Iterator[Remade]:
        """Each version on the way to the last one, as soon as it is there; ends where one could not be made.

        Raises:
            ConfigurationError: The folder is not empty, or the release holds no such asset.
            DataContractError: The release does not say with which sources its corpus was made.
        """
        _require_empty(self.home)
        members = self._members()
        intake = Intake.from_metadata(self._original("review_corpus").metadata)
        settings = self.settings.model_copy(
            update={"home": self.home.absolute(), "store": "embedded", "base_branch": "main", "sources": None}
        )
        resource = build_store(settings)
        sources = RecordedSources(
            path="", manifests="", names=sorted(intake.sources), batch_order=list(intake.batch_order)
        )
        definitions = build_definitions(settings, {"sources": sources})
        with self._instance() as instance:
            job = definitions.resolve_implicit_global_asset_job_def()
            for member in members:
                if member.asset in GIVEN:
                    yield self._seed(member, resource, instance)
                    continue
                result = job.execute_in_process(
                    instance=instance,
                    asset_selection=[dg.AssetKey(member.asset)],
                    partition_key=member.partition,
                    run_config=_run_config(member),
                    tags=host_tags(),
                    raise_on_error=False,
                )
                if not result.success:
                    yield Remade(member, None, failure=reason_of(result))
                    return
                yield Remade(member, resource.store().version(member.path).digest)

    def _members(self) -> list[Member]:
        """The versions on the way to the last asset, each after what it is made of."""
        by_path = {member.path: member for member in self.release.record.chain}
        waiting = [path for path, member in by_path.items() if member.asset == self.until]
        if not waiting or self.until in GIVEN:
            assets = sorted({member.asset for member in by_path.values()} - GIVEN)
            raise ConfigurationError(
                f"{self.release.tag} cannot be made again as far as that",
                given=self.until,
                expected=f"one of: {', '.join(assets)}",
                remedy="name one of them",
            )
        needed: dict[str, set[str]] = {}
        while waiting:
            path = waiting.pop()
            member = by_path[path]
            needed[path] = set() if member.asset in GIVEN else set(member.upstream)
            waiting.extend(needed[path] - needed.keys())
        return [by_path[path] for path in TopologicalSorter(needed).static_order()]

    def _original(self, path: str) -> Version:
        return self.store.version(path, self.release.record.require(path).commit)

    def _instance(self) -> dg.DagsterInstance:
        """An instance of its own, to be looked at with `DAGSTER_HOME=<home> dagster dev` afterwards."""
        with disk_errors(self.home):
            self.home.mkdir(parents=True, exist_ok=True)
            (self.home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", "utf-8")
        return dg.DagsterInstance.from_config(str(self.home.absolute()))

    def _seed(self, member: Member, resource: StoreResource, instance: dg.DagsterInstance) -> Remade:
        """Publishes what came from outside as it was, and tells Dagster of it."""
        original = self._original(member.path)
        metadata = {name: value for name, value in original.metadata.items() if not name.startswith("upstream/")}
        with resource.store().transaction(
            member.path, f"As in {self.release.tag}", label=[member.asset], metadata=metadata
        ) as transaction:
            for entry in sorted(self.store.folder(member.path, member.commit).iterdir()):
                transaction.copy(entry.name, entry)
        if transaction.version is None:
            raise RuntimeError("a transaction that ended well has a version")
        if member.partition and member.asset == "raw_reviews":
            instance.add_dynamic_partitions(BATCHES.name or "", [member.partition])
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                member.asset,
                partition=member.partition,
                metadata=resource.version_metadata(transaction.version, []),
                tags={"dagster/data_version": transaction.version.digest},
            )
        )
        return Remade(member, transaction.version.digest, given=True)


def _run_config(member: Member) -> Mapping[str, Any]:
    config = {"ops": {member.asset: {"config": dict(member.config)}}} if member.config else {}
    return {**config, "loggers": {"terminal": {}}}


def _require_empty(home: Path) -> None:
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise ConfigurationError(
            "a release is made again in a folder of its own",
            given=str(home),
            expected="a folder that is not there yet, or an empty one",
            remedy="name another folder, or empty this one",
        )
