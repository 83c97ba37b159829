import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.local_argilla.server.matching import most_similar, parse, record_matches

WORDS = st.text("abcäßéЖ1", min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("", "anything", True),
        ("art", "start of an ART", True),
        ("art*", "start", False),
        ("art*", "an artist", True),
        ("b a", "a b", True),
        ("b c", "a b", False),
        ("+b -c", "a b", True),
        ("-b", "a b", False),
        ('"a  b"', "x A\nB", True),
        ('"a b"', "a x b", False),
        ('-"a b"', "a b", False),
        ("STRASSE", "Straße", True),
        ("a.c", "abc", False),
        ("*", "anything", True),
        ("-", "anything", True),
        ("e-mail", "my e-mail", True),
    ],
)
def test_a_query_matches_by_its_rules(query: str, text: str, expected: bool) -> None:
    assert parse(query).matches(text) is expected


@pytest.mark.parametrize("query", ["a | b", "(a)", "good~", "good~2", 'an "open quote'])
def test_an_operator_of_elasticsearch_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match="double quotes"):
        parse(query)


@given(st.lists(WORDS, min_size=1, max_size=6))
def test_a_text_is_found_by_any_of_its_own_words(words: list[str]) -> None:
    text = " ".join(words)

    assert parse(text).matches(text)
    assert parse(f'"{text}"').matches(f"before {text} after")
    assert not parse(f"-{words[0]}").matches(text.upper().lower())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("good", True),
        ({"inner": ["not", {"deep": "good"}]}, True),
        ([{"role": "user", "content": "good"}], True),
        (None, False),
        (7, False),
    ],
)
def test_text_is_read_wherever_a_field_holds_it(value: object, expected: bool) -> None:
    assert record_matches(json.dumps({"a": value}), '["a"]', "good") is expected
    assert not record_matches(json.dumps({"a": value}), '["b"]', "good")


def test_words_may_be_spread_over_fields_but_not_phrases() -> None:
    fields = json.dumps({"title": "red", "text": "shirt"})

    assert record_matches(fields, '["title", "text"]', "shirt red")
    assert record_matches(fields, '["title"]', "red -shirt")


def test_the_most_similar_come_first_with_their_score() -> None:
    rows = [("up", "[0, 2]"), ("right", "[3, 0]"), ("left", "[-1, 0]"), ("none", "[0, 0]"), ("diagonal", "[1, 1]")]

    found = most_similar(rows, [1, 0], limit=9)

    # (1 + cos 0) / 2, (1 + cos 45) / 2, (1 + cos 90) / 2, (1 + cos 180) / 2
    assert [name for name, _ in found] == ["right", "diagonal", "up", "left"]
    assert [score for _, score in found] == pytest.approx([1.0, 0.853553, 0.5, 0.0], abs=1e-6)
    assert most_similar(rows, [1, 0], limit=2) == found[:2]
    assert most_similar(rows, [1, 0], limit=9, threshold=0.6) == found[:2]
    assert most_similar([], [1, 0], limit=9) == []


@pytest.mark.parametrize(("target", "message"), [([1, 2, 3], "3 dimensions. Expected: 2"), ([0, 0], "no direction")])
def test_a_vector_that_compares_with_nothing_is_refused(target: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        most_similar([("a", "[1, 0]")], target, limit=1)
