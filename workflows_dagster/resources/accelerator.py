"""The device that models run on, as a Dagster resource."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

import dagster as dg
from pydantic import Field

from workflows_dagster.lib import accelerator
from workflows_dagster.lib.errors import AcceleratorUnavailableError


class AcceleratorResource(dg.ConfigurableResource["AcceleratorResource"]):
    """Chooses the device, says why, measures its memory and gives it back; never falls back in silence."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Where models run. Anything but auto is an error where it is not there."
    )

    threads: int = Field(default=accelerator.DEFAULT_THREADS, ge=1, description="CPU threads of torch, at most.")

    @contextmanager
    def session(self, context: dg.AssetExecutionContext) -> Generator[accelerator.Session]:
        """The device for the length of one piece of work.

        Raises:
            dg.Failure: The device that was asked for is not there.
        """
        try:
            opened = accelerator.session(self.device, self.threads)
            with opened as session:
                chosen = session.accelerator
                context.log.info("running on %s (%s, %s): %s", chosen.kind, chosen.name, chosen.dtype, chosen.reason)
                yield session
        except AcceleratorUnavailableError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from error
