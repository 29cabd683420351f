"""One effect over several data sets: the mean of a random-effects model, and how much data sets differ.

Each data set has an effect y_i with a standard error s_i, and effects of their own that spread around a mean with the
standard deviation tau: y_i ~ N(mean, s_i^2 + tau^2). tau^2 is the restricted maximum likelihood estimate (Viechtbauer
2005); the interval of the mean is Hartung and Knapp's (2001), which has the t distribution of k - 1 degrees of freedom
and so knows that few data sets say little of their own spread. As Knapp and Hartung (2003) advise for few of them, it
is never narrower than the model's own error would make it. With two data sets it is very wide, and should be.

Data sets are not ranked: ranks over two or three say nothing of how large a difference is, nor of how sure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import brentq

GRID = 200
ROUNDS = 10_000


@dataclass(frozen=True)
class Synthesis:
    """The random-effects mean of k data sets, in the unit of the effects.

    Attributes:
        mean: over data sets like these.
        low, high: its interval.
        p: two-sided, that it is zero.
        tau: the standard deviation of the data sets' own effects around it; 0 where they differ no more than chance.
        data_sets: k.
    """

    mean: float
    low: float
    high: float
    p: float
    tau: float
    data_sets: int


def random_effects(effects: Sequence[float], errors: Sequence[float], alpha: float) -> Synthesis | None:
    """The mean of effects of several data sets; None of fewer than two, or where one has no error.

    Args:
        effects: one a data set.
        errors: their standard errors, above zero.
        alpha: the interval covers 1 - alpha.
    """
    y, variances = np.asarray(effects, float), np.asarray(errors, float) ** 2
    if len(y) < 2 or not (np.isfinite(y) & np.isfinite(variances) & (variances > 0)).all():
        return None
    tau2 = _between(y, variances)
    weights = 1 / (variances + tau2)
    mean = float(weights @ y / weights.sum())
    k = len(y)
    excess = float(weights @ (y - mean) ** 2) / (k - 1)
    error = math.sqrt(max(1.0, excess) / weights.sum())
    half = float(stats.t.isf(alpha / 2, k - 1)) * error
    p = float(2 * stats.t.sf(abs(mean) / error, k - 1))
    return Synthesis(mean, mean - half, mean + half, p, math.sqrt(tau2), k)


def _between(y: np.ndarray, variances: np.ndarray) -> float:
    """tau^2 by restricted maximum likelihood; never below zero.

    Where errors are far apart the likelihood may have several maxima. Each is found to the last digits, between two
    neighbours of a grid where it stops rising, before the highest is taken. Above the grid the likelihood only falls.
    """
    end = len(y) * float(np.var(y, ddof=1) + variances.mean())
    grid = np.append(0.0, np.geomspace(variances.min() / GRID, end, GRID))
    rising = _slope(grid, y, variances) > 0
    tops = rising[:-1] & ~rising[1:]
    between = [
        brentq(_slope, left, right, args=(y, variances), xtol=np.finfo(float).tiny, maxiter=ROUNDS)
        for left, right in zip(grid[:-1][tops], grid[1:][tops], strict=True)
    ]
    maxima = np.array([0.0, *between])
    return float(maxima[np.argmax(_likelihood(maxima, y, variances))])


def _slope(tau2: float | np.ndarray, y: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """The derivative of `_likelihood` at each tau^2, of the shape of `tau2`."""
    weights = 1 / (variances + np.asarray(tau2)[..., None])
    total = weights.sum(axis=-1)
    squares = weights**2
    mean = weights @ y / total
    return np.asarray((squares * (y - mean[..., None]) ** 2).sum(axis=-1) - total + squares.sum(axis=-1) / total)


def _likelihood(tau2: np.ndarray, y: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Twice the restricted log-likelihood at each of several tau^2, but for a constant, [n]."""
    weights = 1 / (variances + tau2[:, None])
    mean = (weights @ y / weights.sum(axis=1))[:, None]
    return np.asarray(
        np.log(weights).sum(axis=1) - np.log(weights.sum(axis=1)) - (weights * (y - mean) ** 2).sum(axis=1)
    )
