"""When synthetic rows are trained on, by the share that people found sound."""

from typing import Any

import pytest

from workflows_dagster.lib.synthesis.review_gate import ReviewGate, ReviewSettings, sound_share


def gate(asked: int, sound: int, answered: int, **settings: Any) -> ReviewGate:
    return ReviewGate(asked, sound_share(sound, answered), ReviewSettings.model_validate(settings))


# 95 % intervals after Wilson by hand: (2 n p + z2 -+ z sqrt(z2 + 4 n p (1 - p))) / (2 (n + z2)), z = 1.959964.
@pytest.mark.parametrize(
    ("sound", "answered", "low", "high"),
    [(10, 10, 0.72247, 1.0), (8, 10, 0.49016, 0.94331), (0, 10, 0.0, 0.27753), (90, 100, 0.82563, 0.94477)],
)
def test_interval_is_wilsons(sound: int, answered: int, low: float, high: float) -> None:
    share = sound_share(sound, answered)
    assert share is not None
    assert (share.value, share.n) == (sound / answered, answered)
    assert (share.low, share.high) == pytest.approx((low, high), abs=1e-5)


@pytest.mark.parametrize(
    ("given", "standing", "used"),
    [
        (gate(0, 0, 0), "not asked", True),
        (gate(0, 0, 0, when_unreviewed="leave out"), "not asked", False),
        (gate(100, 0, 0), "not reviewed", True),
        (gate(100, 0, 0, when_unreviewed="leave out"), "not reviewed", False),
        (gate(100, 0, 19), "too few answers", True),
        (gate(100, 19, 19, when_unreviewed="leave out"), "too few answers", False),
        (gate(100, 20, 20), "sound", True),
        (gate(100, 90, 100, minimum_sound_ratio=0.825), "sound", True),
        (gate(100, 90, 100, minimum_sound_ratio=0.826), "unsound", False),
        (gate(100, 10, 20, when_unreviewed="use"), "unsound", False),
        (gate(5, 5, 5, minimum_rows=5, minimum_sound_ratio=0.5), "sound", True),
    ],
)
def test_standing_decides_whether_rows_are_used(given: ReviewGate, standing: str, used: bool) -> None:
    assert (given.standing, given.used) == (standing, used)
    assert given.sentence.endswith(": they are trained on" if used else ": none of them is trained on")


def test_sentence_says_what_was_found_and_asked_for() -> None:
    assert gate(100, 60, 100).sentence == (
        "People find synthetic rows sound in 0.600 [0.502, 0.691] n=100; its lower bound has to reach 0.7: "
        "none of them is trained on"
    )
    assert gate(100, 3, 4).sentence == (
        "People have answered 4 of 100 synthetic rows, the share of sound ones is judged from 20 on: "
        "they are trained on"
    )
