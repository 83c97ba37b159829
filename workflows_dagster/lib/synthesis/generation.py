"""Synthetic rows: what a generator is asked for and has to keep to, and how the rows of class_balance are made."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from workflows_dagster.lib.apportionment import apportion
from workflows_dagster.lib.artifact import Artifact, write_table
from workflows_dagster.lib.errors import GenerationError
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.record import Record
from workflows_dagster.lib.schema import SYNTHETIC_REVIEW
from workflows_dagster.lib.synthesis.balance import Cell, ClassBalance
from workflows_dagster.lib.synthesis.judge import with_folds

SYNTHETIC_FILE: Final = "synthetic.parquet"


@dataclass(frozen=True)
class Parent:
    """A real review that texts may be made from or shown as an example.

    Attributes:
        review_id: Its identity.
        text: Its text.
        language: ISO 639, or None where it is not known.
    """

    review_id: str
    text: str
    language: str | None


@dataclass(frozen=True)
class GenerationRequest:
    """A number of texts of one class, in the manner of one source.

    Attributes:
        label: The class that the texts have to express.
        source: The source whose manner they follow.
        rows: How many.
        seed: Decides every random choice.
        parents: Real reviews of this class and source; the only ones a text may rest on.
    """

    label: str
    source: str
    rows: int
    seed: int
    parents: Sequence[Parent]


@dataclass(frozen=True)
class Generation:
    """One generated text.

    Attributes:
        text: The text.
        label: The class that was asked for.
        source: The source that was asked for.
        language: Language of its parents.
        prompt: The recipe or prompt template and its digest.
        seed: The seed of this text alone.
        parent_ids: The reviews it rests on.
    """

    text: str
    label: str
    source: str
    language: str | None
    prompt: str
    seed: int
    parent_ids: tuple[str, ...]


class TextGenerator(Protocol):
    """Writes reviews: exactly as many as it is asked for, or it raises."""

    @property
    def name(self) -> str:
        """Name of the generator and its model, as it is recorded with each row."""
        ...

    @property
    def stand_in(self) -> bool:
        """Whether it stands in for a language model, and has to be labelled as such."""
        ...

    def refusal(self, request: GenerationRequest) -> str | None:
        """Why the parents of a request are not enough to make its texts, or None where they are."""
        ...

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        """The texts, in the order of the requests.

        Raises:
            GenerationError: A request cannot be fulfilled; `refusal` tells beforehand.
        """
        ...


def check_generations(requests: Sequence[GenerationRequest], generations: Sequence[Generation]) -> None:
    """Makes sure that a generator kept its promise.

    Raises:
        GenerationError: The number of texts is not the one asked for, a text is empty, or it rests on a review that
            the generator was not given.
    """
    asked: Counter[tuple[str, str]] = Counter()
    known: dict[tuple[str, str], set[str]] = {}
    for request in requests:
        asked[request.label, request.source] += request.rows
        known.setdefault((request.label, request.source), set()).update(parent.review_id for parent in request.parents)
    made = Counter((generation.label, generation.source) for generation in generations)
    if +asked != made:
        raise GenerationError(
            "the generator made another number of texts than asked",
            given={"/".join(key): rows for key, rows in sorted(made.items())},
            expected=str({"/".join(key): rows for key, rows in sorted((+asked).items())}),
            remedy="report it to the maintainer of the generator; nothing was published",
        )
    for generation in generations:
        unknown = set(generation.parent_ids) - known[generation.label, generation.source]
        if unknown or not generation.parent_ids or not generation.text.strip():
            raise GenerationError(
                "the generator made a text that is empty or has unknown parents",
                given={"text": generation.text[:80], "parent_ids": generation.parent_ids},
                expected="a text that rests on reviews it was given",
                remedy="report it to the maintainer of the generator; nothing was published",
            )


class SyntheticSettings(BaseModel):
    """How synthetic rows are made."""

    model_config = ConfigDict(frozen=True)

    seed: int = Field(default=20, ge=0, description="Decides every random choice of the generator.")
    max_parents: int = Field(
        default=2_000, ge=10, le=50_000, description="Most real rows that a class of a source is made from."
    )


class SyntheticReviews(Record):
    """What was generated.

    Attributes:
        generator: Name of the generator.
        generator_is_stand_in: Whether it stands in for a language model.
        rows_wanted: Rows that class_balance asks for.
        refused: What the generator could not make, and why.
        rows: Rows made.
        rows_by_stratum: Rows made, by `label/source`.
        parents: Real rows that they rest on.
    """

    generator: str
    generator_is_stand_in: bool
    rows_wanted: int
    refused: tuple[str, ...]
    rows: int
    rows_by_stratum: Mapping[str, int]
    parents: int

    def to_metadata(self) -> Mapping[str, object]:
        """What was generated, as flat metadata."""
        return {
            "synthesis/generator": self.generator,
            "synthesis/generator_is_stand_in": self.generator_is_stand_in,
            "synthesis/rows_by_stratum": dict(self.rows_by_stratum),
            "synthesis/parents_rows": self.parents,
            "synthesis/refused": list(self.refused),
        }


def build_synthetic_reviews(
    balance: Artifact, training: Artifact, generator: TextGenerator, settings: SyntheticSettings, folder: Path
) -> SyntheticReviews:
    """Writes synthetic.parquet and the record.

    Raises:
        GenerationError: The generator did not make what it had agreed to make.
    """
    cells = ClassBalance.read(balance.folder).cells
    asked = [request for cell in cells for request in _requests(cell, training, settings)]
    judged = [(request, generator.refusal(request)) for request in asked]
    requests = [request for request, refusal in judged if refusal is None]
    generations = generator.generate(requests)
    check_generations(requests, generations)
    rows = pl.DataFrame(
        [_row(generation, generator.name) for generation in generations],
        schema=pl.DataFrame(SYNTHETIC_REVIEW.empty_table()).schema,
    )
    # Two equal texts of equal parents are one row; validation never sees a repeated id.
    rows = rows.unique("review_id", keep="first").sort("review_id")
    write_table(folder / SYNTHETIC_FILE, rows, SYNTHETIC_REVIEW)
    strata = Counter(f"{label}/{source}" for label, source in rows.select("label", "source").iter_rows())
    record = SyntheticReviews(
        generator=generator.name,
        generator_is_stand_in=generator.stand_in,
        rows_wanted=sum(request.rows for request in asked),
        refused=tuple(f"{request.rows} {request.label} of {request.source}: {why}" for request, why in judged if why),
        rows=rows.height,
        rows_by_stratum=dict(sorted(strata.items())),
        parents=rows["parent_ids"].explode(empty_as_null=True).n_unique() if rows.height else 0,
    )
    record.write(folder)
    return record


def _requests(cell: Cell, training: Artifact, settings: SyntheticSettings) -> Iterator[GenerationRequest]:
    """One request for each fold of a class of a source: all parents of a text are of one fold."""
    if not cell.make:
        return
    of_cell = (pl.col("split") == "train", pl.col("label") == cell.label, pl.col("source") == cell.source)
    rows = training.scan().filter(*of_cell).select("review_id", "text", "language", "group_key").collect()
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
