"""Generators of synthetic texts as Dagster resources: one key, one class for each kind of generator."""

from abc import ABC, abstractmethod

import dagster as dg
from pydantic import Field

from workflows_dagster.lib.synthesis.generation import TextGenerator
from workflows_dagster.lib.synthesis.recombination import RecombinationGenerator


class GeneratorResource(dg.ConfigurableResource[TextGenerator], ABC):
    """A generator of synthetic texts; the registry says which one is used."""

    @abstractmethod
    def generator(self) -> TextGenerator:
        """The generator itself."""


class RecombinationResource(GeneratorResource):
    """The generator that needs no model: it recombines sentences of training rows. A stand-in, labelled as such."""

    attempts: int = Field(default=12, ge=1, le=1000, description="Tries for one text that differs from all others.")

    def generator(self) -> RecombinationGenerator:
        """The generator itself."""
        return RecombinationGenerator(self.attempts)
