"""An independent classifier that says whether a synthetic text expresses the class it was made for.

Real reviews are cut into folds. A text is made from reviews of one fold and judged by a model that is fitted on the
others, so the judge has never seen what the text was made from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.hashing import digest_text
from workflows_dagster.lib.progress import track
from workflows_dagster.lib.schema import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS: Final = 3
_FEATURES: Final = 2**18
_REGULARIZATION: Final = 2e-5
_SEED: Final = 20


def fold_of(group_key: str) -> int:
    """The fold of a review; reviews of one group share it."""
    return int(digest_text("synthesis/fold", group_key)[:8], 16) % FOLDS


def with_folds(reviews: pl.DataFrame) -> pl.DataFrame:
    """The reviews with their fold in a column `fold`."""
    keys = reviews["group_key"].unique().to_list()
    schema = {"group_key": pl.String, "fold": pl.Int8}
    folds = pl.DataFrame({"group_key": keys, "fold": [fold_of(key) for key in keys]}, schema)
    return reviews.join(folds, on="group_key", how="left", maintain_order="left")


@dataclass(frozen=True)
class Judgement:
    """What the judge says of the synthetic texts.

    Attributes:
        likeliest: The class that it finds likeliest, by text.
        margin: How much likelier it finds that class than the one asked for (0-1), by text.
        macro_f1: Its own macro-F1 on real training rows that it was not fitted on.
        rows: Real rows that it was fitted and measured on.
    """

    likeliest: Sequence[str]
    margin: Sequence[float]
    macro_f1: float
    rows: int


def judge(real: pl.DataFrame, texts: Sequence[str], labels: Sequence[str], folds: Sequence[int]) -> Judgement:
    """Judges each text by a model fitted on the real rows outside its fold.

    Args:
        real: Training rows: text, label, group_key.
        texts: The synthetic texts.
        labels: The class that each was made for.
        folds: The fold of the parents of each.

    Raises:
        NotEnoughDataError: Outside a fold that has texts to judge, there are fewer than two classes to fit on.
    """
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.metrics import f1_score

    hashing = HashingVectorizer(
        n_features=_FEATURES,
        ngram_range=(1, 2),
        alternate_sign=False,
        norm=None,  # pyright: ignore[reportArgumentType]  # documented; its default decides the inferred type
    )
    counts: Any = hashing.transform(real["text"].to_list())
    weights = TfidfTransformer(sublinear_tf=True)
    features: Any = weights.fit_transform(counts)
    asked: Any = weights.transform(hashing.transform(texts)) if texts else None
    truth, real_folds = real["label"].to_numpy(), np.array([fold_of(key) for key in real["group_key"]])
    wanted, text_folds = np.array(labels, dtype=object), np.array(folds)
    out_of_fold = np.empty(len(truth), dtype=object)
    likeliest, margin = np.empty(len(texts), dtype=object), np.zeros(len(texts))
    for fold in track(range(FOLDS), "judging synthetic texts", FOLDS, "folds"):
        real_in, texts_in = real_folds == fold, text_folds == fold
        if not real_in.any() and not texts_in.any():
            continue
        if not texts_in.any() and len(set(truth[~real_in])) < 2:
            out_of_fold[real_in] = ""  # there is no model, and none is needed; these rows count as misjudged
            continue
        model = _fit(features[~real_in], truth[~real_in], fold)
        if real_in.any():
            out_of_fold[real_in] = model.predict(features[real_in])
        if texts_in.any():
            probabilities = model.predict_proba(asked[texts_in])
            likeliest[texts_in] = model.classes_[probabilities.argmax(axis=1)]
            own = (probabilities * (model.classes_[None, :] == wanted[texts_in][:, None])).sum(axis=1)
            margin[texts_in] = probabilities.max(axis=1) - own
    present = [label for label in LABELS if label in set(truth)]
    macro_f1 = float(f1_score(truth, out_of_fold, average="macro", labels=present, zero_division=0.0))  # pyright: ignore[reportArgumentType]  # its default decides the inferred type
    return Judgement(likeliest.tolist(), margin.tolist(), macro_f1, len(truth))


def _fit(features: object, truth: "NDArray[Any]", fold: int) -> Any:
    from sklearn.linear_model import SGDClassifier

    if len(set(truth)) < 2:
        raise NotEnoughDataError(
            f"the judge of fold {fold} has nothing to tell apart",
            given=f"{len(truth)} real rows of classes {sorted(set(truth))}",
            expected="at least two classes in the training rows outside the fold",
            remedy="add data of the other classes, or set target_ratio of class_balance to 0",
        )
    # Logistic regression by stochastic gradient: L-BFGS took 50 times as long for the same macro-F1.
    model = SGDClassifier(loss="log_loss", alpha=_REGULARIZATION, class_weight="balanced", random_state=_SEED)
    return model.fit(features, truth)
