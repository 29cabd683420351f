"""Is a difference between two variants more than chance, and is it small enough not to matter?

Two kinds of chance are kept apart. Tests over *users* ask whether the trained models at hand differ on users like
these. Tests over *seeds* ask whether training again would show the same. Neither says anything about other data sets.
`augrec.report.numbers.intervals` has one interval over both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLED_CELLS = 4_000_000
EXACT_USERS = 13  # with so many users that differ, or fewer, all 2^n choices of signs are looked at


@dataclass(frozen=True)
class Test:
    """A two-sided p-value, or None and the reason why there is none."""

    __test__ = False  # not a test class, whatever pytest makes of the name

    p: float | None
    reason: str | None = None


def paired_t(first: np.ndarray, second: np.ndarray, what: str = "users") -> Test:
    """Two-sided paired t-test of equal means.

    Assumes that the pairs are independent draws and that the mean difference is roughly normal, which holds for
    hundreds of users and has to be believed for five seeds. Does not show that a difference is large enough to matter,
    and a large p does not show that two variants are equal.

    Args:
        first, second: shape [n], finite, in the same order of users or seeds.
        what: the name of the pairs, used in the reason when no test is possible.
    """
    difference = _differences(first, second)
    if len(difference) < 2:
        return Test(None, f"fewer than two {what} in common")
    if _constant(difference, first, second):
        return Test(None, f"the difference is the same for all {what}")
    return Test(float(stats.ttest_rel(first, second).pvalue))


def equivalence_t(first: np.ndarray, second: np.ndarray, margin: float, what: str = "users") -> Test:
    """Two one-sided paired t-tests (Schuirmann 1987): is the mean difference closer to zero than a margin?

    The p-value is the larger of the two of "the mean difference is at least `margin`" and "at most `-margin`": where it
    is small, both are refuted, and the two are as good as equal by that margin. A large p shows nothing, least of all a
    difference. Assumes what `paired_t` does.

    Args:
        first, second: shape [n], finite, in the same order of users or seeds.
        margin: the smallest difference that matters, in the unit of the values, above zero.
        what: the name of the pairs, used in the reason when no test is possible.
    """
    difference = _differences(first, second)
    if len(difference) < 2:
        return Test(None, f"fewer than two {what} in common")
    mean = float(difference.mean())
    if _constant(difference, first, second):
        return Test(float(abs(mean) >= margin))  # nothing varies: the difference is what it is
    error = float(difference.std(ddof=1)) / np.sqrt(len(difference))
    return Test(float(stats.t.sf((margin - abs(mean)) / error, len(difference) - 1)))


def sign_flips(differences: np.ndarray, rng: np.random.Generator, flips: int = 9_999) -> list[Test]:
    """Two-sided sign-flip randomisation tests (Fisher 1935; in retrieval, Smucker et al. 2007) of mean differences.

    Under the hypothesis that two variants are exchangeable for every user, each user's difference might as well have
    had the other sign. The p-value is the share of the ways to choose signs whose mean difference is as far from zero
    as the one observed: of all of them for few users, else of `flips` seeded draws, the observed one counted among
    them. Unlike a rank test it judges the mean that is reported; and where differences are skewed, as those of top-k
    metrics are, it keeps its level for many users.

    Args:
        differences: shape [n users, k metrics], finite; all columns share the same signs.
        rng: where the signs come from.
        flips: how many draws are made where not all are looked at.
    """
    n, k = differences.shape
    if n < 2:
        return [Test(None, "fewer than two users in common") for _ in range(k)]
    counted = differences[differences.any(axis=1)]  # a user without any difference has the same sum with either sign
    whole, users = counted.sum(axis=0), len(counted)
    bound = np.abs(whole) - 1e-9 * np.abs(counted).sum(axis=0)  # sums that differ by rounding alone are equal
    exact = users <= EXACT_USERS
    total = 2**users if exact else flips
    as_far = np.zeros(k, dtype=np.int64)
    step = max(1, RESAMPLED_CELLS // max(1, users))
    for start in range(0, total, step):
        rows = min(step, total - start)
        if exact:
            flipped = ((np.arange(start, start + rows)[:, None] >> np.arange(users)) & 1).astype(np.float64)
        else:
            words = rng.integers(256, size=(rows, -(-users // 8)), dtype=np.uint8)
            flipped = np.unpackbits(words, axis=1, count=users).astype(np.float64)
        sums = whole - 2 * (flipped @ counted)
        as_far += (np.abs(sums) >= bound).sum(axis=0)
    p_values = as_far / total if exact else (as_far + 1) / (total + 1)
    nothing = Test(None, "no difference for any of the users")
    return [Test(float(p)) if counted[:, i].any() else nothing for i, p in enumerate(p_values)]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (Holm 1979) of one family of p-values; None stays None and is not counted.

    Keeps the chance of one or more false alarms in the family below alpha, whatever the dependence. It says nothing
    about variants or metrics that were tried and left out of the family.
    """
    known = [i for i, p in enumerate(p_values) if p is not None]
    order = sorted(known, key=lambda i: p_values[i])  # type: ignore[arg-type,return-value]
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[i]))  # type: ignore[operator]
        corrected[i] = highest
    return corrected


def bootstrap_intervals(
    differences: np.ndarray, samples: int, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile bootstrap intervals of mean differences; all columns share the same resamples of users.

    Assumes that users are independent draws. The trained models are held fixed, so the interval does not widen for
    what other seeds would give; with few users it is too narrow.

    Args:
        differences: shape [n users, k metrics], finite.
        samples: number of resamples.
        alpha: the intervals cover 1 - alpha.

    Returns:
        (low, high), each of shape [k]; NaN where there are fewer than two users.
    """
    n, k = differences.shape
    if n < 2:
        return np.full(k, np.nan), np.full(k, np.nan)
    low, high = np.quantile(resampled_means(differences, samples, rng), [alpha / 2, 1 - alpha / 2], axis=0)
    return low, high


def resampled_means(values: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    """The means of bootstrap resamples, [samples, k]; all columns share the same resamples of rows.

    Holds `RESAMPLED_CELLS` draws at a time, however many rows there are.

    Args:
        values: shape [n, k], finite, of at least one row.
        samples: number of resamples, each of n rows drawn with replacement.
        rng: where they come from.
    """
    n, k = values.shape
    means = np.empty((samples, k))
    step = max(1, RESAMPLED_CELLS // n)
    for start in range(0, samples, step):
        rows = min(step, samples - start)
        drawn = rng.integers(0, n, size=(rows, n)) + np.arange(rows)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
        means[start : start + rows] = counts @ values / n
    return means


def _differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"paired values must be two vectors of one length, got {first.shape} and {second.shape}")
    difference = first - second
    if not np.isfinite(difference).all():
        raise ValueError("paired values must be finite")
    return difference


def _constant(difference: np.ndarray, first: np.ndarray, second: np.ndarray) -> bool:
    """Whether all differences are equal up to rounding: the t statistic would then be noise, or divided by zero."""
    scale = max(float(np.abs(first).max()), float(np.abs(second).max()), 1e-300)
    return float(np.ptp(difference)) <= 1e-12 * scale
