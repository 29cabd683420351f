"""Two variants side by side: the same users under the same seeds, so that their values can be subtracted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augrec.report.numbers.variants import Trained


@dataclass(frozen=True)
class PairedValues:
    """The values of one metric of two variants, user by user, seed by seed and draw by draw.

    Attributes:
        first, second: shape [D, S, U], finite. S are the seeds that both were trained with; what draws nothing has its
            one training for every seed. A single one of means over seeds where the two share no seed. D are the draws
            of a language model, paired by their number; a variant with one has it beside each of the other.
        seeds: how many seeds the values are of; 0 for such means.
    """

    first: np.ndarray
    second: np.ndarray
    seeds: int

    @property
    def differences(self) -> np.ndarray:
        """First minus second, [D, S, U]."""
        return self.first - self.second

    @property
    def draws(self) -> int:
        """How many draws of a language model the values are of; 1 where neither has several."""
        return self.first.shape[0]


def paired_values(first: Trained, second: Trained, metric: str) -> PairedValues | None:
    """The pairs of one metric; None where a variant has no value of it per user.

    Users are those with a value in both.
    """
    if metric not in first.per_user or metric not in second.per_user:
        return None
    mine, theirs = _in_common(first.users, second.users)
    seeds = _seeds(first, second, metric)
    pairs = paired_draws(first, second)
    if seeds:
        one = np.stack([[draw.by_seed[seed][metric][mine] for seed, _ in seeds] for draw, _ in pairs])
        other = np.stack([[draw.by_seed[seed][metric][theirs] for _, seed in seeds] for _, draw in pairs])
    else:
        one = np.stack([draw.per_user[metric][None, mine] for draw, _ in pairs])
        other = np.stack([draw.per_user[metric][None, theirs] for _, draw in pairs])
    known = np.isfinite(one).all(axis=(0, 1)) & np.isfinite(other).all(axis=(0, 1))
    if not known.all():
        one, other = one[:, :, known], other[:, :, known]
    return PairedValues(one, other, len(seeds))


def _in_common(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray | slice, np.ndarray | slice]:
    """Where the users in common stand in both; all users where they are the same, as they mostly are."""
    if np.array_equal(first, second):
        return slice(None), slice(None)
    _, mine, theirs = np.intersect1d(first, second, assume_unique=True, return_indices=True)
    return mine, theirs


def paired_draws(first: Trained, second: Trained) -> list[tuple[Trained, Trained]]:
    """The draws of two variants by their number; a variant with one stands beside each draw of the other.

    Of two with several, but not as many, those that both have.
    """
    mine, theirs = first.each_draw, second.each_draw
    if len(mine) == 1:
        return [(mine[0], draw) for draw in theirs]
    if len(theirs) == 1:
        return [(draw, theirs[0]) for draw in mine]
    return list(zip(mine, theirs, strict=False))


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
