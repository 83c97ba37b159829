"""What one release has that another has not."""

import polars as pl
import pytest

from workflows_dagster.lib.release.diff import compare, paired_difference
from workflows_dagster_tests.lib.release.made_up import MadeUpChain, reviews

BEFORE = reviews(("r1", "shop", "positive", "good"), ("r2", "shop", "negative", "bad"))
AFTER = reviews(("r1", "shop", "positive", "good"), ("r2", "shop", "negative", "bad"), ("r3", "blog", "neutral", "so"))


def test_releases_are_compared_by_rows_versions_and_the_same_test_rows(chain: MadeUpChain) -> None:
    one = chain.release(BEFORE, b"\x01", {"r1": "positive", "r2": "positive"})
    two = chain.release(AFTER, b"\x02", {"r1": "positive", "r2": "negative", "r3": "neutral"})
    found = compare(chain.store, one, two)
    assert [(table.asset, [(row.change, row.source, row.rows) for row in table.changes]) for table in found.tables] == [
        (asset, [("added", "blog", 1)]) for asset in ("review_corpus", "training_reviews", "augmented_reviews")
    ]
    # r1 and r2: macro-F1 before (2/3 + 0) / 2 = 1/3, afterwards 1.
    assert found.paired is not None
    assert (found.paired.value, found.paired.n) == (pytest.approx(2 / 3), 2)
    assert {change.path: change.kind for change in found.versions} == {
        "augmented_reviews": "content",
        "benchmark_report": "inputs only",
        "exported_models/int8": "content",
        "raw_reviews/a": "content",
        "review_corpus": "content",
        "export_benchmarks/int8": "content",
        "training_reviews": "content",
    }


def test_release_compared_with_itself_has_no_difference(chain: MadeUpChain) -> None:
    one = chain.release(BEFORE, b"\x01", {"r1": "positive"})
    found = compare(chain.store, one, one)
    assert (found.versions, [table.changes for table in found.tables]) == ((), [(), (), ()])
    assert found.paired is not None
    assert found.paired.value == 0


def test_models_measured_on_other_rows_are_not_compared() -> None:
    before = pl.DataFrame({"review_id": ["a", "b"], "label": ["positive", "negative"], "predicted": ["positive"] * 2})
    relabelled = before.with_columns(label=pl.lit("neutral"))
    assert paired_difference(before, relabelled) is None
