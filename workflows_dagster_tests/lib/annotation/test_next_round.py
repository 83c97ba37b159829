"""Candidates of the next round."""

import polars as pl

from workflows_dagster.lib.annotation.next_round import candidates
from workflows_dagster.lib.annotation.suspects import SUSPECT


def test_disagreements_and_suspects_are_ranked_within_their_reason() -> None:
    labels = {"all": "ppp", "two": "ppn", "three": "pnu", "pair": "pn", "single": "p"}
    names = {"p": "positive", "n": "negative", "u": "neutral"}
    answers = [
        (review_id, f"a{person}", names[letter])
        for review_id, letters in labels.items()
        for person, letter in enumerate(letters)
    ]
    responses = pl.DataFrame(answers, schema=["review_id", "annotator", "label"], orient="row")
    suspects = pl.DataFrame(
        [("weak1", "rating", 0.8), ("weak2", "given", 0.9), ("all", "human", 0.7)], schema=SUSPECT, orient="row"
    )

    # Pairs that differ: three 3 of 3, pair 1 of 1, two 2 of 3.
    assert candidates(responses, suspects).rows() == [
        ("pair", "disagreement", 1.0),
        ("three", "disagreement", 1.0),
        ("two", "disagreement", 0.666667),
        ("all", "human_label_suspect", 0.7),
        ("weak2", "weak_label_suspect", 0.9),
        ("weak1", "weak_label_suspect", 0.8),
    ]


def test_nothing_is_asked_without_answers_and_suspects() -> None:
    nothing = pl.DataFrame(schema={"review_id": pl.String, "annotator": pl.String, "label": pl.String})
    assert candidates(nothing, SUSPECT.to_frame()).height == 0
