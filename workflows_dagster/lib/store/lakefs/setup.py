"""The default branch of a lakeFS repository, which is made where it is missing and may be made."""

from contextlib import suppress
from functools import partial

from tenacity import RetryError, retry_if_exception_type

from workflows_dagster.lib.errors import ConfigurationError, NotPublishedError
from workflows_dagster.lib.store.lakefs.connection import LakeFSConnection
from workflows_dagster.lib.store.lakefs.errors import BadRequestError


def default_branch(connection: LakeFSConnection, *, create: bool, storage_namespace: str | None) -> str:
    """Name of the default branch of the repository, once there is one.

    Args:
        connection: To the repository.
        create: Whether a missing repository is made.
        storage_namespace: Where a new repository keeps its objects.

    Raises:
        NotPublishedError: The repository is missing and must not be made.
        ConfigurationError: It has to be made, and no storage namespace is given.
    """
    from lakefs import Repository

    with suppress(NotPublishedError):
        return _found(connection)
    if not create:
        raise NotPublishedError(
            f"there is no repository {connection.repository} at {connection.address}",
            given=connection.repository,
            expected="a repository that exists, or permission to make it",
            remedy="make it in lakeFS, or set WORKFLOWS_DAGSTER_LAKEFS_CREATE=true",
        )
    if not storage_namespace:
        raise ConfigurationError(
            f"the lakeFS repository {connection.repository} has to be made, and no storage namespace is given",
            given=storage_namespace,
            expected="a place for its objects, as s3://bucket/folder",
            remedy="set WORKFLOWS_DAGSTER_LAKEFS_STORAGE_NAMESPACE",
        )
    what = f"make the repository {connection.repository}"
    repository = Repository(connection.repository, connection.client)
    try:
        # exist_ok, as several processes may find it missing at the same time.
        connection.call(what, partial(repository.create, storage_namespace, default_branch="main", exist_ok=True))
    except BadRequestError as error:
        # "storage namespace already in use" is also the answer while another process makes the repository.
        try:
            return connection.retrying(retry_if_exception_type(NotPublishedError), what)(_found, connection)
        except RetryError:
            raise error from None
    return _found(connection)


def _found(connection: LakeFSConnection) -> str:
    request = partial(connection.sdk.repositories_api.get_repository, connection.repository)
    return str(connection.call(f"find the repository {connection.repository}", request).default_branch)
