"""The port to what writes synthetic texts: asked for so many, it gives exactly as many, or raises."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from workflows_dagster.lib.errors import GenerationError


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
    """So many texts of one class, in the manner of one source.

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
    """One text that was made.

    Attributes:
        text: The text.
        label: As it was asked for.
        source: As it was asked for.
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
    """Writes reviews."""

    @property
    def name(self) -> str:
        """Name of the generator and its model, as it is recorded with each row."""
        ...

    @property
    def stand_in(self) -> bool:
        """Whether it stands in for a language model, and has to be labelled as such."""
        ...

    def refusal(self, request: GenerationRequest) -> str | None:
        """Why these parents are not enough to make such texts of, or None where they are."""
        ...

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        """The texts, exactly as many as asked, in the order of the requests.

        Raises:
            GenerationError: A request cannot be fulfilled; `refusal` tells beforehand.
        """
        ...


def check_generations(requests: Sequence[GenerationRequest], generations: Sequence[Generation]) -> None:
    """Makes sure that a generator kept its promise.

    Raises:
        GenerationError: Another number of texts than asked, an empty one, or one that rests on a review it was
            not given.
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
        strange = set(generation.parent_ids) - known[generation.label, generation.source]
        if strange or not generation.parent_ids or not generation.text.strip():
            raise GenerationError(
                "the generator made a text that is empty or has unknown parents",
                given={"text": generation.text[:80], "parent_ids": generation.parent_ids},
                expected="a text that rests on reviews it was given",
                remedy="report it to the maintainer of the generator; nothing was published",
            )
