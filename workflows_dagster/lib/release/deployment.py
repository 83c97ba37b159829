"""Which release is deployed: a small record that is published like everything else, so that each change is logged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.audit import Audit
from workflows_dagster.lib.errors import ConflictError, NotPublishedError
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.release.releases import Release, newest_release, release, release_at
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore

DEPLOYMENT_PATH: Final = "deployed_release"
"""Path that the record is published at."""


class DeploymentSettings(BaseModel):
    """What decides whether a release is deployed."""

    model_config = ConfigDict(frozen=True)

    tag: str | None = Field(
        default=None,
        description="Tag of the release to deploy, whatever the comparison says. Default: the newest release, unless "
        "something speaks against it.",
    )
    reason: str = Field(default="", description="Why that release is deployed; kept in the log.")
    deploy: bool = Field(
        default=True,
        description="Whether the newest release is deployed by itself. One that was deployed before stays as it is.",
    )
    deploy_worse: bool = Field(
        default=False,
        description="Whether it is also deployed where its macro-F1 is below that of the deployed release, with 95 % "
        "confidence on the test rows of both.",
    )
    deploy_below_baseline: bool = Field(
        default=False,
        description="Whether it is also deployed where its macro-F1 is not above that of the linear baseline, with "
        "95 % confidence on the same test rows, or where that is not known.",
    )


class DeploymentRecord(Record):
    """The content of deployment.json.

    Attributes:
        tag: Tag of the deployed release; None where none is deployed.
        commit: Commit of its record.
        reason: Why, one line.
    """

    FILE: ClassVar[str] = "deployment.json"

    tag: str | None
    commit: str | None
    reason: str


@dataclass(frozen=True)
class Deployment:
    """One change of the deployed release.

    Attributes:
        tag: Tag of the release.
        commit: Commit of its record.
        reason: Why, one line.
        deployed_at: ISO 8601, UTC.
    """

    tag: str
    commit: str
    reason: str
    deployed_at: str


@dataclass(frozen=True)
class Decision:
    """Which release is deployed from now on.

    Attributes:
        chosen: The release; None where none is deployed.
        reason: Why it is deployed.
        before: What was deployed when this was decided.
        newest: Tag of the newest release.
        refusal: Why the newest release is not deployed; "" where nothing spoke against it.
    """

    chosen: Release | None
    reason: str
    before: Deployment | None
    newest: str
    refusal: str = ""

    def to_metadata(self) -> Mapping[str, object]:
        """What the asset shows."""
        return {
            "release/deployed_tag": self.chosen.tag if self.chosen else "none",
            "release/newest_tag": self.newest,
            "release/reason": self.reason,
            "release/refusal": self.refusal or "none",
        }


def decide_deployment(store: VersionedStore, settings: DeploymentSettings) -> Decision:
    """Which release is to be deployed: the one that is asked for, else the newest, unless something speaks against it.

    Raises:
        NotPublishedError: There is no release, or none of that tag.
    """
    before, newest = deployment(store), newest_release(store)
    if settings.tag is not None:
        return Decision(release(store, settings.tag), settings.reason or "asked for", before, newest.tag)
    if refusal := why_not(store, newest, before, settings):
        kept = release_at(store, before.tag, before.commit) if before else None
        return Decision(kept, before.reason if before else refusal, before, newest.tag, refusal)
    return Decision(newest, settings.reason or "passed every gate", before, newest.tag)


def why_not(store: VersionedStore, newest: Release, before: Deployment | None, settings: DeploymentSettings) -> str:
    """Why the newest release must not be deployed by itself; "" where it may."""
    from workflows_dagster.lib.release.diff import worse_by

    if not settings.deploy:
        return "the configuration says not to"
    if before is not None and before.commit == newest.version.commit:
        return ""
    if was_deployed(store, newest.tag):
        return f"it was deployed before, and {before.tag if before else 'nothing'} was chosen since"
    if not settings.deploy_below_baseline and (shortfall := newest.record.shortfall):
        return f"{shortfall}; to use it all the same: workflows-dagster deploy {newest.tag} --below-baseline"
    worse = None
    if before is not None and not settings.deploy_worse:
        worse = worse_by(store, newest, release_at(store, before.tag, before.commit))
    if before is None or worse is None:
        return ""
    interval = f"{-worse.value:.3f} [{-worse.high:.3f}, {-worse.low:.3f}]"
    return (
        f"macro-F1 is worse than that of {before.tag} by {interval} on the {worse.n:,} test rows of both; "
        f"to use it all the same: workflows-dagster deploy {newest.tag}"
    )


def build_deployment(store: VersionedStore, decision: Decision, folder: Path) -> Decision:
    """Writes deployment.json, once the model of the chosen release was seen to be whole.

    Args:
        store: Where releases are published.
        decision: Which release is deployed.
        folder: Where to write.

    Raises:
        ConflictError: Another release was deployed after this was decided.
        NotPublishedError: Its model was pruned.
        IntegrityError: A file of its model is not the one that was published.
    """
    now = deployment(store)
    if now != decision.before:
        raise ConflictError(
            "another release was deployed in the meantime",
            given=now.tag if now else "none",
            expected=decision.before.tag if decision.before else "none, as when this was decided",
            remedy="look at `workflows-dagster releases log`, and deploy again if it is still wanted",
        )
    chosen = decision.chosen
    if chosen is not None:
        model_folder(store, chosen)
    tag, commit = (chosen.tag, chosen.version.commit) if chosen else (None, None)
    DeploymentRecord(tag=tag, commit=commit, reason=decision.reason).write(folder)
    return decision


def deploy(
    store: VersionedStore, chosen: Release, reason: str, label: Sequence[str], audits: Sequence[Audit] = ()
) -> Version:
    """Deploys a release in one atomic step.

    Args:
        store: Where it is published.
        chosen: The release.
        reason: Why, one line; kept with it.
        label: What the transaction's branch is named after.
        audits: What must hold of the record: those of the asset deployed_release.

    Raises:
        ConflictError: Another release was deployed at the same moment.
        NotPublishedError: Its model was pruned.
        IntegrityError: A file of its model is not the one that was published.
    """
    decision = Decision(chosen, reason, deployment(store), chosen.tag)
    metadata = {"asset": DEPLOYMENT_PATH, f"upstream/{chosen.version.path}": chosen.version.commit}
    with store.transaction(
        DEPLOYMENT_PATH, f"Deploy {chosen.tag}: {reason}", label=[DEPLOYMENT_PATH, *label], metadata=metadata
    ) as transaction:
        build_deployment(store, decision, transaction.folder)
        transaction.audit(audits)
    if transaction.version is None:
        raise RuntimeError("a transaction that ended well has a version")
    return transaction.version


def deployments(store: VersionedStore) -> Iterator[Deployment]:
    """Every change of the deployed release, newest first, as far back as they were not pruned."""
    if store.head(DEPLOYMENT_PATH) is not None:
        found = (_read(store, version) for version in store.log(DEPLOYMENT_PATH))
        yield from (one for one in found if one is not None)


def was_deployed(store: VersionedStore, tag: str) -> bool:
    """Whether a release was ever deployed."""
    return any(found.tag == tag for found in deployments(store))


def deployment(store: VersionedStore) -> Deployment | None:
    """What is deployed, or None."""
    version = store.head(DEPLOYMENT_PATH)
    return _read(store, version) if version else None


def deployed(store: VersionedStore) -> Release:
    """The deployed release.

    Raises:
        NotPublishedError: None is.
    """
    found = deployment(store)
    if found is None:
        refusal = _refusal(store)
        raise NotPublishedError(
            f"no release is deployed: {refusal}" if refusal else "no release is deployed",
            given=DEPLOYMENT_PATH,
            expected="a deployed release",
            remedy="run the chain to its end, which deploys what passes its gates, or deploy one with "
            "`workflows-dagster deploy TAG`",
        )
    return release_at(store, found.tag, found.commit)


def deployed_model(store: VersionedStore) -> Path:
    """Local, read-only folder of the exported model of the deployed release, as `load_exported` takes it.

    Raises:
        NotPublishedError: No release is deployed.
        IntegrityError: A file of it is not the one that was published.
    """
    return model_folder(store, deployed(store))


def model_folder(store: VersionedStore, chosen: Release) -> Path:
    """Local, read-only folder of a release's exported model; errors as `deployed_model`."""
    return store.folder(chosen.pick.path, chosen.pick.commit)


def _refusal(store: VersionedStore) -> str:
    """Why the last decision deployed nothing; "" where none was taken."""
    version = store.head(DEPLOYMENT_PATH)
    return _record(store, version).reason if version else ""


def _record(store: VersionedStore, version: Version) -> DeploymentRecord:
    return DeploymentRecord.read(store.file(DEPLOYMENT_PATH, DeploymentRecord.FILE, version.commit).parent)


def _read(store: VersionedStore, version: Version) -> Deployment | None:
    record = _record(store, version)
    if record.tag is None or record.commit is None:
        return None
    return Deployment(record.tag, record.commit, record.reason, version.created_at)
