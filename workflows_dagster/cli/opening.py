"""How commands open the settings and the store."""

from workflows_dagster.cli.screen import refusing
from workflows_dagster.lib.store.versioned import VersionedStore
from workflows_dagster.resources.registry import build_store
from workflows_dagster.resources.store import StoreResource
from workflows_dagster.settings import Settings, load_settings


def open_settings() -> Settings:
    """The settings of this process; ends the command where they cannot be used."""
    with refusing():
        return load_settings()


def open_store(settings: Settings | None = None) -> VersionedStore:
    """The store of a deployment; by default of this process's settings. Errors as `open_store_resource`."""
    return open_store_resource(settings or open_settings()).store()


def open_store_resource(settings: Settings) -> StoreResource:
    """The store of a deployment as the resource that Dagster's steps use.

    Raises:
        ConfigurationError: Settings that it needs are missing.
    """
    # Initialized as Dagster would: fields that name an environment variable get its value.
    resource: object = build_store(settings).process_config_and_initialize()
    if not isinstance(resource, StoreResource):
        raise TypeError(f"{type(resource).__name__}: expected the resource of a store")
    return resource
