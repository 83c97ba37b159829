"""Where people annotate, as a Dagster resource: one key, one class for each kind of desk."""

from abc import ABC, abstractmethod
from pathlib import Path

import dagster as dg
from pydantic import Field

from workflows_dagster.lib.annotation.desk import AnnotationDesk
from workflows_dagster.lib.annotation.files import FileDesk


class AnnotationResource(dg.ConfigurableResource[AnnotationDesk], ABC):
    """The desk in use; which one is configuration."""

    @abstractmethod
    def desk(self) -> AnnotationDesk:
        """The desk itself."""


class FileAnnotation(AnnotationResource):
    """The desk without a server: CSV forms in a folder that people fill in."""

    root: str = Field(description="Folder of the rounds; each gets a folder of its own in it.")

    def desk(self) -> FileDesk:
        """The desk itself."""
        return FileDesk(Path(self.root))
