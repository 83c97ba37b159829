"""The synthesis assets with the embedded generator, on a small corpus with two sources."""

import csv
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from workflows_dagster.assets import synthesis
from workflows_dagster.checks.synthesis import (
    AUGMENTED_REVIEWS,
    SYNTHETIC_REVIEWS,
    VALID_SYNTHETICS,
)
from workflows_dagster.io_managers.published import PublishedIOManager
from workflows_dagster.lib.annotation.file_desk import unescape_formulas
from workflows_dagster.lib.annotation.training import TRAINING_REVIEW
from workflows_dagster.lib.artifact import write_table
from workflows_dagster.lib.audit import Audit
from workflows_dagster.lib.schema import CORPUS_REVIEW, SYNTHETIC_REVIEW
from workflows_dagster.lib.synthesis.augmentation import AugmentedReviews
from workflows_dagster.lib.synthesis.validation import ValidationSettings, ValidSynthetics
from workflows_dagster.resources.annotation import FileAnnotation
from workflows_dagster.resources.generator import RecombinationResource
from workflows_dagster.resources.store import COMMIT_KEY, StoreResource
from workflows_dagster_tests.lib.annotation.made_up import weak_training_record
from workflows_dagster_tests.lib.synthesis.made_up import synthetic_rows

ASSETS = [
    synthesis.class_balance,
    synthesis.synthetic_reviews,
    synthesis.valid_synthetics,
    synthesis.synthetic_request,
    synthesis.vetted_synthetics,
    synthesis.augmented_reviews,
]
SPOKEN = {
    "positive": ["love", "great", "perfect", "happy", "best"],
    "negative": ["awful", "broken", "refund", "cheap", "worst"],
    "neutral": ["okay", "average", "ordinary", "acceptable", "middling"],
}
THINGS = ["colour", "fabric", "seam", "button", "zip", "sleeve", "pocket", "collar", "lining", "hem", "fit", "price"]


def corpus(rows: int = 900) -> pl.DataFrame:
    """Reviews of three sentences whose words tell their class; a tenth each in validation and test."""
    rng = random.Random(7)
    records: list[dict[str, object]] = []
    for number in range(rows):
        label = rng.choices(["positive", "negative", "neutral"], [7, 2, 1])[0]
        sentences = [
            f"The {rng.choice(THINGS)} is {rng.choice(SPOKEN[label])} and the {rng.choice(THINGS)} looks "
            f"{rng.choice(SPOKEN[label])} after {rng.randrange(90)} days."
            for _ in range(3)
        ]
        records.append(
            {
                "review_id": f"shop:{number:05}",
                "source": "shop" if number % 4 else "posts",
                "batch": "b",
                "text": " ".join(sentences),
                "stars": None,
                "label": label,
                "label_source": "rating",
                "language": "en",
                "product_id": None,
                "group_key": f"g{number}",
                "created_at": None,
                "split": {0: "validation", 1: "test"}.get(number % 10, "train"),
            }
        )
    return pl.DataFrame(records, schema=pl.DataFrame(CORPUS_REVIEW.empty_table()).schema)


class _Empty:
    def to_metadata(self) -> dict[str, object]:
        return {}


def _write_training(folder: Path) -> _Empty:
    votes = {name: pl.lit(0, pl.Int32) for name in ("votes", "agreeing")}
    write_table(folder / "reviews.parquet", corpus().with_columns(**votes), TRAINING_REVIEW)
    weak_training_record(900).write(folder)
    return _Empty()


Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def desk(tmp_path: Path) -> FileAnnotation:
    return FileAnnotation(root=str(tmp_path / "annotation"))


@pytest.fixture
def materialize(store: StoreResource, instance: dg.DagsterInstance, desk: FileAnnotation) -> Run:
    """Materializes the stage and returns the result."""

    @dg.asset
    def training_reviews(context: dg.AssetExecutionContext, store: StoreResource) -> Any:
        yield from store.publish(context, _write_training)

    def run(**config: Any) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [training_reviews, synthesis.synthetic_verdicts, *ASSETS],
            instance=instance,
            resources={
                "store": store,
                "text_generator": RecombinationResource(),
                "annotation_desk": desk,
                "io_manager": PublishedIOManager(store=store),
            },
            run_config={"ops": {name: {"config": value} for name, value in config.items()}},
        )

    return run


def folders(result: dg.ExecuteInProcessResult, store: StoreResource) -> dict[str, Path]:
    names = ["training_reviews", *(asset.key.to_python_identifier() for asset in ASSETS)]
    commits = {name: str(result.asset_materializations_for_node(name)[0].metadata[COMMIT_KEY].value) for name in names}
    return {name: store.store().folder(name, commit) for name, commit in commits.items()}


