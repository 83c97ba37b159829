"""The embedded generator."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows_dagster.lib.errors import GenerationError
from workflows_dagster.lib.synthesis.generation import GenerationRequest, Parent, check_generations
from workflows_dagster.lib.synthesis.recombination import RecombinationGenerator
from workflows_dagster.lib.synthesis.sentences import split_sentences

OPENINGS = ["I wanted to like this one so much.", "This was a gift for my mother.", "I have had this for a week now."]
MIDDLES = [
    "The colour is not the one in the picture.",
    "The seam came apart on the first day.",
    "It feels cheap to me.",
]
CLOSINGS = ["I will send it back.", "It is not worth the money.", "I would not buy it again."]


def parents(rows: int) -> list[Parent]:
    rng = random.Random(1)
    return [
        Parent(f"p{number}", " ".join(rng.choice(bank) for bank in (OPENINGS, MIDDLES, CLOSINGS)), "en")
        for number in range(rows)
    ]


def request(rows: int, seed: int = 1, pool: list[Parent] | None = None) -> GenerationRequest:
    return GenerationRequest("negative", "shop", rows, seed, pool or parents(60))


def test_texts_are_made_of_sentences_of_their_parents() -> None:
    pool = parents(60)
    by_id = {parent.review_id: parent.text for parent in pool}
    for made in RecombinationGenerator().generate([request(30, pool=pool)]):
        spoken = " ".join(by_id[parent] for parent in made.parent_ids)
        assert all(sentence in spoken for sentence in split_sentences(made.text))
        assert len(made.parent_ids) >= 2


def test_generation_is_independent_of_the_order_of_parents() -> None:
    pool = parents(60)
    generator = RecombinationGenerator()
    assert generator.generate([request(20, pool=pool)]) == generator.generate([request(20, pool=pool[::-1])])


def test_generation_depends_on_the_seed() -> None:
    first, second = (RecombinationGenerator().generate([request(20, seed=seed)]) for seed in (1, 2))
    assert [made.text for made in first] != [made.text for made in second]


@settings(max_examples=30)
@given(
    texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=80), min_size=2, max_size=12),
    rows=st.integers(0, 5),
)
def test_exactly_as_many_as_asked_or_an_error(texts: list[str], rows: int) -> None:
    asked = request(rows, pool=[Parent(str(number), text, None) for number, text in enumerate(texts)])
    try:
        made = RecombinationGenerator().generate([asked])
    except GenerationError:
        return
    check_generations([asked], made)


def test_too_few_parents_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(GenerationError, match="raise min_parents"):
        RecombinationGenerator().generate([request(1, pool=[Parent("a", "Only one here.", "en")])])
