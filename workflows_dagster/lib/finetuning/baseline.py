"""The linear baseline that a fine-tuned model has to beat: TF-IDF and logistic regression."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.finetuning.sampling import class_ids
from workflows_dagster.lib.schema import LABELS

NAME: Final = "TF-IDF (1-2 grams) + logistic regression, balanced"


@dataclass(frozen=True)
class LinearBaseline:
    """A trained baseline.

    Attributes:
        pipeline: scikit-learn pipeline from texts to class ids.
    """

    pipeline: Any

    def probabilities(self, texts: pl.Series) -> npt.NDArray[np.float32]:
        """Probabilities of LABELS, shape (texts, classes)."""
        return np.asarray(self.pipeline.predict_proba(texts.to_list()), dtype=np.float32)


def train_baseline(rows: pl.DataFrame) -> LinearBaseline:
    """A baseline trained on rows with `text` and `label`; deterministic.

    Raises:
        NotEnoughDataError: The rows lack a class.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    classes = class_ids(rows)
    if len(np.unique(classes)) < len(LABELS):
        raise NotEnoughDataError(
            "the baseline needs rows of every class",
            given=dict(rows["label"].value_counts().iter_rows()),
            expected=f"rows of each of {LABELS}",
            remedy="add sources that have the missing class",
        )
    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2)),
        LogisticRegression(class_weight="balanced", max_iter=1000),
    )
    return LinearBaseline(pipeline.fit(rows["text"].to_list(), classes))
