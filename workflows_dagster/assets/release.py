"""The release of a chain that passed every gate, and which release is deployed."""

from functools import partial
from pathlib import Path

import dagster as dg

from workflows_dagster.automation import ON_NEW_REPORT
from workflows_dagster.checks.release import DEPLOYED_RELEASE, MODEL_RELEASE
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import StoreError
from workflows_dagster.lib.release.building import build_release
from workflows_dagster.lib.release.deployment import DeploymentSettings, build_deployment, decide_deployment
from workflows_dagster.lib.release.releases import release_at, tag_release
from workflows_dagster.lib.release.reports import keep_report
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster.publishing import Publication, gates, published_asset
from workflows_dagster.resources.metadata import link_metadata
from workflows_dagster.resources.store import StoreResource
from workflows_dagster.settings import REPORTS


class DeploymentConfig(DeploymentSettings, dg.Config):
    """Run configuration of deployed_release."""


@published_asset(
    group_name="release",
    kinds={"json"},
    code_version="2",
    automation_condition=ON_NEW_REPORT,
    audits=MODEL_RELEASE,
)
def model_release(benchmark_report: Artifact, store: StoreResource) -> Publication:
    """The exact versions behind a report under one tag, made only where each of them passed every blocking check."""
    versions = store.store()
    build = partial(build_release, versions, benchmark_report, gates())
    return Publication(build, after=partial(_tag, versions, Path(store.home) / REPORTS))


@published_asset(
    group_name="release",
    kinds={"json"},
    code_version="1",
    deps=["model_release"],
    automation_condition=ON_NEW_REPORT,
    audits=DEPLOYED_RELEASE,
)
def deployed_release(config: DeploymentConfig, store: StoreResource) -> Publication:
    """Which release scoring uses: the newest, unless something speaks against it, or the one that was asked for."""
    versions = store.store()
    decision = decide_deployment(versions, config)
    chosen = decision.chosen
    reads = [store.artifact("model_release", None, chosen.version.commit)] if chosen else []
    return Publication(partial(build_deployment, versions, decision), reads=reads)


def _tag(store: VersionedStore, reports: Path, version: Version) -> dict[str, dg.MetadataValue]:
    tag = tag_release(store, version)
    try:
        report = str(keep_report(store, release_at(store, tag, version.commit), reports))
    except StoreError as error:
        # The release is made; `workflows-dagster report` writes the copy when somebody asks for it.
        report = f"not copied to {reports}: {error}"
    return {
        "release/tag": dg.MetadataValue.text(tag),
        "release/link": link_metadata(store.link(tag)),
        "release/report": dg.MetadataValue.path(report),
    }
