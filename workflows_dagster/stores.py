"""The store of a deployment, opened without Dagster: what the command line reads and writes."""

from typing import Final

from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.lib.store.git.repository import GitRepository
from workflows_dagster.lib.store.repository import Repository
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster.settings import Settings

EMBEDDED: Final = "store.git"
"""Folder of the embedded repository below the home folder."""

WORK: Final = "work"
"""Folder of what is being written, and of copies, below the home folder."""


def open_store(settings: Settings) -> VersionedStore:
    """The store that the settings name.

    Raises:
        ConfigurationError: It is lakeFS, and settings that it needs are missing; they are named.
    """
    home = settings.home.absolute()
    return VersionedStore(_repository(settings), home / WORK, settings.base_branch)


def require_lakefs(settings: Settings) -> tuple[str, str]:
    """Address of the lakeFS server and name of the repository on it.

    Raises:
        ConfigurationError: Settings that a store on lakeFS needs are missing; they are named.
    """
    needed = {
        "LAKEFS_ENDPOINT": settings.lakefs_endpoint,
        "LAKEFS_ACCESS_KEY_ID": settings.lakefs_access_key_id,
        "LAKEFS_SECRET_ACCESS_KEY": settings.lakefs_secret_access_key,
        "WORKFLOWS_DAGSTER_LAKEFS_REPOSITORY": settings.lakefs_repository,
    }
    if settings.lakefs_create:
        needed["WORKFLOWS_DAGSTER_LAKEFS_STORAGE_NAMESPACE"] = settings.lakefs_storage_namespace
    missing = [name for name, value in needed.items() if not value]
    if settings.lakefs_endpoint is None or settings.lakefs_repository is None or missing:
        raise ConfigurationError(
            "the store is lakeFS, and settings that it needs are missing",
            given=f"nothing in {', '.join(missing)}",
            expected="the address, keys and repository of a lakeFS server",
            remedy="set them in the environment or in .env, or set WORKFLOWS_DAGSTER_STORE=embedded",
        )
    return settings.lakefs_endpoint, settings.lakefs_repository


def _repository(settings: Settings) -> Repository:
    if settings.store == "embedded":
        return GitRepository(settings.home.absolute() / EMBEDDED)
    from workflows_dagster.lib.store.lakefs.repository import LakeFSRepository

    endpoint, name = require_lakefs(settings)
    key, secret = settings.lakefs_access_key_id, settings.lakefs_secret_access_key
    return LakeFSRepository(
        endpoint=endpoint,
        access_key_id=key.get_secret_value() if key else "",
        secret_access_key=secret.get_secret_value() if secret else "",
        repository=name,
        storage_namespace=settings.lakefs_storage_namespace,
        create=settings.lakefs_create,
    )
