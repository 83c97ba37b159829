"""One smallest text for each reason."""

import pytest

from workflows_dagster.lib.synthesis.validation import (
    RealShape,
    SyntheticReason,
    refuse_text,
    repeated_ratio,
    truncation,
)

SHAPE = RealShape(shortest=3, longest=12, finished_ratio=0.95)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("It is fine.", None),
        ("Not good.", SyntheticReason.TOO_SHORT),
        ("a b c d e f g h i j k l m.", SyntheticReason.TOO_LONG),
        ("so very bad so very bad so very bad.", SyntheticReason.REPETITION),
        ("It broke. Awful thing! It broke.", SyntheticReason.REPETITION),
        ("It broke on the", SyntheticReason.TRUNCATED),
        ("It broke, it,", SyntheticReason.TRUNCATED),
        ("It broke at home", SyntheticReason.TRUNCATED),
        ("What a shitty thing.", SyntheticReason.PROFANITY),
        ("The title of Scunthorpe is fine.", None),
    ],
)
def test_text_is_refused_for_its_reason(text: str, reason: SyntheticReason | None) -> None:
    refusal = refuse_text(text, SHAPE, max_repeated_ratio=0.2)
    assert (refusal.reason if refusal else None) == reason


def test_missing_end_mark_counts_only_where_real_ones_have_it() -> None:
    assert truncation("love this so much", 0.4) is None
    assert truncation("love this so much", 0.95) == "no end mark, which 95% of the real ones have"


def test_repeated_ratio_is_the_worse_of_trigrams_and_sentences() -> None:
    # Trigrams abc bca cab abc: 1 of 4 repeated; one sentence.
    assert repeated_ratio("a b c a b c") == 0.25
    # Sentences: 1 of 2 repeated; trigrams "no! no!" none.
    assert repeated_ratio("No! No!") == 0.5
