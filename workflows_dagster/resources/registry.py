"""Every resource key, and what stands behind it in this deployment: the one place where environments differ."""

from typing import Final

from dagster import ConfigurableResource, EnvVar

from workflows_dagster.io_managers.published import PublishedIOManager
from workflows_dagster.lib.errors import ConfigurationError
from workflows_dagster.resources.accelerator import AcceleratorResource
from workflows_dagster.resources.annotation import AnnotationResource, ArgillaAnnotation, FileAnnotation
from workflows_dagster.resources.checkpoints import CheckpointsResource
from workflows_dagster.resources.generator import RecombinationResource
from workflows_dagster.resources.retention import RetentionResource
from workflows_dagster.resources.sources import SourcesResource
from workflows_dagster.resources.store import EmbeddedStore, LakeFSStore, StoreResource
from workflows_dagster.resources.webhook import WebhookResource
from workflows_dagster.settings import Settings
from workflows_dagster.stores import require_lakefs

SOURCES_FILE: Final = "sources.yaml"


def build_resources(settings: Settings) -> dict[str, object]:
    """The resources of a deployment by key.

    Without a sources.yaml of its own, a deployment reads the bundled sample, once that was written.
    """
    store = build_store(settings)
    catalog = settings.sources or settings.sample / SOURCES_FILE
    return {
        "store": store,
        "io_manager": PublishedIOManager(store=store),
        "retention": RetentionResource(
            keep_versions=settings.keep_versions,
            stale_branch_days=settings.stale_branch_days,
            unused_copy_days=settings.unused_copy_days,
        ),
        "sources": SourcesResource(path=str(catalog.absolute()), manifests=str(settings.manifests)),
        "annotation_desk": _annotation_desk(settings),
        "text_generator": RecombinationResource(),
        "accelerator": AcceleratorResource(device=settings.device, threads=settings.threads),
        "checkpoints": CheckpointsResource(root=str(settings.checkpoints)),
        "webhook": _webhook(settings),
    }


def build_store(settings: Settings) -> StoreResource:
    """The store that the settings name; the home folder that it keeps its files in is made private.

    Raises:
        ConfigurationError: It is lakeFS, and settings that it needs are missing; they are named.
    """
    home, base, ui_url = str(settings.home.absolute()), settings.base_branch, settings.ui_url
    if settings.store == "embedded":
        return EmbeddedStore(home=home, base_branch=base, ui_url=ui_url, sample_rows=settings.sample_rows)
    endpoint, name = require_lakefs(settings)
    return LakeFSStore(
        home=home,
        base_branch=base,
        ui_url=ui_url,
        sample_rows=settings.sample_rows,
        endpoint=endpoint,
        # By name: the UI shows the configuration of resources, and these are secrets.
        access_key_id=EnvVar("LAKEFS_ACCESS_KEY_ID"),
        secret_access_key=EnvVar("LAKEFS_SECRET_ACCESS_KEY"),
        repository_name=name,
        storage_namespace=settings.lakefs_storage_namespace,
        create=settings.lakefs_create,
    )


def _annotation_desk(settings: Settings) -> AnnotationResource:
    """The desk that the settings name.

    Raises:
        ConfigurationError: It is Argilla, and its address or key is missing.
    """
    if settings.annotation == "files":
        return FileAnnotation(root=str(settings.annotation_forms))
    needed = {"ARGILLA_API_URL": settings.argilla_api_url, "ARGILLA_API_KEY": settings.argilla_api_key}
    missing = [name for name, value in needed.items() if not value]
    if settings.argilla_api_url is None or missing:
        raise ConfigurationError(
            "people annotate in Argilla, and settings that it needs are missing",
            given=f"nothing in {', '.join(missing)}",
            expected="the address of an Argilla server and the key of one of its users",
            remedy="set them in the environment or in .env (workflows-dagster argilla starts a local server and shows "
            "where its key is), or set WORKFLOWS_DAGSTER_ANNOTATION=files",
        )
    return ArgillaAnnotation(
        url=settings.argilla_api_url,
        # By name: the UI shows the configuration of resources, and this is a secret.
        api_key=EnvVar("ARGILLA_API_KEY"),
        workspace=settings.argilla_workspace,
        create=settings.argilla_create,
    )


def _webhook(settings: Settings) -> ConfigurableResource[WebhookResource]:
    if settings.alert_webhook_url is None:
        return WebhookResource(ui_url=settings.ui_url)
    # By name: the UI shows the configuration of resources, and this URL is a secret.
    return WebhookResource(url=EnvVar("WORKFLOWS_DAGSTER_ALERT_WEBHOOK_URL"), ui_url=settings.ui_url)
