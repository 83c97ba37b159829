"""The folder of pilot_labels: facts of the round, the same bytes for the same answers."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from workflows_dagster.lib.annotation.agreement import Resampling
from workflows_dagster.lib.annotation.consensus import EARLIER_FILE, EARLIER_LABEL
from workflows_dagster.lib.annotation.desk import (
    REASON,
    RESPONSE,
    UNFINISHED,
    AnnotationRound,
    Deadline,
    RejectedResponse,
    ResponseReason,
    Responses,
    RoundStatus,
)
from workflows_dagster.lib.annotation.labels import LabelsSettings, build_pilot_labels, judge_weak_labels
from workflows_dagster.lib.annotation.records import PilotLabels, PilotRequest, RoundReport
from workflows_dagster.lib.annotation.sample import PILOT_FILE
from workflows_dagster.lib.artifact import Markdown, write_table
from workflows_dagster.lib.hashing import digest_folder
from workflows_dagster.lib.schema import LABELS
from workflows_dagster_tests.lib.annotation.made_up import START, corpus_of, with_defaults

REQUEST = PilotRequest(
    round_id="r1",
    rows=6,
    minimum_annotators=2,
    calibration_rows=0,
    calibration_annotators=None,
    asked_reason="none",
    deadline=Deadline(),
    desk="made up",
    labels=LABELS,
    guidelines="",
)


class AnsweredDesk:
    """A desk whose round is answered as given."""

    def __init__(self, rows: int, responses: Responses) -> None:
        self._rows, self._responses = rows, responses

    def request(self, annotation_round: AnnotationRound) -> RoundStatus:
        """Not asked here."""
        raise NotImplementedError(annotation_round.round_id)

    def status(self, round_id: str) -> RoundStatus:
        """Two answers complete a review."""
        table, rejected = self._responses.table, len(self._responses.rejected)
        answered_twice = table.group_by("review_id").len().filter(pl.col("len") > 1).height
        return RoundStatus(round_id, "made up", "nowhere", self._rows, answered_twice, table.height, rejected)

    def responses(self, round_id: str) -> Responses:
        """As given."""
        assert round_id == "r1"
        return self._responses


def reviews(rows: int) -> pl.DataFrame:
    number = pl.int_range(rows, eager=True)
    frame = pl.DataFrame({"number": number}).select(
        review_id=pl.format("r{}", pl.col("number").cast(pl.String).str.zfill(6)),
        text=pl.format("word{} and word{}", pl.col("number") % 3, pl.col("number") % 50),
        label=pl.Series([LABELS[place % 3] for place in number], dtype=pl.String),
        split=pl.when(pl.col("number") % 2 == 0).then(pl.lit("train")).otherwise(pl.lit("test")),
    )
    return with_defaults(frame)


def answered(rows: int, people: Sequence[str], right: float, seed: int = 1) -> pl.DataFrame:
    """Everybody answers every review, right as often as given, ten seconds apart."""
    rng = np.random.default_rng(seed)
    table: list[tuple[str, str, str, datetime]] = []
    for person in people:
        truth = np.arange(rows) % 3
        given = np.where(rng.random(rows) < right, truth, rng.integers(0, 3, rows))
        table += [
            (f"r{number:06}", person, LABELS[label], START + timedelta(seconds=10 * number))
            for number, label in enumerate(given.tolist())
        ]
    return pl.DataFrame(table, schema=RESPONSE, orient="row").sort("review_id", "annotator")


def build(
    tmp_path: Path, rows: int, responses: Responses, name: str = "out", **settings: object
) -> tuple[Path, RoundReport[PilotLabels]]:
    inputs = tmp_path / "inputs"
    inputs_of_all = corpus_of(inputs, reviews(rows))
    reviews(rows).with_columns(weight=pl.lit(1.0)).write_parquet(inputs / PILOT_FILE)
    write_table(inputs / EARLIER_FILE, pl.DataFrame(pl.from_arrow(EARLIER_LABEL.empty_table())), EARLIER_LABEL)
    REQUEST.write(inputs)
    folder = tmp_path / name
    folder.mkdir()
    desk = AnsweredDesk(rows, responses)
    report = build_pilot_labels(
        inputs_of_all,
        inputs_of_all,
        inputs_of_all,
        desk,
        LabelsSettings.model_validate({"unfinished": "weak", **settings}),
        folder,
    )
    return folder, report


def test_waiting_round_gives_empty_tables_and_says_so(tmp_path: Path) -> None:
    folder, report = build(tmp_path, 6, Responses(RESPONSE.to_frame(), []))

    heights = {path.name: pl.read_parquet(path).height for path in folder.glob("*.parquet")}
    names = ["earlier_labels", "labels", "next_round", "reasons", "rejects", "responses"]
    assert heights == {f"{name}.parquet": 0 for name in names}
    record = PilotLabels.read(folder)
    assert (record.status, record.gate.trusted, record.gate.standing) == ("waiting", False, "no answers")
    assert record.agreement.alpha["ordinal"] is None
    assert "annotation/alpha" not in report.to_metadata()
    assert "undefined" in str(report.to_metadata()["annotation/agreement_verdict"])


def test_why_people_answered_is_kept(tmp_path: Path) -> None:
    table = answered(6, ["ann", "bob"], 1.0)
    said = pl.DataFrame([("r000001", "ann", "two feelings in one review")], schema=REASON, orient="row")
    folder, _ = build(tmp_path, 6, Responses(table, [], reasons=said))
    assert pl.read_parquet(folder / "reasons.parquet").rows() == said.rows()


def test_answered_round_is_measured_and_reported(tmp_path: Path) -> None:
    table = answered(90, ["ann", "bob", "cem"], 0.9)
    left = pl.DataFrame([("r000001", "dan", "discarded")], schema=UNFINISHED, orient="row")
    refused = RejectedResponse("form", 3, None, "ann", ResponseReason.UNKNOWN_LABEL, "meh", "a label")

    folder, report = build(tmp_path, 90, Responses(table, [refused], left))

    labels = pl.read_parquet(folder / "labels.parquet")
    assert labels.height == 90
    assert set(labels["votes"]) == {3}
    record = PilotLabels.read(folder)
    assert record == report.record
    assert (record.gate.trusted, record.gate.standing, record.agreement.pairs) == (True, "sufficient", 270)
    shown = report.to_metadata()
    assert isinstance(shown["annotation/agreement"], Markdown)
    assert "| Cohen's kappa, ann & bob |" in shown["annotation/agreement"].text
    annotators = shown["annotation/annotators"]
    assert isinstance(annotators, Markdown)
    assert "| dan | 0 | 1 | 0 | undefined" in annotators.text
    assert [(one.name, one.seconds_per_answer) for one in record.annotators] == [
        *((name, 10.0) for name in ("ann", "bob", "cem")),
        ("dan", None),
    ]
    # The weak labels are the truth here: people confirm them as often as their majority is right.
    majority_right = (labels["label"] == reviews(90)["label"]).sum() / labels["label"].count()
    assert record.weak_labels.accuracy is not None
    assert record.weak_labels.accuracy.value == pytest.approx(majority_right)
    asked_next = pl.read_parquet(folder / "next_round.parquet").filter(pl.col("reason") == "disagreement")
    assert asked_next.height == labels.filter(pl.col("agreeing") < 3).height


def test_same_answers_give_the_same_bytes_in_whatever_order(tmp_path: Path) -> None:
    table = answered(60, ["ann", "bob"], 0.8)
    # Saved again, at another time: the desk of files knows no other times.
    later = table.with_columns(submitted_at=pl.lit(START, pl.Datetime("us", "UTC")))
    shuffled = later.sample(fraction=1, shuffle=True, seed=5).sort("review_id", "annotator")
    earlier = table.with_columns(submitted_at=pl.lit(START - timedelta(days=1), pl.Datetime("us", "UTC")))

    first, _ = build(tmp_path, 60, Responses(earlier, []), "first")
    second, _ = build(tmp_path, 60, Responses(shuffled, []), "second")

    assert digest_folder(first) == digest_folder(second)


def test_single_answers_leave_agreement_undefined(tmp_path: Path) -> None:
    folder, report = build(tmp_path, 60, Responses(answered(60, ["ann"], 0.5), []))

    gate = report.record.gate
    assert (gate.standing, gate.alpha, gate.trusted) == ("unmeasured", None, False)
    assert "it is not 0" in gate.sentence
    assert pl.read_parquet(folder / "labels.parquet")["label"].count() == 60
    # They are not trained on, so they are no suspects either: the weak labels are, and here all of them are right.
    assert pl.read_parquet(folder / "next_round.parquet").is_empty()


FEW = Resampling(resamples=200)


def test_weak_labels_are_judged_where_both_are_known() -> None:
    labels = pl.DataFrame({"review_id": list("abcde"), "label": ["positive", "negative", "neutral", None, "negative"]})
    weak = pl.DataFrame(
        {
            "review_id": list("abcdf"),
            "weak": ["positive", "positive", "positive", "negative", "negative"],
            "weight": 1.0,
        }
    )

    found = judge_weak_labels(labels, weak, FEW)

    # a, b and c are known to both: one of three is confirmed.
    assert found.accuracy is not None
    assert (found.accuracy.value, found.accuracy.n) == (pytest.approx(1 / 3), 3)
    assert dict(found.changes) == {"positive->negative": 1, "positive->neutral": 1}
    assert {label: one and one.n for label, one in found.by_label.items()} == {
        "negative": None,
        "neutral": None,
        "positive": 3,
    }


def test_weak_labels_are_unjudged_without_answers() -> None:
    nothing = pl.DataFrame(schema={"review_id": pl.String, "label": pl.String})
    found = judge_weak_labels(nothing, pl.DataFrame({"review_id": ["a"], "weak": ["positive"], "weight": [1.0]}), FEW)
    assert (found.accuracy, dict(found.changes)) == (None, {})


def test_rows_that_were_picked_do_not_count_and_random_ones_count_for_their_stratum() -> None:
    labels = pl.DataFrame({"review_id": list("abcd"), "label": ["positive", "negative", "negative", "neutral"]})
    weak = pl.DataFrame(
        {
            "review_id": list("abcd"),
            "weak": ["positive", "positive", "positive", "neutral"],
            "weight": [6.0, 2.0, None, 2.5],
        }
    )

    found = judge_weak_labels(labels, weak, FEW)

    # Confirmed: a and d, which stand for 8.5 of 10.5 rows. c was picked for looking wrong.
    assert found.accuracy is not None
    assert (found.accuracy.value, found.accuracy.n) == (pytest.approx(8.5 / 10.5), 3)
    assert found.by_label["positive"] is not None
    assert found.by_label["positive"].value == pytest.approx(6 / 8)
    assert dict(found.changes) == {"positive->negative": 2}


@pytest.mark.slow
def test_five_thousand_reviews_of_three_people_take_seconds(tmp_path: Path) -> None:
    started = time.perf_counter()
    _, report = build(tmp_path, 5_000, Responses(answered(5_000, ["ann", "bob", "cem"], 0.85), []))
    assert report.record.agreement.pairs == 15_000
    print(f"{time.perf_counter() - started:.1f} s")
