"""The interval of a mean over everything that was drawn: users, and the trainings that were crossed with them.

Every seed is judged by the same users, so a table of values has two kinds of chance, that of its rows and that of its
columns, and a residual: value[s, u] = mean + user[u] + seed[s] + residual[s, u]. The variance of the mean is that of
the random model of two crossed factors (Searle, Casella and McCulloch 1992, section 4.3),

    var = var_user / U + var_seed / S + var_residual / (S U),

estimated without bias from the mean squares: (MS_user + MS_seed - MS_residual) / (S U).

The bootstrap resamples users and seeds independently of each other. Resampling rows and columns of the table itself
(the pigeonhole bootstrap, Owen 2007) would count the residual three times, and five seeds resampled spread by a factor
of 4/5 too little. So the two main effects are resampled, and their deviations scaled such that the bootstrap has the
variance above. What few seeds leave unknown of their own spread widens the interval: its ends are moved away from the
mean by t / z, where t has the degrees of freedom of the variance (Satterthwaite 1946). With hundreds of users and a
single seed that is nothing, and the interval is the plain percentile interval over users.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from augrec.report.numbers.statistics import resampled_means


@dataclass(frozen=True)
class Intervals:
    """Of k means; each array has shape [k]. NaN where there are fewer than two users.

    Attributes:
        low, high: the ends.
        error: the standard error of the mean over users and seeds.
        degrees: its degrees of freedom.
    """

    low: np.ndarray
    high: np.ndarray
    error: np.ndarray
    degrees: np.ndarray


def intervals(values: np.ndarray, samples: int, alpha: float, rng: np.random.Generator) -> Intervals:
    """Intervals of means over users and seeds; all columns share the same resamples.

    Assumes that users and seeds are independent draws. With one seed, trainings are held fixed.

    Args:
        values: shape [S seeds, U users, k metrics], finite.
        samples: number of resamples.
        alpha: the intervals cover 1 - alpha.
        rng: where the resamples come from.
    """
    seeds, users, k = values.shape
    if users < 2:
        return Intervals(*(np.full(k, np.nan) for _ in range(4)))
    spread = _Spread.of(values)
    by_user, by_seed = values.mean(axis=0), values.mean(axis=1)
    mean = by_user.mean(axis=0)
    shifts = resampled_means(by_user - mean, samples, rng) * np.sqrt(users / (users - 1))
    if seeds > 1:
        shifts += resampled_means((by_seed - mean) * spread.seed_scale, samples, rng)
    error, degrees = spread.error, spread.degrees
    z = stats.norm.isf(alpha / 2)
    shifts *= np.where(np.isfinite(degrees), stats.t.isf(alpha / 2, degrees) / z, 1.0)
    low, high = mean + np.quantile(shifts, [alpha / 2, 1 - alpha / 2], axis=0)
    return Intervals(low, high, error, degrees)


@dataclass(frozen=True)
class _Spread:
    """Mean squares of k tables of S seeds and U users, each an array [k]; those of seeds are 0 where there is one."""

    seeds: int
    users: int
    of_users: np.ndarray
    of_seeds: np.ndarray
    residual: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> _Spread:
        seeds, users, k = values.shape
        by_user, by_seed = values.mean(axis=0), values.mean(axis=1)
        mean = by_user.mean(axis=0)
        of_users = seeds * ((by_user - mean) ** 2).sum(axis=0) / (users - 1)
        if seeds < 2:
            return cls(seeds, users, of_users, np.zeros(k), np.zeros(k))
        of_seeds = users * ((by_seed - mean) ** 2).sum(axis=0) / (seeds - 1)
        left = sum(
            ((table - by_user - (at - mean)) ** 2).sum(axis=0) for table, at in zip(values, by_seed, strict=True)
        )
        return cls(seeds, users, of_users, of_seeds, left / ((seeds - 1) * (users - 1)))

    @property
    def seeds_alone(self) -> np.ndarray:
        """What the seeds add beyond the residual; 0 where their means spread no more than it would make them."""
        return np.maximum(0.0, self.of_seeds - self.residual)

    @property
    def error(self) -> np.ndarray:
        return np.sqrt((self.of_users + self.seeds_alone) / (self.seeds * self.users))

    @property
    def degrees(self) -> np.ndarray:
        """Satterthwaite's; NaN where nothing varies."""
        parts = self.of_users**2 / (self.users - 1)
        if self.seeds > 1:
            counts = self.seeds_alone > 0
            parts = parts + counts * self.of_seeds**2 / (self.seeds - 1)
            parts = parts + counts * self.residual**2 / ((self.seeds - 1) * (self.users - 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            return (self.of_users + self.seeds_alone) ** 2 / parts

    @property
    def seed_scale(self) -> np.ndarray:
        """What the seeds' deviations are multiplied by before they are resampled."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(self.of_seeds > 0, self.seeds_alone / self.of_seeds, 0.0)
        return np.sqrt(share * self.seeds / (self.seeds - 1))
