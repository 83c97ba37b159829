"""What judges weak labels: the released model as it was exported, or one of counted words that saw no row it judges."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from workflows_dagster.lib.annotation.rounds import Opening
from workflows_dagster.lib.annotation.scoring import score
from workflows_dagster.lib.annotation.word_model import embed_words, out_of_fold
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.export.exported_model import export_model, load_exported
from workflows_dagster.lib.export.settings import ExportSettings
from workflows_dagster.lib.schema import LABELS
from workflows_dagster_tests.lib.release.made_up import ExportedChain


def labelled(*rows: tuple[str, str, str]) -> pl.DataFrame:
    """Rows of text, label and split, each a group of its own."""
    frame = pl.DataFrame(list(rows), schema=["text", "label", "split"], orient="row")
    ids = pl.format("r{}", pl.int_range(pl.len()).cast(pl.String).str.zfill(3))
    return frame.with_columns(review_id=ids, group_key=ids)


KNOWN = (("great", "positive"), ("awful", "negative"))


def test_words_judge_rows_that_they_did_not_learn() -> None:
    """Each text is unlike all others but for one word: a model that had seen it would give it its own label."""
    rows = [(f"{word} {word}{number}", label, "train") for number in range(20) for word, label in KNOWN]
    wrong = ("great great99", "negative", "train")

    judgement = score(labelled(*rows, wrong), Opening(), "words")

    table = judgement.table
    assert judgement.agent == "words"
    assert table["disagreement"][-1] > 0.5
    assert table.head(len(rows))["disagreement"].max() == 0
    assert table.head(len(rows))["confidence"].min() > 0.5  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]


def test_words_learn_nothing_from_test_rows() -> None:
    train = [(f"{word} {word}{number}", label, "train") for number in range(10) for word, label in KNOWN]
    lies = [(f"great lie{number}", "negative", "test") for number in range(40)]

    judged = score(labelled(*train, *lies), Opening(), "words").table

    assert judged.head(len(train))["disagreement"].max() == 0
    assert judged.tail(len(lies))["disagreement"].min() > 0.5  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]


def test_nothing_judges_where_nothing_was_asked_to() -> None:
    judgement = score(labelled(("great", "positive", "train")), Opening(), "none")

    assert judgement.agent is None
    assert judgement.table.null_count().row(0) == (1, 1, 1)


def test_out_of_fold_probabilities_are_those_of_all_classes() -> None:
    texts = ["great soft", "awful torn", "okay size"] * 10
    folds = np.repeat(np.arange(5, dtype=np.int8), 6)
    ids = np.array([0, 1, 2] * 10)

    found = out_of_fold(texts, ids, folds, np.ones(30, dtype=bool))

    assert found.sum(axis=1) == pytest.approx(np.ones(30))
    assert (found.argmax(axis=1) == ids).all()


@pytest.mark.parametrize("texts", [["great"], ["great", "great"], ["", "!!!"], ["a great shirt", "", "an awful shirt"]])
def test_word_vectors_are_of_length_one_or_zero(texts: list[str]) -> None:
    vectors = embed_words(texts)

    assert len(vectors) == len(texts)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.isclose(lengths, 1, atol=1e-3) | (lengths == 0) == pytest.approx(np.ones(len(texts)))


@pytest.mark.slow
def test_released_model_judges_as_it_was_exported(
    tmp_path: Path, tiny_merged: Artifact, tiny_reviews: Artifact
) -> None:
    exported = tmp_path / "exported"
    exported.mkdir()
    settings = ExportSettings(parity_rows=10, min_agreement=0.0)
    export_model(tiny_merged, tiny_reviews, "torch-fp32", settings, exported)
    chain = ExportedChain(tmp_path, exported)
    rows = tiny_reviews.scan().collect()
    release = chain.release(rows, b"\x01", {"r020": "positive"})

    judgement = score(rows, Opening(released=release, store=chain.store), "released")

    assert judgement.agent == release.tag == "release-1"
    assert "may have been trained on these labels" in judgement.note
    expected = load_exported(exported).predict(rows["text"].to_list())
    ids = [LABELS.index(label) for label in rows["label"]]
    own = np.array([row[place] for row, place in zip(expected, ids, strict=True)])
    assert judgement.table["confidence"].to_numpy() == pytest.approx(own, abs=1e-4)
    assert (judgement.table["disagreement"].to_numpy() > 0).tolist() == (expected.max(axis=1) > own).tolist()
