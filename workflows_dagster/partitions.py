"""How assets are cut: by batch of source files, and by export technique."""

from typing import Final

import dagster as dg

from workflows_dagster.lib.export.registry import REGISTRY

BATCHES: Final = dg.DynamicPartitionsDefinition(name="batch")
"""One partition for each batch of files of one source; keys are `<source>-<digest of the manifest>`."""

TECHNIQUES: Final = dg.StaticPartitionsDefinition(list(REGISTRY))
"""The compression techniques that a merged model is exported with."""
