"""Active learning: reviews whose label a model doubts, of which it is unsure, or which are unlike all others."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

DISAGREES: Final = "disagrees"
UNCERTAIN: Final = "uncertain"
DIVERSE: Final = "diverse"

_CYCLE: Final = (DISAGREES, UNCERTAIN, DISAGREES, DIVERSE)
"""Half of the picks look for wrong labels, which is what people correct; docs/pilot_sample.md has the figures."""

_SCORES: Final = {DISAGREES: "disagreement", UNCERTAIN: "uncertainty"}
_PICKED: Final = pl.Schema({"review_id": pl.String(), "pick": pl.String(), "pick_score": pl.Float64()})

Vectors = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

JUDGED: Final = pl.Schema({"confidence": pl.Float64(), "uncertainty": pl.Float64(), "disagreement": pl.Float64()})
"""A model's judgement of a weak label, all 0-1: the probability of the label, the entropy of the prediction, and by how
much another label is more probable, 0 if none is."""


def judge(probabilities: Values, class_ids: npt.NDArray[np.int64]) -> pl.DataFrame:
    """Columns of JUDGED, in the order of the rows.

    Args:
        probabilities: Shape (rows, classes).
        class_ids: The class of each row's weak label.
    """
    rows = np.arange(len(class_ids))
    confidence = probabilities[rows, class_ids]
    others = probabilities.copy()
    others[rows, class_ids] = -1
    logs = np.log(np.where(probabilities > 0, probabilities, 1))
    entropy = -(probabilities * logs).sum(axis=1) / np.log(probabilities.shape[1])
    disagreement = np.maximum(others.max(axis=1) - confidence, 0)
    columns = {"confidence": confidence, "uncertainty": entropy, "disagreement": disagreement}
    # Rounded, so that noise of the last bits makes no difference.
    return pl.DataFrame({name: np.round(values, 6) for name, values in columns.items()}, schema=JUDGED)


def pick(
    candidates: pl.DataFrame, vectors: Vectors, chosen: Vectors, seats: Mapping[str, int], diversity: float
) -> pl.DataFrame:
    """The picks in their order: columns review_id, pick (why) and pick_score.

    They are picked one by one, among the strata that have seats left: the candidate of the best score, less its
    similarity to the nearest row that was chosen before (maximal marginal relevance). Every fourth is the candidate
    farthest from all chosen rows (k-center). The score is that of its reason: disagreement, uncertainty, or distance
    (1 - cosine).

    Source: Carbonell and Goldstein (1998), The use of MMR; Sener and Savarese (2018), Active learning: a core-set
    approach.

    Args:
        candidates: Columns review_id, stratum and those of JUDGED, null where no model judged; sorted by id.
        vectors: Of the candidates, of length 1 or zero.
        chosen: Vectors of the rows that are in the sample already.
        seats: Rows to pick of each stratum.
        diversity: Weight of dissimilarity against the score (0-1).
    """
    strata = candidates["stratum"].to_numpy()
    left = dict(seats)
    free = np.ones(candidates.height, dtype=bool)
    similarity = (vectors @ chosen.T).max(axis=1).astype(np.float64) if len(chosen) else np.zeros(len(vectors))
    # A text without words is like nothing, yet teaches nothing: it is never picked for its distance.
    nearest = np.where(np.any(vectors, axis=1), similarity, 1.0)
    scores = {reason: candidates[column].to_numpy() for reason, column in _SCORES.items()}
    picked: list[tuple[str, str, float]] = []
    for turn in range(sum(seats.values())):
        open_ = free & np.isin(strata, [stratum for stratum, rows in left.items() if rows])
        reason = _reason(turn, scores, open_)
        values = 1 - nearest if reason == DIVERSE else (1 - diversity) * scores[reason] - diversity * nearest
        eligible = open_ & (scores[reason] > 0) if reason == DISAGREES else open_
        place = int(np.argmax(np.where(eligible, np.round(values, 6), -np.inf)))
        score = 1 - nearest[place] if reason == DIVERSE else scores[reason][place]
        picked.append((str(candidates["review_id"][place]), reason, round(float(score), 6)))
        free[place] = False
        left[str(strata[place])] -= 1
        nearest = np.maximum(nearest, vectors @ vectors[place])
    return pl.DataFrame(picked, schema=_PICKED, orient="row")


def _reason(turn: int, scores: Mapping[str, Values], open_: npt.NDArray[np.bool_]) -> str:
    """The reason of a turn: that of the cycle, or the next best if no open candidate has it."""
    if np.isnan(scores[UNCERTAIN]).any():
        return DIVERSE
    reason = _CYCLE[turn % len(_CYCLE)]
    return UNCERTAIN if reason == DISAGREES and not (open_ & (scores[DISAGREES] > 0)).any() else reason
