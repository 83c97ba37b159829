"""What an asset's folder and its findings look like in the Dagster UI."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq

from workflows_dagster.lib.artifact import Markdown, Report
from workflows_dagster.lib.audit import Audit, Verdict
from workflows_dagster.lib.store.version import FileStat

MOST_FILES = 100
"""Files that metadata names; the version's own record names all."""

FILES = dg.TableSchema(
    [dg.TableColumn("name", "string"), dg.TableColumn("size_bytes", "int"), dg.TableColumn("sha256", "string")]
)

MAIN_TABLE = "reviews.parquet"
"""The table whose rows and columns are an asset's own."""


def report_metadata(report: Report) -> dict[str, dg.MetadataValue]:
    """A report's metadata as Dagster shows it; floats to six significant digits."""
    return {key: _metadata_value(value) for key, value in report.to_metadata().items()}


def table_metadata(folder: Path) -> dict[str, dg.MetadataValue]:
    """Row count and columns of the main table, where the output is one."""
    table = folder / MAIN_TABLE
    if not table.exists():
        return {}
    file = pq.ParquetFile(table)
    columns = [
        dg.TableColumn(field.name, str(field.type), constraints=dg.TableColumnConstraints(nullable=field.nullable))
        for field in file.schema_arrow
    ]
    return {
        "dagster/row_count": dg.MetadataValue.int(file.metadata.num_rows),
        "dagster/column_schema": dg.MetadataValue.table_schema(dg.TableSchema(columns)),
    }


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
    records = [
        dg.TableRecord({"name": name, "size_bytes": files[name].size_bytes, "sha256": files[name].sha256})
        for name in (files if len(largest) == len(files) else largest)
    ]
    return dg.MetadataValue.table(records, schema=FILES)


def _metadata_value(value: object) -> dg.MetadataValue:
    match value:
        case Markdown(text):
            return dg.MetadataValue.md(text)
        case bool():
            return dg.MetadataValue.bool(value)
        case float():
            return dg.MetadataValue.float(float(f"{value:.6g}"))
        case int():
            return dg.MetadataValue.int(value)
        case str():
            return dg.MetadataValue.text(value)
        case dict() | list() | tuple():
            return dg.MetadataValue.json(list(value) if isinstance(value, tuple) else value)  # pyright: ignore[reportUnknownArgumentType]
        case _:
            raise TypeError(
                f"metadata of type {type(value).__name__}: expected str, int, float, bool, dict, list, Markdown"
            )
