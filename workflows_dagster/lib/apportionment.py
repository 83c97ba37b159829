"""Whole seats in proportion to weights, by largest remainder (Hamilton's method)."""

from collections.abc import Hashable, Mapping
from fractions import Fraction
from typing import TypeVar

_Key = TypeVar("_Key", bound=Hashable)


def apportion(weights: Mapping[_Key, int], seats: int) -> dict[_Key, int]:
    """Seats for each key, in proportion to its weight; they add up to `seats`. Ties go to the lower key.

    Args:
        weights: Not negative. Where all are zero nobody gets a seat.
        seats: How many to give.
    """
    total = sum(weights.values())
    if not total:
        return dict.fromkeys(weights, 0)
    shares = {key: Fraction(seats * weight, total) for key, weight in weights.items()}
    granted = {key: int(share) for key, share in shares.items()}
    by_remainder = sorted(shares, key=lambda key: (granted[key] - shares[key], key))
    for key in by_remainder[: seats - sum(granted.values())]:
        granted[key] += 1
    return granted
