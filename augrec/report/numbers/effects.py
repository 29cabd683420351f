"""How large a difference is, beside how sure it is: in units of its own spread, in per cent, and what could be seen."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

POWER = 0.8
"""With this chance a difference as large as the detectable one is found."""


def standardised(differences: np.ndarray) -> float | None:
    """Cohen's d_z: the mean difference in standard deviations of the differences; None where these do not spread.

    Tells how much of what users differ by is the same for all of them, whatever their number. About .2 is small.

    Args:
        differences: shape [n], finite.
    """
    if len(differences) < 2 or not np.ptp(differences) > 0:
        return None
    return float(differences.mean() / differences.std(ddof=1))


def detectable(differences: np.ndarray, alpha: float, power: float = POWER) -> float | None:
    """The smallest mean difference that a two-sided paired t-test of as many pairs finds with a chance of `power`.

    It is (t_(1 - alpha/2) + t_power) standard errors (Bloom 1995). An effect below it is likely to be missed, so that a
    large p says little of it. Before any correction: a family of several tests detects less.

    Args:
        differences: shape [n], finite; their spread is taken as that of the population.
        alpha: the level of the test.
        power: the chance.
    """
    n = len(differences)
    if n < 2 or not np.ptp(differences) > 0:
        return None
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    return float(stats.t.isf(alpha / 2, n - 1) + stats.t.isf(1 - power, n - 1)) * error
