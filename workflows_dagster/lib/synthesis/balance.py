"""What is rare in the training rows, and how many rows to make of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.apportionment import apportion
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import NotEnoughDataError

BALANCE_FILE: Final = "balance.json"


class BalanceSettings(BaseModel):
    """How far rare classes are filled up."""

    model_config = ConfigDict(frozen=True)

    target_ratio: float = Field(
        default=0.5, ge=0, le=1, description="Size that a class is filled up to, as part of the largest class."
    )
    max_synthetic_ratio: float = Field(
        default=0.5, ge=0, le=5, description="Most synthetic rows of a class, as part of its real rows."
    )
    max_rows: int = Field(default=6_000, ge=0, description="Most synthetic rows in all.")
    min_parents: int = Field(
        default=30, ge=6, description="Real rows that a class of a source needs before rows are made from it."
    )


@dataclass(frozen=True)
class Cell:
    """One class of one source.

    Attributes:
        label: The class.
        source: The source.
        real: Real training rows.
        make: Synthetic rows to make.
    """

    label: str
    source: str
    real: int
    make: int


@dataclass(frozen=True)
class Balance:
    """The classes of the training rows, and what to make.

    Attributes:
        real: Real training rows by class.
        target: Rows that each class should have; never below what it has.
        cells: What to make, by class and source.
    """

    real: Mapping[str, int]
    target: Mapping[str, int]
    cells: tuple[Cell, ...]

    def to_metadata(self) -> dict[str, object]:
        """The balance as flat metadata."""
        return {
            "synthesis/real_rows_by_label": dict(self.real),
            "synthesis/target_rows_by_label": dict(self.target),
            "synthesis/wanted_rows_by_label": {
                label: sum(cell.make for cell in self.cells if cell.label == label) for label in self.real
            },
            "synthesis/wanted_rows": sum(cell.make for cell in self.cells),
        }


def build_class_balance(training: Artifact, settings: BalanceSettings, folder: Path) -> Balance:
    """Counts the training rows and writes balance.json.

    Raises:
        NotEnoughDataError: There is no labelled training row.
    """
    train = training.scan().filter(pl.col("split") == "train", pl.col("label").is_not_null())
    counts = train.group_by("label", "source").len().sort("label", "source").collect()
    if counts.is_empty():
        raise NotEnoughDataError(
            "no class can be balanced",
            given=f"{training.asset} without a labelled row in train",
            expected="labelled rows in the train split",
            remedy="check the label mapping of sources.yaml",
        )
    balance = plan({(label, source): rows for label, source, rows in counts.iter_rows()}, settings)
    (folder / BALANCE_FILE).write_text(json.dumps(asdict(balance), indent=2, sort_keys=True) + "\n", "utf-8")
    return balance


def plan(counts: Mapping[tuple[str, str], int], settings: BalanceSettings) -> Balance:
    """What to make, in proportion to what each source has of the class.

    Args:
        counts: Real training rows by (label, source).
        settings: Target and bounds.
    """
    real: dict[str, int] = {}
    for (label, _), rows in counts.items():
        real[label] = real.get(label, 0) + rows
    goal = int(max(real.values()) * settings.target_ratio)
    wanted = {label: min(max(goal - rows, 0), int(rows * settings.max_synthetic_ratio)) for label, rows in real.items()}
    bounded = apportion(wanted, min(sum(wanted.values()), settings.max_rows))
    made: dict[tuple[str, str], int] = {}
    for label, rows in bounded.items():
        sources = {key: n for key, n in counts.items() if key[0] == label and n >= settings.min_parents}
        made |= apportion(sources, rows)
    cells = tuple(Cell(*key, real=rows, make=made.get(key, 0)) for key, rows in sorted(counts.items()))
    return Balance(real, {label: max(goal, rows) for label, rows in real.items()}, cells)


def read_cells(balance: Artifact) -> list[Cell]:
    """What to make, as balance.json says."""
    record = json.loads(balance.file(BALANCE_FILE).read_text("utf-8"))
    return [Cell(**cell) for cell in record["cells"]]
