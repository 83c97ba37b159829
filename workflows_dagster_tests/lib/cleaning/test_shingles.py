"""Text keys, shingles, similarities and bands."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.cleaning.shingles import band_layout, shingle_hashes, signatures, similarities, text_key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Good  SHOES!", "good shoes"),
        ("good-shoes", "good shoes"),
        (" 'good'\n(shoes) ", "good shoes"),
        ("I`d buy", "i d buy"),
        ("5/5 \N{HEAVY BLACK HEART}\ufe0f", "5 5 \N{HEAVY BLACK HEART}"),
        ("CAFÉ", "café"),
        (":-)", ":-)"),  # nothing but punctuation stands for itself
        (":-(", ":-("),
    ],
)
def test_text_key_is_lower_case_without_punctuation(text: str, key: str) -> None:
    assert pl.select(text_key(pl.lit(text))).item() == key


def shingles(key: str) -> set[str]:
    padded = f"    {key}    "
    return {padded[start : start + 5] for start in range(len(padded) - 4)}


KEYS = st.lists(
    st.text(st.sampled_from("ab \N{HIRAGANA LETTER A}\N{GRINNING FACE}"), max_size=12), min_size=1, max_size=8
)


@given(left=KEYS, right=KEYS)
def test_similarities_are_those_of_the_sets(left: list[str], right: list[str]) -> None:
    pairs = list(zip(left, right, strict=False))
    ours, theirs = (pl.Series(side, dtype=pl.String) for side in zip(*pairs, strict=True))

    expected = [len(shingles(a) & shingles(b)) / len(shingles(a) | shingles(b)) for a, b in pairs]
    assert similarities(ours, theirs).tolist() == pytest.approx(expected)


@given(keys=KEYS)
def test_shingle_hashes_do_not_depend_on_the_other_keys(keys: list[str]) -> None:
    together, counts = shingle_hashes(pl.Series(keys, dtype=pl.String))

    assert counts.tolist() == [len(key) + 4 for key in keys]
    alone = [shingle_hashes(pl.Series([key], dtype=pl.String))[0].tolist() for key in keys]
    assert together.tolist() == [number for numbers in alone for number in numbers]


def test_signatures_agree_about_as_often_as_the_sets() -> None:
    left = " ".join(f"word{number}" for number in range(100))
    right = " ".join(f"word{number}" for number in range(20, 120))
    true = len(shingles(left) & shingles(right)) / len(shingles(left) | shingles(right))

    ours, theirs = signatures(pl.Series([left, right]), 512, 1)

    # Standard error of a share of 512 is at most 0.022.
    assert (ours == theirs).mean() == pytest.approx(true, abs=0.08)


@pytest.mark.parametrize(
    ("similarity", "layout"),
    [
        (0.8, (21, 6)),  # 1 - (1 - 0.8**6)**21 = 0.998; 7 rows: 1 - (1 - 0.8**7)**18 = 0.986
        (1.0, (1, 128)),
        (0.5, (42, 3)),  # 1 - (1 - 0.125)**42 = 0.996; 4 rows: 1 - (1 - 0.0625)**32 = 0.873
    ],
)
def test_band_layout_finds_pairs_with_the_recall_asked_for(similarity: float, layout: tuple[int, int]) -> None:
    assert band_layout(similarity, 128, 0.99) == layout
