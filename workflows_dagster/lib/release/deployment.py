"""Which release is in force: a small record that is published like everything else, so that each change is logged."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workflows_dagster.lib.errors import NotPublishedError
from workflows_dagster.lib.release.releases import Release, release_at
from workflows_dagster.lib.store.version import Version
from workflows_dagster.lib.store.versioned import VersionedStore

DEPLOYMENT_PATH: Final = "deployed_release"
"""Path that the record is published at."""

DEPLOYMENT_FILE: Final = "deployment.json"


@dataclass(frozen=True)
class Deployment:
    """A release put in force.

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


def deploy(store: VersionedStore, release: Release, reason: str, label: Sequence[str]) -> Version:
    """Puts a release in force, in one atomic step, once its model was seen to be whole.

    Args:
        store: Where it is published.
        release: The release.
        reason: Why, one line; kept with it.
        label: What the transaction's branch is named after.

    Raises:
        ConflictError: Another release was put in force at the same moment.
        NotPublishedError: Its model was pruned.
        IntegrityError: A file of its model is not the one that was published.
    """
    model_folder(store, release)
    content = {"tag": release.tag, "commit": release.version.commit, "reason": reason}
    metadata = {"asset": DEPLOYMENT_PATH, f"upstream/{release.version.path}": release.version.commit}
    with store.transaction(
        DEPLOYMENT_PATH, f"Deploy {release.tag}: {reason}", label=[DEPLOYMENT_PATH, *label], metadata=metadata
    ) as transaction:
        transaction.write(DEPLOYMENT_FILE, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    if transaction.version is None:
        raise RuntimeError("a transaction that ended well has a version")
    return transaction.version


def deployments(store: VersionedStore) -> Iterator[Deployment]:
    """Every change of the release in force, newest first, as far back as they were not pruned."""
    if store.head(DEPLOYMENT_PATH) is not None:
        yield from (_read(store, version) for version in store.log(DEPLOYMENT_PATH))


def was_deployed(store: VersionedStore, tag: str) -> bool:
    """Whether a release was ever put in force."""
    return any(found.tag == tag for found in deployments(store))


def deployment(store: VersionedStore) -> Deployment | None:
    """What is in force, or None."""
    version = store.head(DEPLOYMENT_PATH)
    return _read(store, version) if version else None


def deployed(store: VersionedStore) -> Release:
    """The release in force.

    Raises:
        NotPublishedError: None is.
    """
    found = deployment(store)
    if found is None:
        raise NotPublishedError(
            "no release is deployed",
            given=DEPLOYMENT_PATH,
            expected="a release in force",
            remedy="run the chain to its end, which deploys what passes its gates, or deploy one with "
            "`workflows-dagster rollback TAG`",
        )
    return release_at(store, found.tag, found.commit)


def deployed_model(store: VersionedStore) -> Path:
    """Local, read-only folder of the exported model of the release in force, as `load_exported` takes it.

    Raises:
        NotPublishedError: No release is in force.
        IntegrityError: A file of it is not the one that was published.
    """
    return model_folder(store, deployed(store))


def model_folder(store: VersionedStore, release: Release) -> Path:
    """Local, read-only folder of a release's exported model; errors as `deployed_model`."""
    return store.folder(release.pick.path, release.pick.commit)


def _read(store: VersionedStore, version: Version) -> Deployment:
    content = json.loads(store.file(DEPLOYMENT_PATH, DEPLOYMENT_FILE, version.commit).read_text("utf-8"))
    return Deployment(**content, deployed_at=version.created_at)
