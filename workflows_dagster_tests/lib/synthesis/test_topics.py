"""Words are tied to a line of products by where they occur, and only where there is more than one line."""

from workflows_dagster.lib.synthesis.topics import associate, line_of_words

CLOTHES = [("clothing", frozenset({"sleeve", "fine", "size"}))] * 3
KITCHEN = [("kitchen", frozenset({"hopper", "fine"}))] * 5 + [("kitchen", frozenset({"hopper", "size"}))]


def test_words_of_one_line_are_associated_and_shared_ones_are_not() -> None:
    # 9 reviews. sleeve: all of its 3 in clothing, prior 1/3. size: 3 of 4 in clothing, over 0.7 and twice the prior.
    # hopper: all of its 6 in kitchen, but the prior is 2/3, and no word can be twice as likely.
    assert associate([*CLOTHES, *KITCHEN]) == {"sleeve": "clothing", "size": "clothing"}


def test_nothing_is_associated_where_all_reviews_are_of_one_line() -> None:
    assert associate(CLOTHES) == {}


def test_line_is_the_one_most_words_belong_to() -> None:
    lines = {"sleeve": "clothing", "hem": "clothing", "hopper": "kitchen"}
    assert line_of_words(frozenset({"sleeve", "hem", "hopper", "fine"}), lines) == "clothing"
    assert line_of_words(frozenset({"sleeve", "hopper"}), lines) is None
    assert line_of_words(frozenset({"fine"}), lines) is None
