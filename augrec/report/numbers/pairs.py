"""Two variants side by side: the same users under the same seeds, so that their values can be subtracted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augrec.report.numbers.variants import Trained


@dataclass(frozen=True)
class PairedValues:
    """The values of one metric of two variants, user by user and seed by seed.

    Attributes:
        first, second: shape [S, U], finite. Rows are the seeds that both were trained with; what draws nothing has its
            one training in every row. A single row of means over seeds where the two share no seed.
        seeds: how many seeds the rows are of; 0 for such means.
    """

    first: np.ndarray
    second: np.ndarray
    seeds: int

    @property
    def differences(self) -> np.ndarray:
        """First minus second, [S, U]."""
        return self.first - self.second


def paired_values(first: Trained, second: Trained, metric: str) -> PairedValues | None:
    """The pairs of one metric; None where a variant has no value of it per user.

    Users are those with a value in both.
    """
    if metric not in first.per_user or metric not in second.per_user:
        return None
    _, mine, theirs = np.intersect1d(first.users, second.users, assume_unique=True, return_indices=True)
    seeds = _seeds(first, second, metric)
    if seeds:
        one = np.stack([first.by_seed[seed][metric][mine] for seed, _ in seeds])
        other = np.stack([second.by_seed[seed][metric][theirs] for _, seed in seeds])
    else:
        one, other = first.per_user[metric][None, mine], second.per_user[metric][None, theirs]
    known = np.isfinite(one).all(axis=0) & np.isfinite(other).all(axis=0)
    return PairedValues(one[:, known], other[:, known], len(seeds))


def _seeds(first: Trained, second: Trained, metric: str) -> list[tuple[int, int]]:
    """(seed of the first, seed of the second) of every row."""
    mine, theirs = (
        [seed for seed in sorted(trained.by_seed) if metric in trained.by_seed[seed]] for trained in (first, second)
    )
    if not mine or not theirs:
        return []
    if first.deterministic and second.deterministic:
        return [(mine[0], theirs[0])]
    if first.deterministic:
        return [(mine[0], seed) for seed in theirs]
    if second.deterministic:
        return [(seed, theirs[0]) for seed in mine]
    return [(seed, seed) for seed in mine if seed in theirs]
