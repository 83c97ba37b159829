"""Finding a repository of a lakeFS server, and making it where it is missing and may be made."""

import time
from contextlib import suppress
from functools import partial

from workflows_dagster.lib.errors import ConfigurationError, NotPublishedError
from workflows_dagster.lib.store.lakefs.connection import LakeFSConnection


def default_branch(connection: LakeFSConnection, *, create: bool, storage_namespace: str | None) -> str:
    """Name of the default branch of the repository.

    Args:
        connection: To the repository.
        create: Whether a missing repository is made.
        storage_namespace: Where a new repository keeps its objects.

    Raises:
        NotPublishedError: The repository is missing and must not be made.
        ConfigurationError: It is to be made, and there is no storage namespace for it.
    """
    with suppress(NotPublishedError):
        return _found(connection)
    if not create:
        raise NotPublishedError(
            f"there is no repository {connection.repository} at {connection.address}",
            given=connection.repository,
            expected="a repository that exists, or leave to make it",
            remedy="make it in lakeFS, or set WORKFLOWS_DAGSTER_LAKEFS_CREATE=true",
        )
    if not storage_namespace:
        raise ConfigurationError(
            f"the lakeFS repository {connection.repository} is to be made, and there is no storage namespace for it",
            given=storage_namespace,
            expected="where its objects go, as s3://bucket/folder",
            remedy="set WORKFLOWS_DAGSTER_LAKEFS_STORAGE_NAMESPACE",
        )
    _make(connection, storage_namespace)
    return _found(connection)


def _found(connection: LakeFSConnection) -> str:
    request = partial(connection.sdk.repositories_api.get_repository, connection.repository)
    return str(connection.call(f"find the repository {connection.repository}", request).default_branch)


def _make(connection: LakeFSConnection, storage_namespace: str) -> None:
    from lakefs import Repository
    from lakefs.exceptions import BadRequestException

    what = f"make the repository {connection.repository}"
    repository = Repository(connection.repository, connection.client)
    # exist_ok: several processes may find it missing at the same time.
    request = partial(repository.create, storage_namespace, default_branch="main", exist_ok=True)
    with connection.naming_refusals(what):
        try:
            connection.attempt(what, request)
        except BadRequestException:
            # "storage namespace already in use" is also the answer while another process is about to make it.
            if not _appears(connection):
                raise


def _appears(connection: LakeFSConnection) -> bool:
    """Whether the repository is there, now or soon."""
    for number in range(connection.attempts):
        time.sleep(connection.pause_s * 2**number)
        with suppress(NotPublishedError):
            _found(connection)
            return True
    return False
