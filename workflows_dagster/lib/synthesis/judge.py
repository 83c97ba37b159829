"""An independent classifier that says whether a synthetic text expresses the class it was made for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.progress import track
from workflows_dagster.lib.schema import LABELS
from workflows_dagster.lib.synthesis.folds import FOLDS, fold_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEATURES: Final = 2**18
_REGULARIZATION: Final = 2e-5
_SEED: Final = 20


@dataclass(frozen=True)
class Judgement:
    """What the judge makes of the synthetic texts.

    Attributes:
        likeliest: The class it holds likeliest, by text.
        margin: How much likelier it holds that class than the one asked for (0-1), by text.
        macro_f1: Its own macro-F1 on real training rows it was not fitted on.
        rows: Real rows it was fitted and measured on.
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
        labels: The class each was made for.
        folds: The fold that the parents of each are of.

    Raises:
        NotEnoughDataError: A fold with texts to judge leaves fewer than two classes to fit on.
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
        inside, mine = real_folds == fold, text_folds == fold
        if not inside.any() and not mine.any():
            continue
        if not mine.any() and len(set(truth[~inside])) < 2:
            out_of_fold[inside] = ""  # nothing is asked of a model that cannot be fitted; its rows count as missed
            continue
        model = _fit(features[~inside], truth[~inside], fold)
        if inside.any():
            out_of_fold[inside] = model.predict(features[inside])
        if mine.any():
            likeliest[mine], margin[mine] = _margins(model, asked[mine], wanted[mine])
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


def _margins(model: Any, features: object, wanted: "NDArray[Any]") -> "tuple[NDArray[Any], NDArray[Any]]":
    probabilities = model.predict_proba(features)
    classes = model.classes_
    likeliest = classes[probabilities.argmax(axis=1)]
    own = (probabilities * (classes[None, :] == wanted[:, None])).sum(axis=1)
    return likeliest, probabilities.max(axis=1) - own
