"""Sentences are cut where a reader would cut them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.synthesis.sentences import (
    is_finished,
    refers_back,
    split_sentences,
    stands_alone,
    tells_measures,
)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Nice. really nice!", ["Nice.", "really nice!"]),
        ("It costs $5.50 now. Too much", ["It costs $5.50 now.", "Too much"]),
        ("A 5 oz. bag, approx. full. Good.", ["A 5 oz. bag, approx. full.", "Good."]),
        ('He said "no." Then yes.', ['He said "no."', "Then yes."]),
        ("Great!!! :) Love it", ["Great!!!", ":) Love it"]),
        ("Great! :)", ["Great! :)"]),
        ("One line\nanother line", ["One line", "another line"]),
        ("well... maybe", ["well...", "maybe"]),
        ("", []),
    ],
)
def test_split_sentences(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@given(st.text(st.sampled_from("ab .!?\n\"')5"), max_size=60))
def test_split_loses_only_blanks(text: str) -> None:
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("sentence", "fit"),
    [
        ("The quality is not what I expected.", True),
        ("However, the quality is not good.", False),
        ("I gave it to her and she was happy.", False),
        ("My daughter said she was happy with it.", True),
        ("Too short", False),
        ("I like the colour (and the cut is fine.", False),
        ('It said "one size and it was not.', False),
    ],
)
def test_stands_alone(sentence: str, fit: bool) -> None:
    assert stands_alone(sentence) is fit


@pytest.mark.parametrize(
    ("sentence", "refers"), [("But it broke.", True), ("- And it broke", True), ("Butter was old.", False)]
)
def test_refers_back(sentence: str, refers: bool) -> None:
    assert refers_back(sentence) is refers


def test_measures_and_ends() -> None:
    assert tells_measures("I am 5'4 and wear a small")
    assert not tells_measures("The colour is nice")
    assert is_finished('It said "no."')
    assert not is_finished("It said")
