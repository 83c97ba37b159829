"""Where checkpoints of unfinished training are kept, as a Dagster resource."""

from pathlib import Path

import dagster as dg
from pydantic import Field


class CheckpointsResource(dg.ConfigurableResource["CheckpointsResource"]):
    """A folder beside the store: what is in it can be resumed from, and is never read as a result."""

    root: str = Field(description="Folder of the checkpoints; one folder below it for each distinct training.")

    @property
    def folder(self) -> Path:
        """The folder as a path."""
        return Path(self.root)
