"""Makes a release again from what came from outside, in a folder of its own, to see whether the same comes out."""

from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import dagster as dg

from workflows_dagster.chain import reason_of
from workflows_dagster.definitions import build_definitions
from workflows_dagster.instance import project_instance
from workflows_dagster.launcher import host_tags
from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.release.record import Member
from workflows_dagster.lib.release.releases import Release
from workflows_dagster.lib.store.disk import disk_errors
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster.partitions import BATCHES
from workflows_dagster.resources.registry import build_store
from workflows_dagster.resources.sources import Intake, SourcesResource
from workflows_dagster.settings import Settings

GIVEN: Final = frozenset(
    {
        "raw_reviews",
        "pilot_request",
        "pilot_labels",
        "synthetic_request",
        "vetted_synthetics",
    }
)
"""What came from outside, from files and people. It is copied as it was published."""

UNTIL: Final = "augmented_reviews"
"""The last asset whose bytes follow from its inputs: training depends on the order of float operations, benchmarks on
time."""


class RecordedSources(SourcesResource):
    """The sources and batches that a release was made with, without their files."""

    names: list[str]
    batch_order: list[str]

    def intake(self) -> Intake:
        """What the corpus of the release was made with."""
        return Intake(frozenset(self.names), tuple(self.batch_order))


@dataclass(frozen=True)
class Remade:
    """A version of a release beside what was made this time.

    Attributes:
        member: The version of the release.
        digest: Data version this time; None where the run failed.
        given: Whether it was copied as it was published.
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


def rerun(
    release: Release, store: VersionedStore, settings: Settings, home: Path, until: str = UNTIL
) -> Iterator[Remade]:
    """Makes the assets of a release again, each as soon as its inputs are there; ends at the first that fails.

    Args:
        release: The release.
        store: Where it is published.
        settings: Of this deployment; its home and store are not used.
        home: New or empty folder, for a deployment of its own.
        until: Asset to stop at.

    Raises:
        ConfigurationError: The folder is not empty, or the release holds no such asset.
        DataContractError: The release does not say with which sources its corpus was made.
    """
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise ConfigurationError(
            "a release is made again in a folder of its own",
            given=str(home),
            expected="a folder that is not there yet, or an empty one",
            remedy="name another folder, or empty this one",
        )
    members = _members_until(release, until)
    corpus = store.version("review_corpus", release.record.require("review_corpus").commit)
    intake = Intake.from_metadata(corpus.metadata)
    sources = RecordedSources(path="", manifests="", names=sorted(intake.sources), batch_order=list(intake.batch_order))
    home = home.absolute()
    own = settings.model_copy(update={"home": home, "store": "embedded", "base_branch": "main", "sources": None})
    own_store = build_store(own)
    job = build_definitions(own, {"sources": sources}).resolve_implicit_global_asset_job_def()
    with disk_errors(home):
        home.mkdir(parents=True, exist_ok=True)
        # `DAGSTER_HOME=<home> dagster dev` shows the instance afterwards.
        (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", "utf-8")
    with project_instance(own.model_copy(update={"dagster_home": home})) as instance:
        for member in members:
            if member.asset in GIVEN:
                version = _copy(member, store, own_store.store(), f"As in {release.tag}")
                if member.partition and member.asset == "raw_reviews":
                    instance.add_dynamic_partitions(BATCHES.name or "", [member.partition])
                instance.report_runless_asset_event(own_store.materialization(version, []))
                yield Remade(member, version.digest, given=True)
                continue
            result = job.execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey(member.asset)],
                partition_key=member.partition,
                run_config={
                    "ops": {member.asset: {"config": dict(member.config)}} if member.config else {},
                    "loggers": {"terminal": {}},
                },
                tags=host_tags(),
                raise_on_error=False,
            )
            if not result.success:
                yield Remade(member, None, failure=reason_of(result))
                return
            yield Remade(member, own_store.store().version(member.path).digest)


def _members_until(release: Release, until: str) -> list[Member]:
    """The versions that an asset of a release was made from, and its own, each after its inputs."""
    by_path = {member.path: member for member in release.record.chain}
    waiting = [path for path, member in by_path.items() if member.asset == until]
    if not waiting or until in GIVEN:
        assets = sorted({member.asset for member in by_path.values()} - GIVEN)
        raise ConfigurationError(
            f"{release.tag} cannot be made again up to that asset",
            given=until,
            expected=f"one of: {', '.join(assets)}",
            remedy="name one of them",
        )
    inputs: dict[str, set[str]] = {}
    while waiting:
        path = waiting.pop()
        inputs[path] = set() if by_path[path].asset in GIVEN else set(by_path[path].upstream)
        waiting.extend(inputs[path] - inputs.keys())
    return [by_path[path] for path in TopologicalSorter(inputs).static_order()]


def _copy(member: Member, store: VersionedStore, target: VersionedStore, message: str) -> Version:
    """Publishes a version of one store in another one, as it was."""
    published = store.version(member.path, member.commit).metadata
    metadata = {name: value for name, value in published.items() if not name.startswith("upstream/")}
    with target.transaction(member.path, message, label=[member.asset], metadata=metadata) as transaction:
        for entry in sorted(store.folder(member.path, member.commit).iterdir()):
            transaction.copy(entry.name, entry)
    if transaction.version is None:
        raise RuntimeError("a transaction that ended well has a version")
    return transaction.version
