"""How often two classifiers give the same class, with an interval that holds at 0 and at 1."""

import math

import numpy as np
import numpy.typing as npt

from workflows_dagster.lib.errors import NotEnoughDataError
from workflows_dagster.lib.metrics import Estimate

Z_95 = 1.959963984540054


def proportion(successes: int, n: int) -> Estimate:
    """A share with its 95 % Wilson score interval; unlike a bootstrap, it does not collapse when all rows succeed.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference.

    Raises:
        NotEnoughDataError: There is no row.
    """
    if n < 1 or not 0 <= successes <= n:
        raise NotEnoughDataError(
            "a share needs rows", given=f"{successes} of {n}", expected="0 <= successes <= n, n >= 1", remedy="add rows"
        )
    share, square = successes / n, Z_95 * Z_95
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = Z_95 / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half), n)


def agreement(reference: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> Estimate:
    """Share of rows on which two classifiers give the same class, shape (n,) each."""
    return proportion(int((reference == other).sum()), len(reference))
