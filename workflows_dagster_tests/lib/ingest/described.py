"""A source as the tests describe it: the least that sources.yaml must say, and what the test adds."""

from typing import Any

from workflows_dagster.lib.ingest.catalog import Catalog
from workflows_dagster.lib.ingest.source import Source


def source(**fields: Any) -> Source:
    """The source called shop, of csv files with the columns id and text unless told otherwise."""
    least = {"name": "shop", "location": "/shop", "format": "csv", "columns": {"id": "id", "text": "text"}}
    return Catalog.model_validate({"sources": [least | fields]}).sources[0]
