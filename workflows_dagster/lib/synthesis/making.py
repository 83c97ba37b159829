"""Has the rows made that class_balance asks for, from training rows alone."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.apportionment import apportion
from workflows_dagster.lib.artifact import Artifact, write_report, write_table
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.schema import SYNTHETIC_REVIEW
from workflows_dagster.lib.synthesis.balance import Cell, read_cells
from workflows_dagster.lib.synthesis.folds import with_folds
from workflows_dagster.lib.synthesis.generator import (
    Generation,
    GenerationRequest,
    Parent,
    TextGenerator,
    check_generations,
)

SYNTHETIC_FILE: Final = "synthetic.parquet"


class SyntheticSettings(BaseModel):
    """How synthetic rows are made."""

    model_config = ConfigDict(frozen=True)

    seed: int = Field(default=20, ge=0, description="Decides every random choice of the generator.")
    max_parents: int = Field(
        default=2_000, ge=10, le=50_000, description="Most real rows that a class of a source is made from."
    )


@dataclass(frozen=True)
class SyntheticReport:
    """What was made.

    Attributes:
        generator: Name of the generator.
        stand_in: Whether it stands in for a language model.
        rows: Rows made, by `label/source`.
        parents: Real rows that were used.
        refused: What the generator could not make, and why.
        examples: Some of the texts.
    """

    generator: str
    stand_in: bool
    rows: Mapping[str, int]
    parents: int
    refused: Sequence[str]
    examples: Sequence[str]

    def to_metadata(self) -> dict[str, object]:
        """What was made, as flat metadata."""
        return {
            "dagster/row_count": sum(self.rows.values()),
            "synthesis/generator": self.generator,
            "synthesis/generator_is_stand_in": self.stand_in,
            "synthesis/rows_by_stratum": dict(self.rows),
            "synthesis/parents_rows": self.parents,
            "synthesis/refused": list(self.refused),
            "synthesis/examples": list(self.examples),
        }


def build_synthetic_reviews(
    balance: Artifact, training: Artifact, generator: TextGenerator, settings: SyntheticSettings, folder: Path
) -> SyntheticReport:
    """Writes synthetic.parquet and the report.

    Raises:
        GenerationError: The generator did not make what it had agreed to make.
    """
    asked = [request for cell in read_cells(balance) for request in _requests(cell, training, settings)]
    judged = [(request, generator.refusal(request)) for request in asked]
    requests = [request for request, refusal in judged if refusal is None]
    generations = generator.generate(requests)
    check_generations(requests, generations)
    rows = pl.DataFrame(
        [_row(generation, generator.name) for generation in generations], schema=pl.Schema(_empty().schema)
    )
    # Two equal texts of equal parents are one row; validation never sees a repeated id.
    rows = rows.unique("review_id", keep="first").sort("review_id")
    write_table(folder / SYNTHETIC_FILE, rows, SYNTHETIC_REVIEW)
    report = SyntheticReport(
        generator=generator.name,
        stand_in=generator.stand_in,
        rows=dict(sorted(Counter(f"{row['label']}/{row['source']}" for row in rows.iter_rows(named=True)).items())),
        parents=rows["parent_ids"].explode(empty_as_null=True).n_unique() if rows.height else 0,
        refused=[f"{request.rows} {request.label} of {request.source}: {why}" for request, why in judged if why],
        examples=rows["text"].head(5).to_list(),
    )
    write_report(
        folder,
        {
            "generator": report.generator,
            "generator_is_stand_in": report.stand_in,
            "rows_wanted": sum(request.rows for request in asked),
            "refused": list(report.refused),
            "rows": rows.height,
            "rows_by_stratum": dict(report.rows),
            "parents": report.parents,
        },
    )
    return report


def _requests(cell: Cell, training: Artifact, settings: SyntheticSettings) -> Iterator[GenerationRequest]:
    """One request for each fold of a class of a source: all parents of a text are of one fold."""
    if not cell.make:
        return
    mine = (pl.col("split") == "train", pl.col("label") == cell.label, pl.col("source") == cell.source)
    rows = training.scan().filter(*mine).select("review_id", "text", "language", "group_key").collect()
    order = pl.Series("order", [digest_text(str(settings.seed), review_id) for review_id in rows["review_id"]])
    pool = with_folds(rows.with_columns(order).sort("order").head(settings.max_parents).drop("order"))
    by_fold = {int(fold): part for (fold,), part in sorted(pool.partition_by("fold", as_dict=True).items())}
    for fold, wanted in apportion({fold: part.height for fold, part in by_fold.items()}, cell.make).items():
        if wanted:
            parents = [Parent(*row) for row in by_fold[fold].select("review_id", "text", "language").iter_rows()]
            seed = int(digest_text(str(settings.seed), str(fold))[:12], 16)
            yield GenerationRequest(cell.label, cell.source, wanted, seed, parents)


def _row(generation: Generation, generator: str) -> dict[str, object]:
    parents = digest_text(*sorted(generation.parent_ids))[:24]
    return {
        "review_id": f"synthetic:{digest_text(generator, generation.label, generation.text, parents)[:24]}",
        "source": generation.source,
        "batch": "synthetic",
        "text": generation.text,
        "stars": None,
        "label": generation.label,
        "label_source": "synthetic",
        "language": generation.language,
        "product_id": None,
        "group_key": f"synthetic:{parents}",
        "created_at": None,
        "split": "train",
        "generator": generator,
        "prompt": generation.prompt,
        "seed": generation.seed,
        "parent_ids": list(generation.parent_ids),
    }


def _empty() -> pl.DataFrame:
    return pl.DataFrame(SYNTHETIC_REVIEW.empty_table())
