"""Similarity by hand, near copies found, and the exact index against the definition."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.synthesis.similarity import (
    Nearest,
    NearIndex,
    diversity,
    highest_similarity,
    jaccard,
    shingles,
)

LONG = "the seam came apart on the very first day and the shop did not answer any of my letters"


def test_shingles_ignore_case_and_marks() -> None:
    assert shingles("The seam, came APART") == {"the seam came", "seam came apart"}
    assert shingles("Too short!") == {"too short"}


def test_index_finds_the_nearest_and_its_exact_similarity() -> None:
    index = NearIndex(["s1", "s2"], [LONG, "something else entirely was written in this one"])
    real = pl.DataFrame({"review_id": ["far", "near"], "text": ["nothing of the kind here at all", f"{LONG} today"]})

    # LONG has 19 words, so 17 trigrams; one word more makes 18, of which 17 are shared.
    assert index.nearest([real]) == {"s1": Nearest("near", 17 / 18)}


def test_only_the_later_of_two_copies_is_near_another() -> None:
    index = NearIndex(["s1", "s2", "s3"], [LONG, LONG.upper(), "something else entirely was written"])
    assert index.nearest_before() == {"s2": Nearest("s1", 1.0)}


@given(
    texts=st.lists(st.text("ab ", max_size=12), min_size=1, max_size=4),
    others=st.lists(st.text("ab ", max_size=12), max_size=4),
)
def test_highest_similarity_is_the_maximum_by_definition(texts: list[str], others: list[str]) -> None:
    expected = max((jaccard(shingles(text), shingles(other)) for text in texts for other in others), default=0.0)
    assert highest_similarity(texts, others) == expected


def test_diversity_by_hand() -> None:
    # 8 words, 4 of them different; bigrams ab bc cd twice; one 4-gram type in each text, both shared.
    assert diversity(["a b c d", "a b c d"]) == {
        "distinct_1": 0.5,
        "distinct_2": 0.5,
        "distinct_3": 0.5,
        "self_overlap": 1.0,
    }
    assert diversity([])["distinct_1"] == 0
