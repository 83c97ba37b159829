"""What one asset published: a read-only folder at one commit, and how its tables are written.

A process that serves a model imports this module: the libraries of tables are loaded where one is read or written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from workflows_dagster.lib.errors import DataContractError, NotPublishedError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

REPORT_FILE = "report.json"


@dataclass(frozen=True)
class Artifact:
    """One published version of an asset, or of one partition of it.

    Attributes:
        asset: Name of the asset.
        partition: Its partition key, or None.
        commit: Commit of the store that published it.
        digest: Digest of its content; the data version.
        folder: Local folder that holds its files. Read-only: other readers share it.
    """

    asset: str
    partition: str | None
    commit: str
    digest: str
    folder: Path

    def file(self, name: str) -> Path:
        """Path of one of its files.

        Raises:
            NotPublishedError: The artifact holds no such file.
        """
        path = self.folder / name
        if not path.exists():
            held = ", ".join(sorted(entry.name for entry in self.folder.iterdir())) or "nothing"
            raise NotPublishedError(
                f"{self.asset} holds no file of that name",
                given=name,
                expected=f"one of: {held}",
                remedy=f"materialize {self.asset} again with this version of the code",
            )
        return path

    def scan(self, name: str = "reviews.parquet") -> "pl.LazyFrame":
        """Lazy frame over one of its Parquet files."""
        import polars as pl

        return pl.scan_parquet(self.file(name), glob=False)


class Report(Protocol):
    """What a step returns: its record, or what it found beside it, as flat metadata."""

    def to_metadata(self) -> Mapping[str, object]:
        """Metadata by key `<stage>/<quantity>_<unit>`; values are str, int, float, bool, dict, list or Markdown."""
        ...


@dataclass(frozen=True)
class Markdown:
    """A metadata value that is shown rendered; may hold an inline picture under 100 kB."""

    text: str


def write_table(path: Path, frame: "pl.DataFrame", schema: "pa.Schema") -> None:
    """Writes a frame as Parquet with exactly this schema: columns selected, ordered and cast.

    Raises:
        DataContractError: A column is missing, or a value does not fit its type.
    """
    import pyarrow.parquet as pq

    missing = [name for name in schema.names if name not in frame.columns]
    if missing:
        raise DataContractError(
            f"{path.name} lacks columns",
            given=frame.columns,
            expected=f"the columns {schema.names}",
            remedy=f"add {missing} where the table is made",
        )
    pq.write_table(conform(frame.select(schema.names).to_arrow(), schema), path, compression="zstd")


def conform(table: "pa.Table", schema: "pa.Schema") -> "pa.Table":
    """The table cast to the schema, nullability included.

    Raises:
        DataContractError: A value does not fit its column.
    """
    import pyarrow as pa

    for field in schema:
        if not field.nullable and table.column(field.name).null_count:
            raise DataContractError(
                f"column {field.name} must not be null",
                given=f"{table.column(field.name).null_count} nulls in {table.num_rows} rows",
                expected="a value in every row",
                remedy="reject such rows with a reason in the stage that makes the table",
            )
    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataContractError(
            "table does not fit its schema",
            given=str(error),
            expected=str(schema),
            remedy="cast the column in the stage that makes the table",
        ) from error
