"""Row choice and class weights."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows_dagster.lib.artifact import Artifact
from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.finetuning.sampling import choose_rows, class_weights, sentence_rows, stratified
from workflows_dagster.lib.finetuning.settings import FineTuningSettings


def _rows(counts: dict[tuple[str, str], int]) -> pl.DataFrame:
    rows = [
        {"review_id": f"{source}-{label}-{index}", "label": label, "source": source}
        for (label, source), count in counts.items()
        for index in range(count)
    ]
    return pl.DataFrame(rows)


def test_stratified_keeps_the_shares_of_label_and_source() -> None:
    rows = _rows({("positive", "shop"): 60, ("negative", "shop"): 20, ("neutral", "posts"): 20})
    kept = stratified(rows, 10, seed=1)
    assert dict(kept.group_by("label", "source").len().select("label", "len").iter_rows()) == {
        "positive": 6,
        "negative": 2,
        "neutral": 2,
    }


def test_stratified_keeps_all_rows_below_the_limit() -> None:
    rows = _rows({("positive", "shop"): 3})
    assert stratified(rows, 3, seed=1).height == 3


@given(st.permutations(range(12)), st.integers(1, 12))
def test_stratified_does_not_depend_on_the_order_of_rows(order: list[int], limit: int) -> None:
    rows = _rows({("positive", "shop"): 7, ("negative", "shop"): 3, ("neutral", "posts"): 2})
    assert stratified(rows[order], limit, seed=3).equals(stratified(rows, limit, seed=3))


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("none", [1.0, 1.0, 1.0]),
        # n / (3 * count): 16 / (3 * 1), 16 / (3 * 4), 16 / (3 * 11)
        ("balanced", [16 / 3, 4 / 3, 16 / 33]),
    ],
)
def test_class_weights_have_mean_one_over_rows(scheme: str, expected: list[float]) -> None:
    assert class_weights([1, 4, 11], scheme) == pytest.approx(expected)  # pyright: ignore[reportArgumentType]


def test_square_root_weights_lie_between() -> None:
    # Inverse roots of 1, 4, 9 are 1, 1/2, 1/3; the rows' mean is (1 + 2 + 3) / 14.
    assert class_weights([1, 4, 9], "sqrt") == pytest.approx([14 / 6, 7 / 6, 7 / 9])


def test_chosen_rows_are_limited_per_split(tiny_reviews: Artifact, tiny_settings: FineTuningSettings) -> None:
    settings = tiny_settings.model_copy(update={"max_train_rows": 6, "max_validation_rows": 3})
    rows = choose_rows(tiny_reviews.scan(), settings)
    assert (rows.train.height, rows.validation.height, rows.test.height) == (6, 3, 12)
    assert rows.available == {"train": 24, "validation": 9, "test": 12}


def test_rows_that_people_labelled_are_never_left_out(
    tiny_reviews: Artifact, tiny_settings: FineTuningSettings
) -> None:
    test = pl.col("split") == "test"
    ids = tiny_reviews.scan().filter(test).select("review_id").collect()["review_id"].sort()
    people = pl.when(pl.col("review_id").is_in(ids[:4].implode())).then(pl.lit("human")).otherwise("label_source")
    reviews = tiny_reviews.scan().with_columns(label_source=people)

    for limit in (3, 5):
        rows = choose_rows(reviews, tiny_settings.model_copy(update={"max_test_rows": limit}))
        assert rows.test.height == limit
        assert set(rows.test.filter(pl.col("label_source") == "human")["review_id"]) <= set(ids[:4])
        assert rows.test.filter(pl.col("label_source") == "human").height == min(limit, 4)


def test_missing_class_is_refused_with_its_name(tiny_reviews: Artifact, tiny_settings: FineTuningSettings) -> None:
    reviews = tiny_reviews.scan().filter(~((pl.col("split") == "train") & (pl.col("label") == "neutral")))
    with pytest.raises(NotEnoughDataError, match="no neutral in 16 rows"):
        choose_rows(reviews, tiny_settings)


def test_empty_split_is_refused_with_its_name(tiny_reviews: Artifact, tiny_settings: FineTuningSettings) -> None:
    with pytest.raises(NotEnoughDataError, match="no labelled rows in the test split"):
        choose_rows(tiny_reviews.scan().filter(pl.col("split") != "test"), tiny_settings)


def test_sentences_count_less_the_more_there_are() -> None:
    train = pl.DataFrame(
        {
            "text": ["Broke at once. I want my money back! Awful. Avoid it.", "It is fine.", "Nice box. Weak glue."],
            "label": ["negative", "positive", "neutral"],
        }
    )
    rows = sentence_rows(train, 0.6)
    # "Awful." is one word, and one sentence is the review itself. 0.6 / sqrt(3); of a neutral review 0.6 / sqrt(2) / 2.
    assert rows["text"].to_list() == [
        "Broke at once.",
        "I want my money back!",
        "Avoid it.",
        "Nice box.",
        "Weak glue.",
    ]
    assert rows["label"].to_list() == ["negative"] * 3 + ["neutral"] * 2
    assert rows["weight"].to_list() == pytest.approx([0.34641] * 3 + [0.212132] * 2, abs=1e-5)


def test_no_weight_gives_no_sentences() -> None:
    train = pl.DataFrame({"text": ["Broke at once. Avoid it."], "label": ["negative"]})
    assert sentence_rows(train, 0.0).is_empty()
