"""Texts as counted words: a cheap classifier that judges only rows it was not fitted on, and a cheap embedding."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from workflows_dagster.lib.annotation.libraries import load
from workflows_dagster.lib.hashing import digest_text

FOLDS: Final = 5
_FEATURES: Final = 2**18
_DIMENSIONS: Final = 96
_SEED: Final = 20

Values = npt.NDArray[np.float64]


def folds_of(groups: Sequence[str]) -> npt.NDArray[np.int8]:
    """The fold (0-4) of each group key, the same wherever it occurs."""
    return np.array([int(digest_text("annotation/fold", group)[:8], 16) % FOLDS for group in groups], dtype=np.int8)


def out_of_fold(
    texts: Sequence[str], class_ids: npt.NDArray[np.int64], folds: npt.NDArray[np.int8], learn: npt.NDArray[np.bool_]
) -> Values:
    """Out-of-fold probabilities of the classes, shape (texts, classes).

    Args:
        texts: Texts.
        class_ids: Class of each.
        folds: Fold of each.
        learn: Whether a model may be fitted on it; each class needs such rows in two folds.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    linear = load("sklearn.linear_model", "a guess at the label by counted words")
    weighted = _weighted(texts, (1, 2))
    probabilities = np.zeros((len(texts), int(class_ids.max()) + 1))
    for fold in np.unique(folds):
        held_out, seen = folds == fold, learn & (folds != fold)
        # Full logistic regression finds a few more wrong labels, in ten times the time.
        model = linear.SGDClassifier(loss="log_loss", alpha=1e-5, random_state=_SEED)
        model.fit(weighted[seen], class_ids[seen])
        probabilities[np.ix_(held_out, model.classes_)] = model.predict_proba(weighted[held_out])
    return probabilities


def embed_words(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Latent semantic vectors of length 1, shape (texts, at most 96); all zero for a text without words.

    Source: Deerwester et al. (1990), Indexing by latent semantic analysis.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    decomposition, threads = (
        load(name, "vectors of counted words") for name in ("sklearn.decomposition", "threadpoolctl")
    )
    weighted = _weighted(texts, (1, 1))
    # Columns that no text uses are left out: the factors have a row for each.
    used = weighted[:, np.unique(weighted.indices)]
    dimensions = min(_DIMENSIONS, *(size - 1 for size in used.shape))
    if dimensions < 1:
        return np.ones((len(texts), 1), dtype=np.float32)
    # On one thread it is the fastest, and the last bits do not depend on the number of cores.
    with threads.threadpool_limits(1):
        factors = decomposition.TruncatedSVD(dimensions, random_state=_SEED).fit_transform(used)
    return unit_length(factors)


def unit_length(vectors: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The vectors at length 1, zero vectors as they are; rounded, so that the last bits make no difference."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.round(vectors / np.where(lengths > 0, lengths, 1), 5).astype(np.float32)


def _weighted(texts: Sequence[str], ngrams: tuple[int, int]) -> Any:
    text = load("sklearn.feature_extraction.text", "counted words")
    # Hashed, so that texts without any word do no harm; weighted over all rows, which looks at no label.
    counts = text.HashingVectorizer(n_features=_FEATURES, ngram_range=ngrams, alternate_sign=False, norm=None)
    return text.TfidfTransformer(sublinear_tf=True).fit_transform(counts.transform(texts))
