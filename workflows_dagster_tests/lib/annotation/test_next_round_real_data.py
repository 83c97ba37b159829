"""Suspects among real reviews of which some labels were changed at random."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from workflows_dagster.lib.annotation.next_round import find_suspects
from workflows_dagster.lib.schema import LABELS
from workflows_dagster_tests.lib.annotation.made_up import artifact

pytestmark = pytest.mark.real_data


def test_most_suspects_among_food_reviews_are_labels_that_were_changed(tmp_path: Path, real_data: Path) -> None:
    reviews = pd.read_csv(real_data / "amazon_fine_food" / "fine_food_reviews_5000.csv")
    truth = np.array([(score > 2) + (score > 3) for score in reviews["Score"]], dtype=np.int64)
    rng = np.random.default_rng(0)
    changed = rng.random(len(truth)) < 0.05
    given = np.where(changed, (truth + rng.integers(1, 3, len(truth))) % 3, truth)
    pl.DataFrame(
        {
            "review_id": [f"r{number:05}" for number in range(len(truth))],
            "text": reviews["Text"].tolist(),
            "label": np.array(LABELS)[given].tolist(),
            "label_source": ["rating"] * len(truth),
            "group_key": reviews["ProductId"].tolist(),
            "split": ["train"] * len(truth),
        }
    ).write_parquet(tmp_path / "reviews.parquet")
    corpus = artifact(tmp_path, "review_corpus")
    nobody = pl.DataFrame(schema={"review_id": pl.String, "human": pl.String})

    found = find_suspects(corpus, nobody, 10_000, 50)

    was_changed = {f"r{number:05}" for number in np.flatnonzero(changed)}
    assert found.looked_at == len(truth)
    # By chance, 5 of a hundred would be.
    assert np.mean([review_id in was_changed for review_id in found.table["review_id"]]) > 0.7
