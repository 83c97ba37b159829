"""Quality by source, language and length, and the worst misses."""

from pathlib import Path

import pytest

from workflows_dagster.lib.benchmark.slices import judged_rows, slices, worst_misses
from workflows_dagster_tests.lib.benchmark.made_up import made_up_chain, made_up_test_rows

WRONG = {"predicted": "negative", "probabilities": [0.9, 0.1, 0.0]}


def test_slices_tell_rows_and_right_ones_the_most_frequent_language_first() -> None:
    rows = made_up_test_rows(
        "up", {"language": "de"}, {"source": "posts"}, WRONG, {"language": None}, {"language": "und"}
    )
    found = slices(rows)
    assert [(one.kind, one.name, one.rows, one.right) for one in found] == [
        ("source", "posts", 1, 1),
        ("source", "shop", 4, 3),
        ("language", "en", 2, 1),
        ("language", "undetermined", 2, 2),
        ("language", "de", 1, 1),
        ("length", "up to 10 words", 5, 4),
    ]
    # Of en, one of two positive rows is found, and nothing is negative: (2/3 + 0) / 2. The baseline finds both.
    english = found[2]
    assert (english.model.value, english.baseline.value) == (pytest.approx(1 / 3), 1)
    assert english.too_few


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (1, "up to 10 words"),
        (10, "up to 10 words"),
        (11, "11 to 30 words"),
        (30, "11 to 30 words"),
        (80, "31 to 80 words"),
        (81, "over 80 words"),
    ],
)
def test_length_is_counted_in_words(words: int, name: str) -> None:
    found = slices(made_up_test_rows(" \n".join(["word"] * words)))
    assert [one.name for one in found if one.kind == "length"] == [name]


@pytest.mark.parametrize(("rows", "few", "too_few"), [(19, True, True), (20, True, False), (100, False, False)])
def test_small_slices_are_marked(rows: int, few: bool, too_few: bool) -> None:
    one = slices(made_up_test_rows("up", *[{}] * rows))[0]
    assert (one.few, one.too_few) == (few, too_few)


def test_the_worst_misses_are_the_surest_wrong_ones() -> None:
    sure = [0.5 + number / 100 for number in range(12)]
    wrong = [{"predicted": "negative", "probabilities": [p, 1 - p, 0.0]} for p in sure]
    found = worst_misses(made_up_test_rows("up", {"probabilities": [0.0, 0.0, 1.0]}, *wrong))
    assert [round(miss.probability, 2) for miss in found] == [0.61, 0.6, 0.59, 0.58, 0.57, 0.56, 0.55, 0.54, 0.53, 0.52]


@pytest.mark.parametrize(
    ("changed", "origin"),
    [
        ({"stars": 1}, "1 star"),
        ({"stars": 5}, "5 stars"),
        ({"label_source": "given"}, "by the source"),
        ({"label_source": "rating", "stars": None}, "by the source"),
        ({"label_source": "human"}, "by people"),
    ],
)
def test_a_miss_names_the_origin_of_its_label(changed: dict[str, object], origin: str) -> None:
    (miss,) = worst_misses(made_up_test_rows("up", WRONG | changed))
    assert (miss.label, miss.predicted, miss.origin) == ("positive", "negative", origin)


def test_a_long_miss_is_cut_between_words() -> None:
    (miss,) = worst_misses(made_up_test_rows("four " * 100, WRONG))
    assert miss.text == "four " * 78 + "four…"  # of 399 characters, 79 words of 5 with their space are whole


def test_rows_are_joined_from_adapter_and_reviews(tmp_path: Path) -> None:
    chain = made_up_chain(tmp_path, [], text="said")
    rows = judged_rows(chain["lora_adapter"][0], chain["augmented_reviews"][0])
    assert rows.select("review_id", "label", "predicted", "predicted_by_baseline", "text", "stars").rows() == [
        ("000", "positive", "positive", "positive", "said", 5),
        ("001", "positive", "negative", "negative", "said", 5),
    ]
