"""The interval of a mean over everything that was drawn: users, training seeds, and answers of a language model.

Every training is judged by the same users, and every draw of the model is trained on with the same seeds. So a value
is that of a random model with crossed factors (Searle, Casella and McCulloch 1992, section 4.3): a mean, a deviation of
the user, of the seed and of the draw, one of each two of them together, and a residual. The variance of the mean over U
users, S seeds and D draws follows from the mean squares without bias,

    D S U var = MS_u + MS_s + MS_d - MS_us - MS_ud - MS_sd + MS_usd,

where those of a factor with one level are zero: with one draw it is MS_u + MS_s - MS_us, with one seed too MS_u.

The bootstrap resamples users, seeds and draws independently of each other. Resampling rows and columns of the table
itself (the pigeonhole bootstrap, Owen 2007) would count the residual three times, and five seeds resampled spread by a
factor of 4/5 too little. So the main effects are resampled, and their deviations scaled such that the bootstrap has the
variance above. What few seeds and draws leave unknown of their own spread widens the interval: its ends are moved away
from the mean by t / z, where t has the degrees of freedom of the variance (Satterthwaite 1946). With hundreds of users
and a single training that is nothing, and the interval is the plain percentile interval over users.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from augrec.report.numbers.statistics import IN_SINGLE_PRECISION, resampled_means, resampled_together

DRAWS, SEEDS, USERS = 0, 1, 2
"""The axes of a table of values."""
ROUNDING = 1e-9
"""A difference of mean squares that is a smaller share of them is none."""


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


@dataclass(frozen=True)
class TableMeans:
    """What the intervals of k tables of one shape need of their values.

    Attributes:
        mean: [k].
        by_user: [U, k], the means over draws and seeds; of many users in float32, see `of`.
        by_seed: [S, k], those over draws and users.
        by_draw: [D, k], those over seeds and users.
        spread: their mean squares.
    """

    mean: np.ndarray
    by_user: np.ndarray
    by_seed: np.ndarray
    by_draw: np.ndarray
    spread: Spread

    @classmethod
    def of(cls, values: np.ndarray) -> TableMeans:
        """Those of finite values of shape [D draws, S seeds, U users, k tables].

        Of more than `IN_SINGLE_PRECISION` users the means by user are kept in float32, as hundreds of comparisons wait
        for their resamples together. The error of one is at most 6e-8 of it, and that of their mean far less.
        """
        by_user, by_seed, by_draw = (
            values.mean(axis=axes) for axes in ((DRAWS, SEEDS), (DRAWS, USERS), (SEEDS, USERS))
        )
        mean = by_user.mean(axis=0)
        by_user = by_user.astype(np.float32) if len(by_user) > IN_SINGLE_PRECISION else by_user
        return cls(mean, by_user, by_seed, by_draw, Spread.of(values))


def intervals(values: np.ndarray, samples: int, alpha: float, rng: np.random.Generator) -> Intervals:
    """Intervals of means over users, seeds and draws; all columns share the same resamples.

    Assumes that users, seeds and draws are independent. With one seed and one draw, the training is held fixed.

    Args:
        values: shape [D draws, S seeds, U users, k metrics], finite.
        samples: number of resamples.
        alpha: the intervals cover 1 - alpha.
        rng: where the resamples come from.
    """
    return intervals_of([TableMeans.of(values)], samples, alpha, rng)[0]


def intervals_of(tables: Sequence[TableMeans], samples: int, alpha: float, rng: np.random.Generator) -> list[Intervals]:
    """The intervals of several tables over as many users, as `intervals` gives each of them alone.

    All share the same resamples of users, and those over as many seeds and draws the same of these.
    """
    users = len(tables[0].by_user)
    if users < 2:
        return [Intervals(*(np.full(len(one.mean), np.nan) for _ in range(4))) for one in tables]
    together = resampled_together([one.by_user for one in tables], samples, rng)
    means = np.split(together, np.cumsum([len(one.mean) for one in tables])[:-1], axis=1)
    found = []
    for one, of_users in zip(tables, means, strict=True):
        draw, spread = deepcopy(rng), one.spread
        shifts = (of_users - one.mean) * np.sqrt(users / (users - 1))
        for by_level in (one.by_seed, one.by_draw):
            if len(by_level) > 1:
                shifts += resampled_means((by_level - one.mean) * spread.training_scale, samples, draw)
        error, degrees = spread.error, spread.degrees
        z = stats.norm.isf(alpha / 2)
        shifts *= np.where(np.isfinite(degrees), stats.t.isf(alpha / 2, degrees) / z, 1.0)
        low, high = one.mean + np.quantile(shifts, [alpha / 2, 1 - alpha / 2], axis=0)
        found.append(Intervals(low, high, error, degrees))
    return found


@dataclass(frozen=True)
class Spread:
    """The mean squares of k tables of values, by the axes they are of, each an array [k].

    Attributes:
        shape: draws, seeds and users.
        squares: (SEEDS,) -> the mean square of seeds, (SEEDS, USERS) -> that of the two together, and so on, of the
            axes with two levels or more.
    """

    shape: tuple[int, int, int]
    squares: dict[tuple[int, ...], np.ndarray]

    @classmethod
    def of(cls, values: np.ndarray) -> Spread:
        """Those of values of shape [D, S, U, k]."""
        shape = values.shape[:3]
        axes = [axis for axis in range(3) if shape[axis] > 1]
        squares: dict[tuple[int, ...], np.ndarray] = {}
        left: dict[tuple[int, ...], np.ndarray] = {(): values.mean(axis=(0, 1, 2), keepdims=True)}
        for size in range(1, len(axes) + 1):
            for chosen in combinations(axes, size):
                others = tuple(axis for axis in range(3) if axis not in chosen)
                effect = values.mean(axis=others, keepdims=True)
                effect = effect - sum(left[inner] for inner in left if set(inner) < set(chosen))
                left[chosen] = effect
                repeated = int(np.prod([shape[axis] for axis in others], dtype=np.int64))
                degrees = int(np.prod([shape[axis] - 1 for axis in chosen], dtype=np.int64))
                squares[chosen] = repeated * np.einsum("dsuk,dsuk->k", effect, effect) / degrees
        return cls(shape, squares)

    def _square(self, *axes: int) -> np.ndarray:
        return self.squares.get(axes, np.zeros_like(next(iter(self.squares.values()))))

    @property
    def of_trainings(self) -> np.ndarray:
        """What seeds and draws add beyond what they do to single users; 0 where they spread no more than that."""
        alone = self._square(SEEDS) + self._square(DRAWS) - self._square(DRAWS, SEEDS)
        with_users = self._square(SEEDS, USERS) + self._square(DRAWS, USERS) - self._square(*range(3))
        added = alone - with_users
        return np.where(added > ROUNDING * alone, added, 0.0)

    @property
    def error(self) -> np.ndarray:
        """The standard error of the mean."""
        return np.sqrt((self._square(USERS) + self.of_trainings) / np.prod(self.shape))

    @property
    def degrees(self) -> np.ndarray:
        """Its degrees of freedom, by Satterthwaite; NaN where nothing varies.

        They are no fewer than the factor with the fewest levels has: a sum of mean squares never has, but where one is
        subtracted, as of users whom each training serves otherwise, the formula can come near to none at all.
        """
        counted = {axes: square * (self.of_trainings > 0) for axes, square in self.squares.items()}
        counted[(USERS,)] = self._square(USERS)
        parts = sum(square**2 / np.prod([self.shape[axis] - 1 for axis in axes]) for axes, square in counted.items())
        with np.errstate(divide="ignore", invalid="ignore"):
            found = (self._square(USERS) + self.of_trainings) ** 2 / parts
        return np.maximum(found, min(levels - 1 for levels in self.shape if levels > 1))

    @property
    def training_scale(self) -> np.ndarray:
        """What the deviations of seeds and of draws are multiplied by before they are resampled."""
        draws, seeds, _ = self.shape
        resampled = self._square(SEEDS) * (seeds - 1) / seeds + self._square(DRAWS) * (draws - 1) / draws
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sqrt(np.where(resampled > 0, self.of_trainings / resampled, 0.0))
