"""How commands open the settings and the store."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workflows_dagster.lib.store.versioned import VersionedStore
    from workflows_dagster.settings import Settings


def open_settings() -> "Settings":
    """The settings of this process; keys in `.env` reach it, and every process that it starts.

    Raises:
        ConfigurationError: They cannot be used.
    """
    from workflows_dagster.settings import load_settings, take_env_file

    take_env_file()
    return load_settings()


def open_store(settings: "Settings | None" = None) -> "VersionedStore":
    """The store of a deployment; by default of this process's settings.

    Raises:
        ConfigurationError: Settings that it needs are missing.
    """
    from workflows_dagster import stores

    return stores.open_store(settings or open_settings())
