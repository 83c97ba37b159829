"""The linear baseline that a fine-tuned model has to beat: TF-IDF and logistic regression."""

from typing import Any, Final

import numpy as np
import polars as pl

from workflows_dagster.lib.model.quality import class_ids, prediction_table

NAME: Final = "TF-IDF (1-2 grams) + logistic regression, balanced"


def train_baseline(rows: pl.DataFrame) -> Any:
    """A scikit-learn pipeline from texts to class ids, trained on rows with `text` and `label`; deterministic."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2)),
        LogisticRegression(class_weight="balanced", max_iter=1000),
    )
    return pipeline.fit(rows["text"].to_list(), class_ids(rows["label"]))


def baseline_predictions(baseline: Any, rows: pl.DataFrame) -> pl.DataFrame:
    """What the baseline predicts for rows, in the columns of PREDICTION."""
    return prediction_table(rows, np.asarray(baseline.predict_proba(rows["text"].to_list())))
