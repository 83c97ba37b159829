"""Which classes are rare in the training rows, and how many rows to make of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.apportionment import apportion
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.record import Record


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


class ClassBalance(Record):
    """The classes of the training rows, and what to make.

    Attributes:
        real: Real training rows by class.
        target: Rows that each class should have; never fewer than it has.
        cells: What to make, by class and source.
    """

    FILE: ClassVar[str] = "balance.json"

    real: Mapping[str, int]
    target: Mapping[str, int]
    cells: tuple[Cell, ...]

    @property
    def wanted(self) -> Mapping[str, int]:
        """Rows to make by class."""
        return {label: sum(cell.make for cell in self.cells if cell.label == label) for label in self.real}

    def to_metadata(self) -> Mapping[str, object]:
        """The balance as flat metadata."""
        return {
            "synthesis/wanted_rows": sum(self.wanted.values()),
            "synthesis/rows_by_label": {
                label: {"real": rows, "target": self.target[label], "wanted": self.wanted[label]}
                for label, rows in self.real.items()
            },
        }


def build_class_balance(training: Artifact, settings: BalanceSettings, folder: Path) -> ClassBalance:
    """Counts the training rows and writes the record.

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
    balance.write(folder)
    return balance


def plan(counts: Mapping[tuple[str, str], int], settings: BalanceSettings) -> ClassBalance:
    """How many rows to make of each class, shared out over its sources in proportion to their rows.

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
    make: dict[tuple[str, str], int] = {}
    for label, rows in bounded.items():
        sources = {key: n for key, n in counts.items() if key[0] == label and n >= settings.min_parents}
        make |= apportion(sources, rows)
    return ClassBalance(
        real=real,
        target={label: max(goal, rows) for label, rows in real.items()},
        cells=tuple(Cell(*key, real=rows, make=make.get(key, 0)) for key, rows in sorted(counts.items())),
    )
