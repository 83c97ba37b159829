"""What follows from the agreement of a round."""

import re

import pytest

from workflows_dagster.lib.annotation.gate import Gate, Standing, WhenInsufficient, WhenUnmeasured
from workflows_dagster.lib.metrics import Estimate

GOOD, POOR = Estimate(0.7, 0.5, 0.8, 60), Estimate(0.7, 0.499, 0.8, 60)


def gate(
    alpha: Estimate | None,
    rows: int = 60,
    answers: int = 120,
    unmeasured: WhenUnmeasured = "weak",
    insufficient: WhenInsufficient = "hold",
) -> Gate:
    return Gate(answers, rows, alpha, "ordinal", 0.5, 50, unmeasured, insufficient)


@pytest.mark.parametrize(
    ("given", "standing", "trusted", "holds_back", "says"),
    [
        (gate(None, 0, 0), Standing.NO_ANSWERS, False, False, "Nobody has answered.*weak labels"),
        (gate(GOOD), Standing.SUFFICIENT, True, False, r"0\.700 \[0\.500, 0\.800\] n=60; .* reach 0\.5: the labels"),
        (gate(POOR), Standing.INSUFFICIENT, False, True, "held back.*next_round.*when_insufficient: weak"),
        (gate(POOR, insufficient="weak"), Standing.INSUFFICIENT, False, False, "Weak labels are trained on"),
        (gate(None, 0, 20), Standing.UNMEASURED, False, False, r"undefined \(it is not 0\).*minimum_annotators"),
        (gate(GOOD, 49), Standing.UNMEASURED, False, False, "49 reviews have two answers.*from 50 on"),
        (gate(None), Standing.UNMEASURED, False, False, "All answers to 60 reviews name one label"),
        (gate(GOOD, 49, unmeasured="hold"), Standing.UNMEASURED, False, True, "held back.*weak or accept"),
        (gate(GOOD, 49, unmeasured="accept"), Standing.UNMEASURED, True, False, "trained on all the same"),
        # To accept what is unmeasured is not to accept what is known to be poor.
        (gate(POOR, unmeasured="accept"), Standing.INSUFFICIENT, False, True, "held back"),
    ],
)
def test_gate_says_what_follows(given: Gate, standing: Standing, trusted: bool, holds_back: bool, says: str) -> None:
    assert (given.standing, given.trusted, given.holds_back) == (standing, trusted, holds_back)
    assert re.search(says, given.sentence), given.sentence
