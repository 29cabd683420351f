"""The best weights of a blend, in equal parts: of all weightings, or, where they are too many, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb

import numpy as np

GRID = 300  # weightings up to which all are tried; beyond it the best is searched for step by step


def search(
    judge: Callable[[Sequence[tuple[int, ...]]], None], tried: dict[tuple[int, ...], float], count: int, steps: int
) -> tuple[int, ...]:
    """The best weighting, in parts of `steps`: of all, or, where they are too many, of those met on the way up.

    The way starts from the best of the single members and the most even weighting, and moves one part from one member
    to another as long as that is better. Of equally good ones the first tried is taken; the even ones are tried first.

    Args:
        judge: puts the values of weightings into `tried`; a larger one is better.
    """
    if comb(steps + count - 1, count - 1) <= GRID:
        judge(simplex(count, steps))
        return max(tried, key=tried.__getitem__)
    even = tuple(steps // count + (position < steps % count) for position in range(count))
    judge([even, *corners(count, steps)])
    best = max(tried, key=tried.__getitem__)
    while True:
        judge(moves(best))
        better = max(tried, key=tried.__getitem__)
        if tried[better] <= tried[best]:
            return best
        best = better


def simplex(count: int, steps: int) -> list[tuple[int, ...]]:
    """All ways to divide `steps` parts among `count` members, the even ones first."""
    bars = combinations(range(steps + count - 1), count - 1)
    divided = [tuple((np.diff([-1, *places, steps + count - 1]) - 1).tolist()) for places in bars]
    return sorted(divided, key=lambda parts: sum(part**2 for part in parts))


def corners(count: int, steps: int) -> list[tuple[int, ...]]:
    """All parts on one member, for each member."""
    return [tuple(steps * (position == member) for position in range(count)) for member in range(count)]


def moves(weighting: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The weightings that are one part, moved from one member to another, away."""
    places = range(len(weighting))
    return [
        tuple(part - (place == source) + (place == target) for place, part in enumerate(weighting))
        for source in places
        for target in places
        if source != target and weighting[source]
    ]
