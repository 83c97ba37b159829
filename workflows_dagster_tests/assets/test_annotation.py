"""The annotation assets with the file desk, from the sample to the labels that are trained on."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from workflows_dagster.assets import annotation
from workflows_dagster.checks.annotation import PILOT_SAMPLE, TRAINING_REVIEWS
from workflows_dagster.io_managers.published import PublishedIOManager
from workflows_dagster.lib.annotation.records import TrainingReviews
from workflows_dagster.lib.artifact import write_table
from workflows_dagster.lib.schema import CORPUS_REVIEW
from workflows_dagster.resources.annotation import FileAnnotation
from workflows_dagster.resources.store import COMMIT_KEY, StoreResource
from workflows_dagster_tests.lib.annotation.made_up import with_defaults

ASSETS = [
    annotation.pilot_sample,
    annotation.pilot_request,
    annotation.pilot_responses,
    annotation.pilot_labels,
    annotation.training_reviews,
]


def corpus(rows: int = 200) -> pl.DataFrame:
    """Labelled rows of two sources over all splits, and some without a label."""
    splits = ["train"] * 6 + ["validation", "test", "test", "none"]
    labels = ["positive", "positive", "negative", "neutral", "positive", "negative", "positive"]
    frame = pl.DataFrame({"number": range(rows)}).with_columns(
        review_id=pl.format("shop:{}", pl.col("number").cast(pl.String).str.zfill(5)),
        source=pl.when(pl.col("number") % 3 == 0).then(pl.lit("posts")).otherwise(pl.lit("shop")),
        text=pl.format("=review number {}", "number"),
        split=pl.Series([splits[number % 10] for number in range(rows)]),
        label=pl.Series([None if splits[number % 10] == "none" else labels[number % 7] for number in range(rows)]),
    )
    rated = pl.when(pl.col("label").is_not_null()).then(pl.lit("rating"))
    return with_defaults(frame.with_columns(label_source=rated)).sort("review_id")


@pytest.fixture
def materialize(tmp_path: Path, store: StoreResource) -> Iterator[Any]:
    """Materializes the stage on the corpus and returns the result."""
    desk = FileAnnotation(root=str(tmp_path / "annotation"))
    instance = dg.DagsterInstance.ephemeral()

    @dg.asset
    def review_corpus(context: dg.AssetExecutionContext, store: StoreResource) -> Any:
        yield from store.publish(context, _write_corpus)

    def run(*, raise_on_error: bool = True, unfinished: str = "weak", **config: Any) -> dg.ExecuteInProcessResult:
        config["pilot_labels"] = {"unfinished": unfinished, **config.get("pilot_labels", {})}
        config.setdefault("pilot_request", {"minimum_annotators": 1, "calibration_rows": 0})
        return dg.materialize(
            [review_corpus, *ASSETS],
            raise_on_error=raise_on_error,
            instance=instance,
            resources={
                "store": store,
                "annotation_desk": desk,
                "io_manager": PublishedIOManager(store=store),
            },
            run_config={"ops": {name: {"config": value} for name, value in config.items()}},
        )

    with instance:
        yield run


class _Empty:
    def to_metadata(self) -> dict[str, object]:
        return {}


def _write_corpus(folder: Path) -> _Empty:
    write_table(folder / "reviews.parquet", corpus(), CORPUS_REVIEW)
    return _Empty()


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    [event] = result.asset_materializations_for_node(asset)
    return {key: value.value for key, value in event.metadata.items()}


def published(result: dg.ExecuteInProcessResult, store: StoreResource, asset: str) -> Path:
    return store.store().folder(asset, metadata(result, asset)[COMMIT_KEY])


def answer(form: Path, labels: dict[int, str], annotator: str = "ann") -> dict[str, str]:
    """Fills in some rows of a form and returns the labels by id."""
    with form.open(encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    place = {name: header.index(name) for name in header}
    for number, label in labels.items():
        rows[number][place["label"]], rows[number][place["annotator"]] = label, annotator
    with form.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=";").writerows([header, *rows])
    return {rows[number][place["review_id"]]: label for number, label in labels.items()}


def test_chain_goes_on_with_weak_labels_until_people_answer(materialize: Any, store: StoreResource) -> None:
    result = materialize()

    shown = metadata(result, "training_reviews")
    assert shown["annotation/status"] == "waiting"
    assert "weak labels only" in shown["annotation/note"]
    record = TrainingReviews.read(published(result, store, "training_reviews"))
    assert record.label_sources == {"rating": 180}
    assert (record.status, record.human_rows) == ("waiting", 0)


def test_unfinished_round_fails_with_progress_where_the_run_does_not_go_on(materialize: Any) -> None:
    result = materialize(unfinished="fail", raise_on_error=False, pilot_sample={"rows": 20})

    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_key == "pilot_labels"
    said = failure.step_failure_data.user_failure_data.description
    form = metadata(result, "pilot_request")["annotation/where"]
    assert f"0 of 20 reviews are answered in {form}" in said
    assert "unfinished: weak" in said
    assert not result.asset_materializations_for_node("training_reviews")


def test_human_labels_outrank_weak_ones(materialize: Any, store: StoreResource) -> None:
    first = materialize(pilot_sample={"rows": 20})
    form = Path(metadata(first, "pilot_request")["annotation/where"])
    given = answer(form, dict.fromkeys(range(20), "Neutral "))

    # The round is finished: no run has to say that it goes on without answers.
    second = materialize(unfinished="fail", pilot_sample={"rows": 20}, pilot_labels={"when_unmeasured": "accept"})

    rows = pl.read_parquet(published(second, store, "training_reviews") / "reviews.parquet")
    human = rows.filter(pl.col("label_source") == "human")
    assert set(human["review_id"]) == set(given)
    assert set(human["label"]) == {"neutral"}
    weak = corpus().filter(pl.col("review_id").is_in(list(given)), pl.col("label") != "neutral").height
    assert metadata(second, "training_reviews")["annotation/human_differs_rows"] == weak
    assert metadata(second, "pilot_labels")["annotation/status"] == "complete"
    # The same sample asked again is the same version: nothing downstream of it wakes.
    commits = [metadata(result, "pilot_request")[COMMIT_KEY] for result in (first, second)]
    assert commits[0] == commits[1]


def two_people(materialize: Any, labels: str, other_labels: str) -> dict[str, str]:
    """Has two people answer a pilot of 20, their answers repeating those given, and returns those of the first."""
    names = {"p": "positive", "n": "negative", "u": "neutral"}
    first = materialize(pilot_sample={"rows": 20})
    form = Path(metadata(first, "pilot_request")["annotation/where"])
    empty = form.read_bytes()
    given = answer(form, {row: names[labels[row % len(labels)]] for row in range(20)})
    other = form.with_name("pilot-bob.csv")
    other.write_bytes(empty)
    answer(other, {row: names[other_labels[row % len(other_labels)]] for row in range(20)}, "bob")
    return given


def test_people_who_agree_are_trained_on_with_their_votes(materialize: Any, store: StoreResource) -> None:
    given = two_people(materialize, "ppnnu", "ppnnu")

    result = materialize(pilot_sample={"rows": 20}, pilot_labels={"minimum_rows": 20})

    rows = pl.read_parquet(published(result, store, "training_reviews") / "reviews.parquet")
    human = rows.filter(pl.col("label_source") == "human")
    assert dict(human.select("review_id", "label").iter_rows()) == given
    assert set(human.select("votes", "agreeing").rows()) == {(2, 2)}
    assert set(rows.filter(pl.col("label_source") != "human").select("votes", "agreeing").rows()) == {(0, 0)}
    gold = human.filter(pl.col("split") == "test").height
    assert metadata(result, "training_reviews")["annotation/gold_rows"] == gold > 0
    assert metadata(result, "pilot_labels")["annotation/agreement_standing"] == "sufficient"


def test_people_who_disagree_hold_training_back_unless_the_run_says_weak(
    materialize: Any, store: StoreResource
) -> None:
    two_people(materialize, "ppnnu", "pnnpp")

    result = materialize(raise_on_error=False, pilot_sample={"rows": 20}, pilot_labels={"minimum_rows": 20})

    # What people said is published, so that the next round can be made of it; nothing is trained on it.
    asked_next = pl.read_parquet(published(result, store, "pilot_labels") / "next_round.parquet")
    assert asked_next.filter(pl.col("reason") == "disagreement").height == 12
    [check] = [one for one in result.get_asset_check_evaluations() if not one.passed and one.blocking]
    assert check.check_name == "rest_on_agreement"
    assert "Training is held back" in (check.description or "")
    assert not result.asset_materializations_for_node("training_reviews")

    weak = materialize(pilot_sample={"rows": 20}, pilot_labels={"minimum_rows": 20, "when_insufficient": "weak"})

    rows = pl.read_parquet(published(weak, store, "training_reviews") / "reviews.parquet")
    assert "human" not in set(rows["label_source"])
    assert rows.filter(pl.col("votes") == 2).height == 20
    assert metadata(weak, "training_reviews")["annotation/note"].startswith("weak labels only. Krippendorff's alpha")


def test_refused_answers_are_published_and_reported(materialize: Any, store: StoreResource) -> None:
    first = materialize(pilot_sample={"rows": 10})
    answer(Path(metadata(first, "pilot_request")["annotation/where"]), {0: "positive", 1: "meh"})

    second = materialize(pilot_sample={"rows": 10})

    rejects = pl.read_parquet(published(second, store, "pilot_labels") / "rejects.parquet")
    assert rejects.select("row", "reason", "given").rows() == [(2, "unknown_label", "meh")]
    [check] = [event for event in second.get_asset_check_evaluations() if event.check_name == "every_answer_counts"]
    assert (check.passed, check.blocking) == (False, False)
    assert metadata(second, "pilot_labels")["annotation/status"] == "partial"


def test_folder_is_the_same_whatever_the_order_of_runs(materialize: Any, store: StoreResource) -> None:
    first, second = (materialize() for _ in range(2))
    for asset in ("pilot_sample", "pilot_request", "pilot_labels", "training_reviews"):
        commits = [metadata(result, asset)[COMMIT_KEY] for result in (first, second)]
        assert len({store.store().version(asset, commit).digest for commit in commits}) == 1


def test_moved_split_is_caught(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for folder, frame in ((before, corpus()), (after, corpus().with_columns(split=pl.lit("train")))):
        folder.mkdir()
        write_table(folder / "reviews.parquet", frame, CORPUS_REVIEW)

    corpora = {"review_corpus": before}
    [audit] = [audit.bind(corpora) for audit in TRAINING_REVIEWS if audit.against == "review_corpus"]

    assert audit.blocking
    assert audit.judge(before).passed
    verdict = audit.judge(after)
    assert not verdict.passed
    assert "['split']" in verdict.description


def test_next_round_asks_what_was_disputed_and_leaves_settled_rows_alone(
    materialize: Any, store: StoreResource
) -> None:
    given = two_people(materialize, "ppnnu", "pnnpp")
    weak = {"minimum_rows": 20, "when_insufficient": "weak"}
    first = materialize(pilot_sample={"rows": 20}, pilot_labels=weak)
    asked_next = pl.read_parquet(published(first, store, "pilot_labels") / "next_round.parquet")

    second = materialize(pilot_sample={"rows": 20, "round": 2}, pilot_labels=weak)

    pilot = pl.read_parquet(published(second, store, "pilot_sample") / "pilot.parquet")
    again = pilot.filter(pl.col("review_id").is_in(list(given)))
    assert not again.is_empty()
    assert set(again["review_id"]) <= set(asked_next["review_id"])
    assert set(again["split"]) == {"train"}
    assert set(again["pick"]) <= {"disputed", "suspect"}
    assert all(
        check.passed for check in second.get_asset_check_evaluations() if check.asset_key == dg.AssetKey("pilot_sample")
    )
    assert metadata(second, "pilot_sample")["annotation/round"] == 2
    # What it was drawn with, though no edge leads there, is seen in the graph.
    [observed] = second.asset_observations_for_node("pilot_sample")
    assert observed.asset_key == dg.AssetKey("earlier_answers")
    assert observed.metadata["store/commit_id"].value == metadata(first, "pilot_labels")["store/commit_id"]
    # It is the round under way from now on, and another round at the desk.
    third = materialize(pilot_sample={"rows": 20}, pilot_labels=weak)
    rounds = [metadata(result, "pilot_request")["annotation/round_id"] for result in (first, second, third)]
    assert rounds[0] != rounds[1] == rounds[2]


def test_round_without_answers_before_it_fails_before_anything_is_published(materialize: Any) -> None:
    with pytest.raises(dg.Failure, match="cannot be drawn without what people answered in round 1"):
        materialize(pilot_sample={"rows": 20, "round": 2})


def test_test_row_that_was_picked_is_caught(materialize: Any, store: StoreResource, tmp_path: Path) -> None:
    result = materialize(pilot_sample={"rows": 20})
    audits = {one.name: one for one in PILOT_SAMPLE}
    drawn = published(result, store, "pilot_sample")
    audit = audits["test_rows_are_random"].bind({"review_corpus": published(result, store, "review_corpus")})
    folder = tmp_path / "changed"
    shutil.copytree(drawn, folder)
    pilot = pl.read_parquet(drawn / "pilot.parquet")
    other = corpus().filter(pl.col("split") == "test", ~pl.col("review_id").is_in(pilot["review_id"].implode()))
    swapped = pilot.filter(pl.col("split") == "test")["review_id"][0]
    pilot.with_columns(pl.col("review_id").replace({swapped: other["review_id"][0]})).write_parquet(
        folder / "pilot.parquet"
    )

    assert audit.judge(drawn).passed
    verdict = audit.judge(folder)
    assert verdict.description == "of 10 test rows 0 were picked, and 1 are not those that the seed draws"
    assert not verdict.passed
