"""The embedded generator: sentences of real reviews of one class and one kind of product, put together anew.

It stands in for a language model where there is none. It says nothing that nobody said, so it adds order and company
to sentences, not new words: what it is good for is measured by the ablation, not assumed.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from workflows_dagster.lib.errors import GenerationError
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.progress import Progress
from workflows_dagster.lib.synthesis.generator import Generation, GenerationRequest, Parent
from workflows_dagster.lib.synthesis.sentences import (
    asks,
    is_finished,
    leans_back,
    split_sentences,
    stands_alone,
    tells_measures,
    words,
)
from workflows_dagster.lib.synthesis.slots import (
    brand_of,
    exchange_brand,
    exchange_product,
    find_brands,
    kind_of_text,
    load_kinds,
)
from workflows_dagster.lib.synthesis.topics import associate, line_of_words

RECIPE: Final = "recombination 1: half of a review's sentences exchanged for others of its class, source, language"
_FEW_REVIEWS: Final = 40
"""So few reviews have next to no sentences that fit everywhere: any sentence is taken, and validation decides."""

_LONG_CHARACTERS: Final = 400
"""A text this long without an end mark was cut by its platform: its last sentence is left out."""

_COMMON_RATIO: Final = 0.02
"""A sentence fits any product if each of its words is in this part of the reviews: "Would not buy it again"."""

_COMMON_IN_LINE_RATIO: Final = 0.003
"""A sentence fits a product of its own line if each of its words is in this part of the reviews."""


@dataclass(frozen=True)
class _Review:
    """A parent, cut up."""

    review_id: str
    language: str | None
    sentences: tuple[str, ...]
    kind: str | None
    brand: str | None
    line: str | None = None


@dataclass(frozen=True)
class _Donation:
    """A sentence that may stand in another review."""

    sentence: str
    review_id: str
    lines: frozenset[str]


_Pool = Mapping[tuple[str | None, str, str | None], Sequence[_Donation]]
"""Sentences by language, place (opening, middle or closing) and line of products; None: fit for any product."""


class RecombinationGenerator:
    """A `TextGenerator` without a model.

    Args:
        attempts: Tries for one text, before one that was made already or that found no fitting sentence is given out.
            Validation refuses those.
    """

    name = "recombination"
    stand_in = True

    def __init__(self, attempts: int = 12) -> None:
        self._attempts = attempts

    def refusal(self, request: GenerationRequest) -> str | None:
        """Why there is nothing to recombine, or None where there is."""
        return _material(request).lack()

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Generation]:
        """The texts; see `TextGenerator.generate`."""
        progress = Progress("recombining sentences", sum(request.rows for request in requests), "texts")
        made: list[Generation] = []
        for request in requests:
            made.extend(_fulfil(request, self._attempts))
            progress.at(len(made), f"{request.label} of {request.source}")
        return made


@dataclass(frozen=True)
class _Material:
    """What the parents of a request give to recombine."""

    parents: int
    reviews: Sequence[_Review]
    pool: _Pool
    brands: frozenset[str]

    def lack(self) -> str | None:
        """What is missing to make a text, or None."""
        if len(self.reviews) >= 2 and self.pool:
            return None
        usable = sum(len(donations) for donations in self.pool.values())
        return f"{self.parents} reviews with {usable} sentences that stand alone; at least 2 and 1 are needed"


def _material(request: GenerationRequest) -> _Material:
    parents = sorted(request.parents, key=lambda parent: parent.review_id)
    brands = find_brands(parent.text for parent in parents)
    reviews = [review for parent in parents if (review := _cut(parent, brands)).sentences]
    lines = _lines(reviews)
    reviews = [_settled(review, lines) for review in reviews]
    return _Material(len(parents), reviews, _gather(reviews, lines), brands)


def _fulfil(request: GenerationRequest, attempts: int) -> list[Generation]:
    if not request.rows:
        return []
    material = _material(request)
    if (lack := material.lack()) is not None:
        raise GenerationError(
            f"too few sentences to recombine for {request.label} of {request.source}",
            given=lack,
            expected="a request that refusal() has no objection to",
            remedy="raise min_parents of class_balance, or use a language model as generator",
        )
    texts: set[str] = set()
    return [_one(request, number, material, texts, attempts) for number in range(request.rows)]


def _one(
    request: GenerationRequest,
    number: int,
    material: _Material,
    texts: set[str],
    attempts: int,
) -> Generation:
    """One text, other than those made before as far as the reviews allow."""
    seed = int(digest_text(str(request.seed), request.label, request.source, str(number))[:12], 16)
    rng = random.Random(seed)  # nothing secret: the seed is there to repeat the choice
    base, donors, text = material.reviews[0], [], ""
    for _ in range(attempts):
        base = rng.choice(material.reviews)
        sentences, donors = _recombine(base, material.pool, material.brands, rng)
        text = " ".join(sentences)
        if donors and text not in texts:
            break
    texts.add(text)
    return Generation(
        text=text,
        label=request.label,
        source=request.source,
        language=base.language,
        prompt=RECIPE,
        seed=seed,
        parent_ids=tuple(dict.fromkeys([base.review_id, *donors])),
    )


def _recombine(base: _Review, pool: _Pool, brands: frozenset[str], rng: random.Random) -> tuple[list[str], list[str]]:
    """The base with at least half of its sentences exchanged, and the ids of the reviews they are from."""
    sentences = list(base.sentences)
    places = _exchangeable(sentences)
    rng.shuffle(places)
    wanted = max(1, (len(sentences) + 1) // 2)
    if len(sentences) == 1:
        # A single sentence has nothing to exchange: it gets company.
        sentences, places, wanted = [_closed(sentences[0]), ""], [1], 1
    donors: list[str] = []
    for place in places:
        if len(donors) == wanted:
            break
        donation = _fitting(base, sentences, place, donors, pool, brands, rng)
        if donation is not None:
            sentences[place] = donation.sentence
            donors.append(donation.review_id)
    kept = [sentence for sentence in sentences if sentence]
    enough = len(donors) == wanted
    return [*(_closed(sentence) for sentence in kept[:-1]), kept[-1]], donors if enough else []


def _exchangeable(sentences: Sequence[str]) -> list[int]:
    """Places that neither ask nor answer, and that no later sentence leans on."""
    return [place for place in range(len(sentences)) if not _is_bound(sentences, place)]


def _is_bound(sentences: Sequence[str], place: int) -> bool:
    """Whether a sentence belongs to the one before or after it."""
    if place and asks(sentences[place - 1]):
        return True
    is_last = place + 1 == len(sentences)
    return not is_last and (asks(sentences[place]) or leans_back(sentences[place + 1]))


def _fitting(
    base: _Review,
    sentences: Sequence[str],
    place: int,
    donors: Sequence[str],
    pool: _Pool,
    brands: frozenset[str],
    rng: random.Random,
) -> _Donation | None:
    """A sentence of another review for this place, its product and brand exchanged for those of the base."""
    where = _place(place, len(sentences))
    candidates = pool.get((base.language, where, base.line)) or pool.get((base.language, where, None), ())
    fit = {base.line} if base.line else frozenset[str]()
    others = [sentence for number, sentence in enumerate(sentences) if number != place]
    measured = any(map(tells_measures, others))
    openings = {_opening(sentence) for sentence in others}
    for donation in rng.sample(candidates, min(16, len(candidates))):
        if donation.review_id == base.review_id or donation.review_id in donors or not donation.lines <= fit:
            continue
        if (measured and tells_measures(donation.sentence)) or _opening(donation.sentence) in openings:
            continue
        renamed = exchange_product(donation.sentence, base.kind)
        renamed = renamed and exchange_brand(renamed, base.brand, brands)
        if renamed:
            return _Donation(renamed, donation.review_id, donation.lines)
    return None


def _cut(parent: Parent, brands: frozenset[str]) -> _Review:
    sentences = split_sentences(parent.text)
    if sentences and len(parent.text) >= _LONG_CHARACTERS and not is_finished(sentences[-1]):
        sentences = sentences[:-1]
    kind = kind_of_text(parent.text) if parent.language in {None, "en"} else None
    return _Review(parent.review_id, parent.language, tuple(sentences), kind, brand_of(parent.text, brands))


def _lines(reviews: Sequence[_Review]) -> Mapping[str, str]:
    """The line of products that a word belongs to, learnt from the reviews that name their product."""
    line_of = load_kinds().line_of
    return associate((line_of[review.kind], words(" ".join(review.sentences))) for review in reviews if review.kind)


def _settled(review: _Review, lines: Mapping[str, str]) -> _Review:
    """The review with its line: of the product it names, else of its words."""
    if review.kind:
        return replace(review, line=load_kinds().line_of[review.kind])
    return replace(review, line=line_of_words(words(" ".join(review.sentences)), lines))


def _gather(reviews: Sequence[_Review], lines: Mapping[str, str]) -> _Pool:
    """The sentences that may stand in another review.

    A word that few reviews use names something of one review alone: honey, a keyboard, a wedding.
    """
    seen = Counter(word for review in reviews for word in words(" ".join(review.sentences)))
    common = {word for word, n in seen.items() if n >= max(2, _COMMON_RATIO * len(reviews))}
    in_line = {word for word, n in seen.items() if n >= max(2, _COMMON_IN_LINE_RATIO * len(reviews))}
    few = len(reviews) < _FEW_REVIEWS
    pool: dict[tuple[str | None, str, str | None], list[_Donation]] = {}
    for review in reviews:
        for place, sentence in enumerate(review.sentences):
            answers = place > 0 and asks(review.sentences[place - 1])
            if not few and (answers or not stands_alone(sentence)):
                continue
            used = words(sentence)
            donation = _Donation(sentence, review.review_id, frozenset(lines[word] for word in used if word in lines))
            where = _place(place, len(review.sentences))
            if used <= common or few:
                pool.setdefault((review.language, where, None), []).append(donation)
            if review.line and used <= in_line:
                pool.setdefault((review.language, where, review.line), []).append(donation)
    return pool


def _place(number: int, of: int) -> str:
    """Opening, middle or closing; a lone sentence closes."""
    if number == of - 1:
        return "closing"
    return "middle" if number else "opening"


def _opening(sentence: str) -> tuple[str, ...]:
    return tuple(sentence.lower().split()[:2])


def _closed(sentence: str) -> str:
    """The sentence with an end mark, as another follows it."""
    return sentence if is_finished(sentence) or not sentence[-1:].isalnum() else f"{sentence}."
