"""What people decide of synthetic rows, and when these are trained on; worked by hand."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from workflows_dagster.lib.annotation.desk import REASON, RESPONSE, Responses
from workflows_dagster.lib.schema import SYNTHETIC_REVIEW
from workflows_dagster.lib.synthesis.review import (
    VERDICT,
    ReviewGate,
    ReviewSettings,
    corrected_rows,
    decide,
    sound_share,
    with_outcome,
)
from workflows_dagster.lib.synthesis.validation import Refusal, SyntheticReason
from workflows_dagster_tests.lib.synthesis.made_up import synthetic_rows

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
# Row by row: answers as annotator, verdict, correction; then verdict, votes, agreeing, correction, outcome.
CASES: list[tuple[list[tuple[str, str, str]], tuple[Any, ...]]] = [
    ([("a", "keep", "")], ("keep", 1, 1, None, "kept")),
    ([("a", "keep", ""), ("b", "keep", ""), ("c", "reject", "")], ("keep", 3, 2, None, "kept")),
    ([("a", "reject", "")], ("reject", 1, 1, None, "rejected")),
    ([("a", "keep", ""), ("b", "reject", "")], (None, 2, 1, None, "undecided")),
    ([("a", "fix", "")], ("fix", 1, 1, None, "no_correction")),
    ([("a", "fix", "A good coat.")], ("fix", 1, 1, "A good coat.", "fixed")),
    ([("a", "fix", "A bad coat.")], ("fix", 1, 1, "A bad coat.", "correction_refused")),
    # A correction beside another answer than fix is none; of two, what most wrote; of as many, the first by alphabet.
    ([("a", "keep", "A note.")], ("keep", 1, 1, None, "kept")),
    ([("a", "fix", "Mine."), ("b", "fix", "Ours."), ("c", "fix", "Ours.")], ("fix", 3, 3, "Ours.", "fixed")),
    ([("a", "fix", "Zip."), ("b", "fix", "Belt."), ("c", "reject", "Arm.")], ("fix", 3, 2, "Belt.", "fixed")),
    ([("a", "fix", "Write to  jo@example.org.")], ("fix", 1, 1, "Write to [EMAIL].", "fixed")),
]


def rows(count: int) -> pl.DataFrame:
    numbers = range(count)
    return synthetic_rows(*({"review_id": f"synthetic:{number:02}", "text": f"text {number}"} for number in numbers))


def responses() -> Responses:
    given = [(f"synthetic:{number:02}", *answer) for number, (answers, _) in enumerate(CASES) for answer in answers]
    return Responses(
        pl.DataFrame([(id_, who, verdict, NOON) for id_, who, verdict, _ in given], schema=RESPONSE, orient="row"),
        [],
        reasons=pl.DataFrame([(id_, who, text) for id_, who, _, text in given if text], schema=REASON, orient="row"),
    )


@pytest.fixture(scope="module")
def decided() -> pl.DataFrame:
    return decide(responses(), rows(len(CASES) + 1))


@pytest.fixture(scope="module")
def corrected(decided: pl.DataFrame) -> pl.DataFrame:
    return corrected_rows(decided, rows(len(CASES) + 1))


def test_verdicts_and_outcomes(decided: pl.DataFrame, corrected: pl.DataFrame) -> None:
    [refused] = corrected.filter(pl.col("text") == "A bad coat.")["review_id"]
    verdicts = with_outcome(decided, corrected, {refused: Refusal(SyntheticReason.TOO_SHORT, "3 words")})

    shown = verdicts.select("verdict", "votes", "agreeing", "correction", "outcome").rows()
    assert shown == [expected for _, expected in CASES]
    assert verdicts["detail"].drop_nulls().to_list() == ["too_short: 3 words"]
    assert set(VERDICT.names) <= set(verdicts.columns)


def test_corrected_row_differs_in_id_text_and_generator_alone(corrected: pl.DataFrame) -> None:
    before = rows(len(CASES)).filter(pl.col("review_id").is_in(corrected["corrected"].implode()))
    same = [name for name in SYNTHETIC_REVIEW.names if name not in {"review_id", "text", "generator"}]

    assert corrected.select(same).equals(before.select(same), null_equal=True)
    assert set(corrected["generator"]) == {"tests, corrected by people"}
    assert corrected["review_id"].n_unique() == corrected.height == 5
    assert not set(corrected["review_id"]) & set(before["review_id"])


def test_answers_to_rows_that_are_no_longer_there_are_left_aside() -> None:
    assert decide(responses(), rows(2))["review_id"].to_list() == ["synthetic:00", "synthetic:01"]


def test_nobody_answered() -> None:
    decided = decide(Responses(RESPONSE.to_frame(), []), rows(3))
    corrected = corrected_rows(decided, rows(3))
    assert with_outcome(decided, corrected, {}).is_empty()
    assert corrected.columns == ["corrected", *SYNTHETIC_REVIEW.names]


def gate(asked: int, sound: int, answered: int, **settings: Any) -> ReviewGate:
    return ReviewGate(asked=asked, sound=sound_share(sound, answered), settings=ReviewSettings.model_validate(settings))


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
