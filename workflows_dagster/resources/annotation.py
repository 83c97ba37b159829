"""Where people annotate, as a Dagster resource: one class for each kind of desk, under one key."""

from abc import ABC, abstractmethod
from pathlib import Path

import dagster as dg
from pydantic import Field

from workflows_dagster.lib.annotation.argilla.desk import ArgillaDesk
from workflows_dagster.lib.annotation.argilla.server import ArgillaServer
from workflows_dagster.lib.annotation.desk import AnnotationDesk
from workflows_dagster.lib.annotation.file_desk import FileDesk


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


class ArgillaAnnotation(AnnotationResource):
    """The desk on an Argilla server."""

    url: str = Field(description="Address of the server.")
    api_key: str = Field(repr=False, description="Key; pass a dg.EnvVar, so that the UI shows its name only.")
    workspace: str = Field(description="Workspace that rounds are put into.")
    create: bool = Field(default=False, description="Whether a missing workspace is made.")
    timeout_s: float = Field(default=60.0, gt=0, description="Longest wait for one answer of the server.")

    def desk(self) -> ArgillaDesk:
        """The desk itself."""
        return ArgillaDesk(self.server())

    def server(self) -> ArgillaServer:
        """Where it is and how it is asked."""
        # Dagster resolves the field within runs, and leaves it to the caller outside of them.
        key = self.api_key.get_value() or "" if isinstance(self.api_key, dg.EnvVar) else self.api_key
        return ArgillaServer(self.url, key, self.workspace, create=self.create, timeout_s=self.timeout_s)