def test_stage_adds_only_accepted_rows_to_train(materialize: Run, store: StoreResource) -> None:
    result = materialize()

    at = folders(result, store)
    validation = ValidSynthetics.read(at["valid_synthetics"])
    assert validation.rows_in == validation.rows_kept + validation.rows_rejected
    assert validation.rows_kept > 0
    assert validation.generator_is_stand_in
    assert validation.settings == ValidationSettings()
    assert AugmentedReviews.read(at["augmented_reviews"]).validation == validation
    augmented = pl.read_parquet(at["augmented_reviews"] / "reviews.parquet")
    added = augmented.filter(pl.col("label_source") == "synthetic")
    assert added.height == validation.rows_kept
    assert set(added["split"]) == {"train"}
    assert set(added["label"]) <= {"negative", "neutral"}
    assert augmented.filter(pl.col("label_source") != "synthetic").equals(corpus(), null_equal=True)
    assert [event.check_name for event in result.get_asset_check_evaluations() if not event.passed] == [
        "judged_sound"  # it warns: nobody has looked at them
    ]
    augmenting = result.asset_materializations_for_node("augmented_reviews")[0].metadata
    assert augmenting["synthesis/review"].value == (
        "Synthetic rows were not reviewed by people yet: they are trained on"
    )


def test_same_seed_gives_the_same_data_versions(materialize: Run, store: StoreResource) -> None:
    first, second = (folders(materialize(), store) for _ in range(2))
    other = folders(materialize(synthetic_reviews={"seed": 5}), store)

    assert first == second
    assert first["synthetic_reviews"] != other["synthetic_reviews"]


def test_nothing_is_made_when_nothing_is_wanted(materialize: Run, store: StoreResource) -> None:
    at = folders(materialize(class_balance={"target_ratio": 0.0}), store)
    assert pl.read_parquet(at["augmented_reviews"] / "reviews.parquet").height == 900


@pytest.fixture
def training(tmp_path: Path) -> Path:
    folder = tmp_path / "training"
    folder.mkdir()
    _write_training(folder)
    return folder


def synthetic_row(text: str, parent: str) -> pl.DataFrame:
    return synthetic_rows({"review_id": "synthetic:1", "text": text, "parent_ids": [parent]})


def bound_to_training(audits: Sequence[Audit], training: Path) -> list[Audit]:
    return [audit.bind({"training_reviews": training}) for audit in audits if audit.against == "training_reviews"]


@pytest.mark.parametrize(("parent", "passed"), [("shop:00002", True), ("shop:00000", False), ("nobody", False)])
def test_parent_outside_train_is_caught(training: Path, tmp_path: Path, parent: str, passed: bool) -> None:
    write_table(tmp_path / "synthetic.parquet", synthetic_row("any", parent), SYNTHETIC_REVIEW)
    [audit] = bound_to_training(SYNTHETIC_REVIEWS, training)
    assert audit.blocking
    assert audit.judge(tmp_path).passed is passed


@pytest.mark.parametrize(("row", "passed"), [(1, False), (2, True)])
def test_copy_of_a_test_row_is_caught(training: Path, tmp_path: Path, row: int, passed: bool) -> None:
    text = corpus()["text"][row]
    write_table(tmp_path / "reviews.parquet", synthetic_row(text, "shop:00002"), SYNTHETIC_REVIEW)
    [audit] = bound_to_training(VALID_SYNTHETICS, training)
    assert audit.judge(tmp_path).passed is passed


def test_changed_test_row_is_caught(training: Path, tmp_path: Path) -> None:
    changed = corpus().with_columns(text=pl.when(pl.col("split") == "test").then(pl.lit("x")).otherwise("text"))
    write_table(tmp_path / "reviews.parquet", changed, CORPUS_REVIEW)
    [audit] = bound_to_training(AUGMENTED_REVIEWS, training)
    verdict = audit.judge(tmp_path)
    assert not verdict.passed
    assert "['text']" in verdict.description


