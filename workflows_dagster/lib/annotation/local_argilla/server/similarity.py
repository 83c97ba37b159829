"""Cosine similarity over vectors as the database keeps them: JSON lists of numbers."""

import json
from collections.abc import Sequence

import numpy as np


def most_similar(
    rows: Sequence[tuple[object, str]], target: Sequence[float], *, limit: int, threshold: float | None = None
) -> list[tuple[object, float]]:
    """The records closest to a vector, with Elasticsearch's score for it: (1 + cosine) / 2.

    Args:
        rows: Id and vector, a JSON list, of each candidate. Vectors of length zero have no direction: left out.
        target: The vector; the negated one finds the least similar.
        limit: How many at most.
        threshold: Least score.

    Returns:
        Id and score, best first; equals in the order given.

    Raises:
        ValueError: The target has another number of dimensions than the candidates, or no direction.
    """
    wanted = np.asarray(target, dtype=np.float64)
    if not np.linalg.norm(wanted):
        raise ValueError("a vector of zeros has no direction. Expected: at least one number other than 0.")
    if not rows:
        return []
    vectors = np.asarray([json.loads(vector) for _, vector in rows], dtype=np.float64)
    if vectors.shape[1] != wanted.size:
        raise ValueError(f"the vector has {wanted.size} dimensions. Expected: {vectors.shape[1]}.")
    lengths = np.linalg.norm(vectors, axis=1)
    scores = np.full(len(rows), -np.inf)
    pointing = lengths > 0
    scores[pointing] = (1 + vectors[pointing] @ wanted / (lengths[pointing] * np.linalg.norm(wanted))) / 2
    least = -np.inf if threshold is None else threshold
    best = np.argsort(-scores, kind="stable")[:limit]
    return [(rows[at][0], float(scores[at])) for at in best if pointing[at] and scores[at] >= least]
