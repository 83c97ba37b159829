"""Candidates of the next round; label errors among texts whose words give the true label away."""

from pathlib import Path

import polars as pl
import pytest

from workflows_dagster.lib.annotation import libraries
from workflows_dagster.lib.annotation.next_round import SUSPECT, candidates, find_suspects
from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import MissingExtraError
from workflows_dagster_tests.lib.annotation.made_up import artifact

WORDS = {
    "positive": ["great", "love", "perfect", "comfortable", "recommend"],
    "negative": ["awful", "broken", "return", "refund", "waste"],
    "neutral": ["okay", "average", "delivered", "ordinary", "size"],
}
NOBODY = pl.DataFrame(schema={"review_id": pl.String, "human": pl.String})


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


def reviews(rows: int = 240) -> pl.DataFrame:
    """Reviews of three words of their class each; every fourth is of the validation split."""
    labels = list(WORDS)
    return pl.DataFrame(
        {
            "review_id": [f"r{number:03}" for number in range(rows)],
            "text": [
                " ".join(WORDS[labels[number % 3]][(number // 3 + step * (1 + number % 2)) % 5] for step in range(3))
                for number in range(rows)
            ],
            "label": [labels[number % 3] for number in range(rows)],
            "label_source": ["rating"] * rows,
            "group_key": [f"g{number // 2:03}" for number in range(rows)],
            "split": [("train", "test", "train", "validation")[number % 4] for number in range(rows)],
        }
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Artifact:
    return artifact(tmp_path, "review_corpus")


def mislabel(frame: pl.DataFrame, **labels: str) -> pl.DataFrame:
    return frame.with_columns(
        label=pl.col("review_id").replace_strict(labels, default=pl.col("label"), return_dtype=pl.String)
    )


def write(corpus: Artifact, frame: pl.DataFrame) -> None:
    frame.write_parquet(corpus.folder / "reviews.parquet")


def test_wrong_labels_are_found_in_train_and_test_alone(corpus: Artifact) -> None:
    # r000 and r001 are positive and negative in truth, of train and test; r003 is of validation.
    write(corpus, mislabel(reviews(), r000="negative", r001="positive", r003="negative"))

    found = find_suspects(corpus, NOBODY, 1000, 10)

    assert set(found.table["review_id"]) == {"r000", "r001"}
    assert found.table.schema == SUSPECT
    assert (found.looked_at, found.found, found.note) == (180, 2, None)
    assert found.table["score"].is_between(0.5, 1).all()


def test_human_label_replaces_the_weak_one_and_may_itself_be_suspect(corpus: Artifact) -> None:
    write(corpus, mislabel(reviews(), r000="negative"))
    slips = ["r002", "r005", "r008", "r014"]
    human = pl.DataFrame({"review_id": ["r000", *slips], "human": ["positive"] + ["negative"] * 4})

    found = find_suspects(corpus, human, 1000, 10)

    assert dict(found.table.select("review_id", "label_source").iter_rows()) == dict.fromkeys(slips, "human")


def test_list_is_cut_and_does_not_depend_on_the_order_of_the_corpus(corpus: Artifact) -> None:
    wrong = mislabel(reviews(), r000="negative", r001="positive", r002="positive")
    write(corpus, wrong)
    first = find_suspects(corpus, NOBODY, 100, 2)
    write(corpus, wrong.sample(fraction=1, shuffle=True, seed=3))
    second = find_suspects(corpus, NOBODY, 100, 2)

    assert first.table.equals(second.table)
    assert first.looked_at == 100
    assert first.table.height <= 2


@pytest.mark.parametrize(
    "frame",
    [reviews().head(0), reviews().filter(pl.col("label") == "positive"), reviews(3)],
    ids=["empty", "one class", "one group a class"],
)
def test_too_few_labels_to_learn_from_are_said_so(corpus: Artifact, frame: pl.DataFrame) -> None:
    write(corpus, frame)
    found = find_suspects(corpus, NOBODY, 1000, 10)
    assert (found.table.height, found.looked_at) == (0, 0)
    assert found.note is not None
    assert found.note.startswith("no model can be fitted to")


def test_texts_without_words_do_no_harm(corpus: Artifact) -> None:
    write(corpus, reviews().with_columns(text=pl.lit("!!!")))
    assert find_suspects(corpus, NOBODY, 1000, 10).looked_at == 180


def test_missing_library_is_named_with_its_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"the consensus needs .*no_such_library.*annotate"):
        libraries.load("no_such_library.aggregation", "the consensus")
