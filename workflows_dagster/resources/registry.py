"""Every resource key, and what stands behind it in this deployment: the one place where environments differ."""

from typing import Final

from dagster import ConfigurableResource, EnvVar

from workflows_dagster.io_managers.published import PublishedIOManager
from workflows_dagster.resources.accelerator import AcceleratorResource
from workflows_dagster.resources.annotation import FileAnnotation
from workflows_dagster.resources.checkpoints import CheckpointsResource
from workflows_dagster.resources.generator import RecombinationResource
from workflows_dagster.resources.retention import RetentionResource
from workflows_dagster.resources.sources import SourcesResource
from workflows_dagster.resources.store import EmbeddedStore, StoreResource
from workflows_dagster.resources.webhook import WebhookResource
from workflows_dagster.settings import Settings

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
        "annotation_desk": FileAnnotation(root=str(settings.annotation)),
        "text_generator": RecombinationResource(),
        "accelerator": AcceleratorResource(device=settings.device, threads=settings.threads),
        "checkpoints": CheckpointsResource(root=str(settings.checkpoints)),
        "webhook": _webhook(settings),
    }


def build_store(settings: Settings) -> StoreResource:
    """The store that the settings name."""
    return EmbeddedStore(home=str(settings.home.absolute()), base_branch=settings.base_branch, ui_url=settings.ui_url)


def _webhook(settings: Settings) -> ConfigurableResource[WebhookResource]:
    if settings.alert_webhook_url is None:
        return WebhookResource(ui_url=settings.ui_url)
    # By name: the UI shows the configuration of resources, and this URL is a secret.
    return WebhookResource(url=EnvVar("WORKFLOWS_DAGSTER_ALERT_WEBHOOK_URL"), ui_url=settings.ui_url)
