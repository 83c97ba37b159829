"""What an asset's folder and its findings look like in the Dagster UI."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import dagster as dg
import polars as pl
import pyarrow.parquet as pq

from workflows_dagster.lib.artifact import Markdown, Report
from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.cleaning.clean import mask_texts
from workflows_dagster.lib.schema import description_of
from workflows_dagster.lib.store.version import FileStat

MOST_ROWS: Final = 50
"""Rows of a table in metadata; the record of the version holds all."""

SAMPLE_CHARACTERS: Final = 200
"""Characters of a text that a sample shows: ten rows stay below 10 kB in the row of their event."""

SAMPLED: Final = ("text", "label", "stars", "language", "split", "resolution", "votes", "agreeing", "review_id")
"""Columns of a sample, most telling first."""

MOST_COLUMNS: Final = 4
"""Columns that the page has room for."""

LONGEST_LINE: Final = 120
"""Characters that two lines of the page have room for; a longer mapping is a table."""


def report_metadata(report: Report) -> dict[str, dg.MetadataValue]:
    """A report's metadata as Dagster shows it; floats to four significant digits."""
    return {key: _metadata_value(value) for key, value in report.to_metadata().items()}


def table_metadata(table: Path, sample_rows: int) -> dict[str, dg.MetadataValue]:
    """Row count and columns of a Parquet file, and its first rows with personal data masked."""
    file = pq.ParquetFile(table)
    fields = {field.name: field for field in file.schema_arrow}
    columns = [
        dg.TableColumn(
            name,
            str(field.type),
            description=description_of(field),
            constraints=dg.TableColumnConstraints(nullable=field.nullable),
        )
        for name, field in fields.items()
    ]
    found: dict[str, dg.MetadataValue] = {
        "dagster/row_count": dg.MetadataValue.int(file.metadata.num_rows),
        "dagster/column_schema": dg.MetadataValue.table_schema(dg.TableSchema(columns)),
    }
    if not sample_rows:
        return found
    shown = [name for name in SAMPLED if name in fields][:MOST_COLUMNS]
    sample = pl.scan_parquet(table, glob=False).select(shown).head(sample_rows).collect()
    if "text" in shown:
        sample = sample.with_columns(mask_texts(sample["text"]).alias("text"))
    records = list(sample.iter_rows(named=True))
    return found | {"table/sample": _table(records, {name: str(fields[name].type) for name in shown})}


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
    names = list(files) if len(files) <= MOST_ROWS else sorted(files, key=lambda name: -files[name].size_bytes)
    records = [{"name": name, "size_bytes": files[name].size_bytes} for name in names]
    return _table(records, {"name": "string", "size_bytes": "int"})


def commits_metadata(commits: Mapping[str, str]) -> dg.MetadataValue:
    """Commits by published path as a table, each by its beginning: the version's own record holds all of it."""
    records = [{"path": path, "commit": commit[:12]} for path, commit in commits.items()]
    return _table(records, {"path": "string", "commit": "string"})


def _mapping(values: Mapping[str, Any]) -> dg.MetadataValue:
    """A mapping in one line where it is short, else as a table; a mapping of mappings is a table with their keys."""
    inner = [value for value in values.values() if isinstance(value, Mapping)]
    if values and len(inner) == len(values):
        columns = {name: "any" for name in ("name", *(str(key) for one in inner for key in one))}
        return _table([{"name": name, **one} for name, one in values.items()], columns)
    if len(line := _cell(values)) <= LONGEST_LINE:
        return dg.MetadataValue.text(line)
    return _table(
        [{"name": name, "value": value} for name, value in values.items()], {"name": "string", "value": "any"}
    )


def _cell(value: Any) -> Any:
    match value:
        case Mapping():
            return ", ".join(f"{name} {_written(one)}" for name, one in value.items()) or "none"  # pyright: ignore[reportUnknownVariableType]
        case str() if len(value) > SAMPLE_CHARACTERS:
            return value[: SAMPLE_CHARACTERS - 1] + "…"
        case float():
            return _rounded(value)
        case _:
            return value


def _written(value: object) -> str:
    return f"{_cell(value):,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _table(records: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> dg.MetadataValue:
    """A table of at most MOST_ROWS rows; the last one says how many more there are."""
    shown = [{name: _cell(record.get(name)) for name in columns} for record in records[:MOST_ROWS]]
    if more := len(records) - len(shown):
        shown.append(dict.fromkeys(columns) | {next(iter(columns)): f"and {more:,} more"})
    schema = dg.TableSchema([dg.TableColumn(name, type_) for name, type_ in columns.items()])
    return dg.MetadataValue.table([dg.TableRecord(record) for record in shown], schema=schema)


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
            return _mapping(value)  # pyright: ignore[reportUnknownArgumentType]
        case list() | tuple():
            return dg.MetadataValue.text("; ".join(str(one).rstrip(".") for one in value) or "none")  # pyright: ignore[reportUnknownArgumentType]
        case _:
            raise TypeError(
                f"metadata of type {type(value).__name__}: expected str, int, float, bool, dict, list, Markdown"
            )
