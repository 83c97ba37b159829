"""What writes synthetic texts, as a Dagster resource: one key, one class for each kind of generator."""

from abc import ABC, abstractmethod

import dagster as dg
from pydantic import Field

from workflows_dagster.lib.synthesis.generator import TextGenerator
from workflows_dagster.lib.synthesis.recombination import RecombinationGenerator


class GeneratorResource(dg.ConfigurableResource[TextGenerator], ABC):
    """The generator in use; which one is configuration."""

    @abstractmethod
    def generator(self) -> TextGenerator:
        """The generator itself."""


class RecombinationResource(GeneratorResource):
    """The generator without a model: recombines sentences of training rows. A stand-in, and labelled as such."""

    attempts: int = Field(default=12, ge=1, le=1000, description="Tries for one text that is like no other.")

    def generator(self) -> RecombinationGenerator:
        """The generator itself."""
        return RecombinationGenerator(self.attempts)
