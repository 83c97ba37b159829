"""Which reviews teach most: where a model doubts the weak label, where it doubts itself, and what is like no other."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

RANDOM: Final = "random"
DISAGREES: Final = "disagrees"
UNCERTAIN: Final = "uncertain"
DIVERSE: Final = "diverse"

_CYCLE: Final = (DISAGREES, UNCERTAIN, DISAGREES, DIVERSE)
"""Half of the picks look for wrong labels, which is what people correct; docs/pilot_sample.md has the figures."""

Vectors = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

JUDGED: Final = pl.Schema({"confidence": pl.Float64(), "uncertainty": pl.Float64(), "disagreement": pl.Float64()})
"""What a model makes of a weak label, all 0-1: what it gives the label, its entropy, and by how much it prefers another
label, 0 where it does not."""


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

    One after the other, each among the strata that have seats left: the candidate of the best score, less its
    similarity to the nearest one that was chosen before (maximal marginal relevance); every fourth is the one farthest
    from all chosen (k-center). The score is that of its reason: disagreement, uncertainty, or distance (1 - cosine).

    Source: Carbonell and Goldstein (1998), The use of MMR; Sener and Savarese (2018), Active learning: a core-set
    approach.

    Args:
        candidates: Columns review_id, stratum and those of JUDGED, null where no model judged; sorted by id.
        vectors: Of the candidates, of length 1 or zero.
        chosen: Vectors of what is in the sample already.
        seats: Rows to pick of each stratum.
        diversity: Weight of dissimilarity against the score (0-1).
    """
    strata = candidates["stratum"].to_numpy()
    left = dict(seats)
    free = np.ones(candidates.height, dtype=bool)
    # A text without words is like nothing, yet teaches nothing: it is never picked for its distance.
    nearest = np.where(np.any(vectors, axis=1), _similarity(vectors, chosen), 1.0)
    scores = {name: candidates[column].to_numpy() for name, column in _COLUMNS.items()}
    picked: list[tuple[str, str, float]] = []
    for step in range(sum(seats.values())):
        open_ = free & np.isin(strata, [stratum for stratum, rows in left.items() if rows])
        reason = _reason(step, scores, open_)
        values = 1 - nearest if reason == DIVERSE else (1 - diversity) * scores[reason] - diversity * nearest
        eligible = open_ & (scores[reason] > 0) if reason == DISAGREES else open_
        place = int(np.argmax(np.where(eligible, np.round(values, 6), -np.inf)))
        score = 1 - nearest[place] if reason == DIVERSE else scores[reason][place]
        picked.append((str(candidates["review_id"][place]), reason, round(float(score), 6)))
        free[place] = False
        left[str(strata[place])] -= 1
        nearest = np.maximum(nearest, vectors @ vectors[place])
    return pl.DataFrame(picked, schema=_PICKED, orient="row")


_COLUMNS: Final = {DISAGREES: "disagreement", UNCERTAIN: "uncertainty"}
_PICKED: Final = pl.Schema({"review_id": pl.String(), "pick": pl.String(), "pick_score": pl.Float64()})


def _reason(step: int, scores: Mapping[str, Values], open_: npt.NDArray[np.bool_]) -> str:
    """Why the next one is picked: the cycle's reason, or the next best where nothing has it."""
    if np.isnan(scores[UNCERTAIN]).any():
        return DIVERSE
    reason = _CYCLE[step % len(_CYCLE)]
    return UNCERTAIN if reason == DISAGREES and not (open_ & (scores[DISAGREES] > 0)).any() else reason


def _similarity(vectors: Vectors, chosen: Vectors) -> Values:
    """Cosine of each vector with the nearest of the chosen; 0 where nothing is chosen."""
    if not len(chosen):
        return np.zeros(len(vectors))
    return (vectors @ chosen.T).max(axis=1).astype(np.float64)
