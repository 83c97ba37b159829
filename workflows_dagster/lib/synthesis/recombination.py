"""The embedded generator: sentences of real reviews of one class and one kind of product, combined into new reviews.

It stands in for a language model where there is none. It says nothing that nobody said, so it adds new combinations of
sentences, not new words. Whether that helps is measured by the ablation, not assumed.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from workflows_dagster.lib.errors import GenerationError
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.progress import Progress
from workflows_dagster.lib.synthesis.generation import Generation, GenerationRequest
from workflows_dagster.lib.synthesis.products import (
    associate,
    brand_of,
    exchange_brand,
    exchange_product,
    find_brands,
    kind_of_text,
    line_of_words,
    load_kinds,
)
from workflows_dagster.lib.synthesis.sentences import (
    asks,
    is_finished,
    refers_back,
    split_sentences,
    stands_alone,
    tells_measures,
    words,
)

RECIPE: Final = "recombination 1: half of a review's sentences exchanged for others of its class, source, language"
_FEW_REVIEWS: Final = 40
"""So few reviews have next to no sentences that fit everywhere: any sentence is taken, and validation decides."""

_LONG_CHARACTERS: Final = 400
"""A text this long without an end mark was cut by its platform: its last sentence is left out."""

_COMMON_RATIO: Final = 0.02
"""A sentence fits any product if each of its words is in this part of the reviews: "Would not buy it again"."""

_COMMON_IN_LINE_RATIO: Final = 0.003
"""A sentence fits a product of its own line if each of its words is in this part of the reviews."""

_CANDIDATES: Final = 16
"""Sentences that are tried for one place."""


@dataclass(frozen=True)
class _Review:
    """A parent as its sentences, and what it is about."""

    review_id: str
    language: str | None
    sentences: tuple[str, ...]
    kind: str | None
    brand: str | None
    line: str | None = None


@dataclass(frozen=True)
class _Donation:
    """A sentence that may stand in another review, and the lines of products that its words belong to."""

    sentence: str
    review_id: str
    lines: frozenset[str]


@dataclass(frozen=True)
class _Material:
    """What the parents of a request give to recombine.

    Attributes:
        reviews: The parents that have a sentence.
        pool: Donations by language, place (opening, middle, closing) and line of products; line None fits any product.
        brands: The brands that the parents name.
        lack: What is missing to make a text, or None.
    """

    reviews: Sequence[_Review]
    pool: Mapping[tuple[str | None, str, str | None], Sequence[_Donation]]
    brands: frozenset[str]
    lack: str | None


class RecombinationGenerator:
    """A `TextGenerator` without a model.

    Args:
        attempts: Tries for one text. When all fail, the text is a copy of an earlier one or of its parent; validation
            refuses those.
    """

    name = "recombination"
    stand_in = True

    def __init__(self, attempts: int = 12) -> None:
        self._attempts = attempts

    def refusal(self, request: GenerationRequest) -> str | None:
        """Why there is nothing to recombine, or None where there is."""
        return _material_of(request).lack

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        """The texts; see `TextGenerator.generate`."""
        progress = Progress("recombining sentences", sum(request.rows for request in requests), "texts")
        made: list[Generation] = []
        for request in requests:
            made.extend(self._fulfil(request))
            progress.at(len(made), f"{request.label} of {request.source}")
        return made

    def _fulfil(self, request: GenerationRequest) -> list[Generation]:
        if not request.rows:
            return []
        material = _material_of(request)
        if material.lack is not None:
            raise GenerationError(
                f"too few sentences to recombine for {request.label} of {request.source}",
                given=material.lack,
                expected="a request that refusal() has no objection to",
                remedy="raise min_parents of class_balance, or use a language model as generator",
            )
        made: list[Generation] = []
        texts: set[str] = set()
        for number in range(request.rows):
            seed = int(digest_text(str(request.seed), request.label, request.source, str(number))[:12], 16)
            rng = random.Random(seed)  # nothing secret: the seed is there to repeat the choice
            base, donors, text = material.reviews[0], [], ""
            for _ in range(self._attempts):
                base = rng.choice(material.reviews)
                sentences, donors = _recombine(base, material, rng)
                text = " ".join(sentences)
                if donors and text not in texts:
                    break
            texts.add(text)
            parent_ids = tuple(dict.fromkeys([base.review_id, *donors]))
            made.append(Generation(text, request.label, request.source, base.language, RECIPE, seed, parent_ids))
        return made


def _material_of(request: GenerationRequest) -> _Material:
    """The parents cut into sentences, and those of their sentences that may stand in another review."""
    parents = sorted(request.parents, key=lambda parent: parent.review_id)
    brands = find_brands(parent.text for parent in parents)
    cut: list[_Review] = []
    for parent in parents:
        sentences = split_sentences(parent.text)
        if sentences and len(parent.text) >= _LONG_CHARACTERS and not is_finished(sentences[-1]):
            sentences = sentences[:-1]
        if sentences:
            kind = kind_of_text(parent.text) if parent.language in {None, "en"} else None
            brand = brand_of(parent.text, brands)
            cut.append(_Review(parent.review_id, parent.language, tuple(sentences), kind, brand))
    # Reviews that name their product tell which words belong to which line; those words tell the line of the others.
    line_of = load_kinds().line_of
    used = [words(" ".join(review.sentences)) for review in cut]
    lines = associate((line_of[review.kind], own) for review, own in zip(cut, used, strict=True) if review.kind)
    reviews = [
        replace(review, line=line_of[review.kind] if review.kind else line_of_words(own, lines))
        for review, own in zip(cut, used, strict=True)
    ]
    pool = _donations(reviews, Counter(word for own in used for word in own), lines)
    lack = None
    if len(reviews) < 2 or not pool:
        usable = sum(map(len, pool.values()))
        lack = f"{len(parents)} reviews with {usable} sentences that stand alone; at least 2 and 1 are needed"
    return _Material(reviews, pool, brands, lack)


def _donations(
    reviews: Sequence[_Review], reviews_of_word: Mapping[str, int], lines: Mapping[str, str]
) -> dict[tuple[str | None, str, str | None], list[_Donation]]:
    """The sentences that may stand in another review, as `_Material.pool`.

    A word that few reviews use names something of one review alone: honey, a keyboard, a wedding.

    Args:
        reviews: The reviews.
        reviews_of_word: In how many of them each word occurs.
        lines: Line of products by word.
    """
    common = {word for word, n in reviews_of_word.items() if n >= max(2, _COMMON_RATIO * len(reviews))}
    in_line = {word for word, n in reviews_of_word.items() if n >= max(2, _COMMON_IN_LINE_RATIO * len(reviews))}
    few = len(reviews) < _FEW_REVIEWS
    pool: dict[tuple[str | None, str, str | None], list[_Donation]] = {}
    for review in reviews:
        for number, sentence in enumerate(review.sentences):
            answers = number > 0 and asks(review.sentences[number - 1])
            if not few and (answers or not stands_alone(sentence)):
                continue
            used = words(sentence)
            donation = _Donation(sentence, review.review_id, frozenset(lines[word] for word in used if word in lines))
            place = _place(number, len(review.sentences))
            if used <= common or few:
                pool.setdefault((review.language, place, None), []).append(donation)
            if review.line and used <= in_line:
                pool.setdefault((review.language, place, review.line), []).append(donation)
    return pool


def _recombine(base: _Review, material: _Material, rng: random.Random) -> tuple[list[str], list[str]]:
    """The base with half of its sentences exchanged, and the ids of the donors: none where too few sentences fit."""
    sentences = list(base.sentences)
    numbers = [number for number in range(len(sentences)) if not _is_bound(sentences, number)]
    rng.shuffle(numbers)
    wanted = max(1, (len(sentences) + 1) // 2)
    if len(sentences) == 1:
        # A single sentence has nothing to exchange: another is put after it.
        sentences, numbers, wanted = [_with_end_mark(sentences[0]), ""], [1], 1
    donors: list[str] = []
    for number in numbers:
        if len(donors) == wanted:
            break
        if found := _donation_for(base, sentences, number, donors, material, rng):
            sentences[number], donor = found
            donors.append(donor)
    kept = [sentence for sentence in sentences if sentence]
    return [*map(_with_end_mark, kept[:-1]), kept[-1]], donors if len(donors) == wanted else []


def _is_bound(sentences: Sequence[str], number: int) -> bool:
    """Whether a sentence answers the one before it, or the one after it answers or refers back to it."""
    if number and asks(sentences[number - 1]):
        return True
    is_last = number + 1 == len(sentences)
    return not is_last and (asks(sentences[number]) or refers_back(sentences[number + 1]))


def _donation_for(
    base: _Review,
    sentences: Sequence[str],
    number: int,
    donors: Sequence[str],
    material: _Material,
    rng: random.Random,
) -> tuple[str, str] | None:
    """A sentence for this place, rewritten for the product and brand of the base, and the id of its review."""
    place = _place(number, len(sentences))
    pool = material.pool
    candidates = pool.get((base.language, place, base.line)) or pool.get((base.language, place, None), ())
    fit = {base.line} if base.line else frozenset[str]()
    others = [sentence for other, sentence in enumerate(sentences) if other != number]
    measured = any(map(tells_measures, others))
    openings = {_first_words(sentence) for sentence in others}
    for donation in rng.sample(candidates, min(_CANDIDATES, len(candidates))):
        if donation.review_id == base.review_id or donation.review_id in donors or not donation.lines <= fit:
            continue
        if (measured and tells_measures(donation.sentence)) or _first_words(donation.sentence) in openings:
            continue
        rewritten = exchange_product(donation.sentence, base.kind)
        rewritten = rewritten and exchange_brand(rewritten, base.brand, material.brands)
        if rewritten:
            return rewritten, donation.review_id
    return None


def _place(number: int, of: int) -> str:
    """Opening, middle or closing; a lone sentence closes."""
    if number == of - 1:
        return "closing"
    return "middle" if number else "opening"


def _first_words(sentence: str) -> tuple[str, ...]:
    return tuple(sentence.lower().split()[:2])


def _with_end_mark(sentence: str) -> str:
    return sentence if is_finished(sentence) or not sentence[-1:].isalnum() else f"{sentence}."
