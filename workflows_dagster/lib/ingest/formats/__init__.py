"""Formats of source files. Each module holds one, its options and its reader; a new one is a module and a name here."""

from collections.abc import Mapping
from typing import Annotated, Final, get_args

from pydantic import Field

from workflows_dagster.lib.ingest.formats.delimited import CsvSource, TsvSource
from workflows_dagster.lib.ingest.formats.json_document import JsonSource
from workflows_dagster.lib.ingest.formats.jsonl import JsonlSource
from workflows_dagster.lib.ingest.formats.parquet import ParquetSource
from workflows_dagster.lib.ingest.formats.workbook import WorkbookSource
from workflows_dagster.lib.ingest.source import Source

AnySource = Annotated[
    CsvSource | TsvSource | JsonlSource | ParquetSource | JsonSource | WorkbookSource,
    Field(discriminator="format"),
]
"""A source in one of the formats; its field `format` tells which."""

FORMATS: Final[Mapping[str, type[Source]]] = {
    name: kind for kind in get_args(get_args(AnySource)[0]) for name in get_args(kind.model_fields["format"].annotation)
}
"""The class of each format's sources."""