def answer(where: str, answers: dict[int, tuple[str, str]], annotator: str = "ann") -> dict[int, str]:
    """One person answers some rows of a form, each with a correction or an empty one; returns the ids by row."""
    form = Path(where)
    with form.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, (verdict, correction) in answers.items():
        rows[number] |= {"label": verdict, "correction": correction, "annotator": annotator}
    with form.with_name(f"synthetic-{annotator}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return {number: unescape_formulas(rows[number]["review_id"]) for number in answers}


def shown(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    return {name: value.value for name, value in result.asset_materializations_for_node(asset)[0].metadata.items()}


REVIEWED_ROWS = {"synthetic_request": {"rows": 30}}


def test_rows_that_people_reject_are_not_trained_on_and_corrected_ones_take_their_place(
    materialize: Run, store: StoreResource
) -> None:
    first = materialize(**REVIEWED_ROWS)
    form = shown(first, "synthetic_request")["annotation/where"]
    with Path(form).open(encoding="utf-8-sig", newline="") as file:
        asked = list(csv.DictReader(file))
    spoken = SPOKEN[asked[1]["meant_as"]]
    correction = (
        f"Bought from jo@example.org my coat is {spoken[0]} and its belt looks {spoken[1]}. "
        f"My sister says that each toggle was {spoken[2]} when we unpacked it. "
        f"Nobody here expected that any cuff could be {spoken[3]} on second wearing."
    )
    copied = corpus().filter(pl.col("split") == "test")["text"][0]
    answers = {number: ("keep", "") for number in range(30)}
    answers |= {0: ("reject", ""), 1: ("fix", correction), 2: ("fix", ""), 3: ("fix", copied)}
    ids = answer(form, answers)

    result = materialize(**REVIEWED_ROWS)

    at = folders(result, store)
    verdicts = pl.read_parquet(at["vetted_synthetics"] / "verdicts.parquet")
    outcomes = dict(verdicts.select("review_id", "outcome").iter_rows())
    said = {number: outcomes[ids[number]] for number in range(5)}
    assert said == {0: "rejected", 1: "fixed", 2: "no_correction", 3: "correction_refused", 4: "kept"}
    [refused] = verdicts.filter(pl.col("outcome") == "correction_refused")["detail"]
    assert refused.startswith("near_copy_of_held_out: similarity 1.00")
    before = pl.read_parquet(at["valid_synthetics"] / "reviews.parquet")
    added = pl.read_parquet(at["augmented_reviews"] / "reviews.parquet").filter(pl.col("label_source") == "synthetic")
    out = {ids[number] for number in range(4)}
    corrected = verdicts.filter(pl.col("outcome") == "fixed")["corrected_id"].item()
    assert set(added["review_id"]) == set(before["review_id"]) - out | {corrected}
    [text] = added.filter(pl.col("review_id") == corrected)["text"]
    assert text == correction.replace("jo@example.org", "[EMAIL]")
    kept = pl.read_parquet(at["vetted_synthetics"] / "reviews.parquet")
    own, taken = (frame.filter(pl.col("review_id") == id_) for frame, id_ in ((kept, corrected), (before, ids[1])))
    assert own["parent_ids"].to_list() == taken["parent_ids"].to_list()
    assert own["generator"].item() == f"{taken['generator'].item()}, corrected by people"
    assert all(event.passed for event in result.get_asset_check_evaluations())
    assert shown(result, "augmented_reviews")["synthesis/review"].startswith(
        "People find synthetic rows sound in 0.967 [0.833, 0.994] n=30"
    )


def test_no_synthetic_row_is_trained_on_where_people_find_too_few_sound(materialize: Run, store: StoreResource) -> None:
    first = materialize(**REVIEWED_ROWS)
    form = shown(first, "synthetic_request")["annotation/where"]
    answer(form, {number: ("reject" if number % 3 == 0 else "keep", "") for number in range(30)})

    result = materialize(**REVIEWED_ROWS)

    at = folders(result, store)
    assert pl.read_parquet(at["augmented_reviews"] / "reviews.parquet").equals(corpus(), null_equal=True)
    assert shown(result, "vetted_synthetics")["synthesis/review_standing"] == "unsound"
    record = AugmentedReviews.read(at["augmented_reviews"])
    assert record.rows_synthetic == 0
    assert record.review.sentence.endswith("none of them is trained on")
    assert [event.check_name for event in result.get_asset_check_evaluations() if not event.passed] == ["judged_sound"]


@pytest.mark.parametrize(("rows", "standing"), [(0, "not asked"), (30, "not reviewed")])
def test_nothing_is_trained_on_unseen_where_the_run_says_so(
    materialize: Run, store: StoreResource, rows: int, standing: str
) -> None:
    result = materialize(synthetic_request={"rows": rows}, vetted_synthetics={"when_unreviewed": "leave out"})

    assert shown(result, "vetted_synthetics")["synthesis/review_standing"] == standing
    assert pl.read_parquet(folders(result, store)["augmented_reviews"] / "reviews.parquet").height == 900
