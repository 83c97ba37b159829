"""What an asset's folder and its findings look like in the Dagster UI."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from workflows_dagster.lib.artifact import Markdown, Report
from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.cleaning.clean import mask_texts
from workflows_dagster.lib.parquet import read_batches
from workflows_dagster.lib.schema import description_of
from workflows_dagster.lib.store.version import FileStat

MOST_FILES = 100
"""Files that metadata names; the version's own record names all."""

SAMPLE_CHARACTERS: Final = 200
"""Characters of a text that a sample shows: ten rows stay below 10 kB in the row of their event."""

NOT_SAMPLED: Final = frozenset({"batch", "group_key", "annotators"})
"""Columns that say nothing to a reader, or name people."""

MOST_INLINE: Final = 6
"""Counts that are shown in one line; more of them are a table."""


def report_metadata(report: Report) -> dict[str, dg.MetadataValue]:
    """A report's metadata as Dagster shows it; floats to four significant digits."""
    return {key: _metadata_value(value) for key, value in report.to_metadata().items()}


def table_metadata(table: Path, sample_rows: int) -> dict[str, dg.MetadataValue]:
    """Row count and columns of a Parquet file, and its first rows with personal data masked."""
    file = pq.ParquetFile(table)
    columns = [
        dg.TableColumn(
            field.name,
            str(field.type),
            description=description_of(field),
            constraints=dg.TableColumnConstraints(nullable=field.nullable),
        )
        for field in file.schema_arrow
    ]
    found: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(file.metadata.num_rows),
        "dagster/column_schema": dg.MetadataValue.table_schema(dg.TableSchema(columns)),
    }
    return found | ({"table/sample": _sample(file, sample_rows)} if sample_rows else {})


def _sample(file: pq.ParquetFile, rows: int) -> dg.MetadataValue:
    shown = [field for field in file.schema_arrow if field.name not in NOT_SAMPLED]
    batches = islice(read_batches(file, [field.name for field in shown], rows), 1)
    frame = pl.DataFrame(pa.Table.from_batches(batches, pa.schema(shown)))
    # Also what is not called a text may hold a name or an address; ids have to stay what they are.
    frame = frame.with_columns(
        mask_texts(frame[name]) for name in frame.select(pl.col(pl.String)).columns if name != "review_id"
    )
    records = [{name: _cell(value) for name, value in row.items()} for row in frame.iter_rows(named=True)]
    return _table(records, {field.name: str(field.type) for field in shown})


def _cell(value: Any) -> str | int | float | bool | None:
    match value:
        case str():
            return value if len(value) <= SAMPLE_CHARACTERS else value[: SAMPLE_CHARACTERS - 1] + "…"
        case float():
            return _rounded(value)
        case list():
            return ", ".join(str(_cell(one)) for one in value)  # pyright: ignore[reportUnknownVariableType]
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case _:
            return value


def _table(records: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> dg.MetadataValue:
    schema = dg.TableSchema([dg.TableColumn(name, type_) for name, type_ in columns.items()])
    full = [dg.TableRecord({name: record.get(name) for name in columns}) for record in records]
    return dg.MetadataValue.table(full, schema=schema)


def check_result(asset: dg.AssetKey, audit: Audit, verdict: Verdict) -> dg.AssetCheckResult:
    """The outcome of an audit as the result of an asset check."""
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=audit.name,
        passed=verdict.passed,
        severity=dg.AssetCheckSeverity.ERROR if audit.blocking else dg.AssetCheckSeverity.WARN,
        description=verdict.description,
        metadata={key: _metadata_value(value) for key, value in verdict.metadata.items()},
    )


def link_metadata(link: str) -> dg.MetadataValue:
    """A link to click on, or the command that shows the same where there is no web page."""
    is_page = link.startswith(("http://", "https://"))
    return dg.MetadataValue.url(link) if is_page else dg.MetadataValue.text(link)


def files_metadata(files: Mapping[str, FileStat]) -> dg.MetadataValue:
    """The files of a version as a table, the largest first where they are too many to show."""
    largest = sorted(files, key=lambda name: -files[name].size_bytes)[:MOST_FILES]
    shown = files if len(largest) == len(files) else largest
    records = [{"name": name, "size_bytes": files[name].size_bytes, "sha256": files[name].sha256} for name in shown]
    return _table(records, {"name": "string", "size_bytes": "int", "sha256": "string"})


def mapping_metadata(values: Mapping[str, Any]) -> dg.MetadataValue:
    """A mapping in one line where it is short, else as a table; a mapping of mappings is a table with their keys."""
    if not values:
        return dg.MetadataValue.text("none")
    inner = [value for value in values.values() if isinstance(value, Mapping)]
    if len(inner) == len(values):
        columns = dict.fromkeys(("name", *(key for one in inner for key in one)), "any")
        return _table(({"name": name, **_cells(one)} for name, one in values.items()), columns)
    shown = _cells(values)
    if len(shown) <= MOST_INLINE and all(isinstance(value, int | float) for value in shown.values()):
        return dg.MetadataValue.text(", ".join(f"{name} {value:,}" for name, value in shown.items()))
    return _table(({"name": name, "value": value} for name, value in shown.items()), {"name": "string", "value": "any"})


def _cells(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: mapping_metadata(value).value if isinstance(value, Mapping) else _cell(value)
        for key, value in values.items()
    }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _metadata_value(value: object) -> dg.MetadataValue:
    match value:
        case Markdown(text):
            return dg.MetadataValue.md(text)
        case bool():
            return dg.MetadataValue.bool(value)
        case float():
            return dg.MetadataValue.float(_rounded(value))
        case int():
            return dg.MetadataValue.int(value)
        case str():
            return dg.MetadataValue.text(value)
        case dict():
            return mapping_metadata(value)  # pyright: ignore[reportUnknownArgumentType]
        case list() | tuple():
            return dg.MetadataValue.text("; ".join(map(str, value)) or "none")  # pyright: ignore[reportUnknownArgumentType]
        case _:
            raise TypeError(
                f"metadata of type {type(value).__name__}: expected str, int, float, bool, dict, list, Markdown"
            )
