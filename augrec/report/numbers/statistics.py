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

RESAMPLED_CELLS = 200_000  # drawn at a time: as many as the processor's cache holds
COUNTED_BYTES = 96 << 20  # of counts that are multiplied at a time
SIGNS_AT_ONCE = 20_000_000
ROWS_AT_ONCE = 16_384
EXACT_USERS = 13  # with so many users that differ, or fewer, all 2^n choices of signs are looked at
OUT_OF_REACH = 10  # deviations of a sum over random signs: so far from zero none is looked for
IN_SINGLE_PRECISION = 20_000  # with more users, sums over chosen signs are in float32


@dataclass(frozen=True)
class Test:
    """A two-sided p-value, or None and the reason why there is none."""

    __test__ = False  # not a test class, whatever pytest makes of the name

    p: float | None
    reason: str | None = None


def paired_t(first: np.ndarray, second: np.ndarray) -> Test:
    """Two-sided paired t-test of equal means.

    Assumes that the pairs are independent draws and that the mean difference is roughly normal, which holds for
    hundreds of users and has to be believed for five seeds. Does not show that a difference is large enough to matter,
    and a large p does not show that two variants are equal.

    Args:
        first, second: shape [n], finite, in the same order of users.
    """
    difference = _differences(first, second)
    if len(difference) < 2:
        return Test(None, "fewer than two users in common")
    if _constant(difference, first, second):
        return Test(None, "the difference is the same for all users")
    return Test(float(stats.ttest_rel(first, second).pvalue))


def equivalence_t(first: np.ndarray, second: np.ndarray, margin: float) -> Test:
    """Two one-sided paired t-tests (Schuirmann 1987): is the mean difference closer to zero than a margin?

    The p-value is the larger of the two of "the mean difference is at least `margin`" and "at most `-margin`": where it
    is small, both are refuted, and the two are as good as equal by that margin. A large p shows nothing, least of all a
    difference. Assumes what `paired_t` does.

    Args:
        first, second: shape [n], finite, in the same order of users.
        margin: the smallest difference that matters, in the unit of the values, above zero.
    """
    difference = _differences(first, second)
    if len(difference) < 2:
        return Test(None, "fewer than two users in common")
    mean = float(difference.mean())
    if _constant(difference, first, second):
        return Test(float(abs(mean) >= margin))  # nothing varies: the difference is what it is
    error = float(difference.std(ddof=1)) / np.sqrt(len(difference))
    return Test(float(stats.t.sf((margin - abs(mean)) / error, len(difference) - 1)))


def sign_flips(differences: np.ndarray, rng: np.random.Generator, flips: int = 9_999) -> list[Test]:
    """Two-sided sign-flip randomisation tests (Fisher 1935; in retrieval, Smucker et al. 2007) of mean differences.

    Under the hypothesis that two variants are exchangeable for every user, each user's difference might as well have
    had the other sign. The p-value is the share of the ways to choose signs whose mean difference is as far from zero
    as the one observed: of all of them where few users differ, else of `flips` seeded draws, the observed one counted
    among them. Unlike a rank test it judges the mean that is reported; and where differences are skewed, as those of
    top-k metrics are, it keeps its level for many users.

    A column's p-value does not depend on the other columns, nor on users behind the last one who differs.

    Args:
        differences: shape [n users, k metrics], finite; all columns share the same signs.
        rng: where the signs come from.
        flips: how many draws are made where not all are looked at.
    """
    n, k = differences.shape
    if n < 2:
        return [Test(None, "fewer than two users in common") for _ in range(k)]
    differ = np.count_nonzero(differences, axis=0)
    drawn = np.flatnonzero(differ > EXACT_USERS)
    found = [Test(None, "no difference for any of the users")] * k
    for i in np.flatnonzero((differ > 0) & (differ <= EXACT_USERS)):
        found[i] = Test(_share_of_all_signs(differences[differences[:, i] != 0, i]))
    as_far = np.zeros(k, dtype=np.int64)
    near = drawn[~_out_of_reach(differences)[drawn]]
    if len(near):
        as_far[near] = _as_far(differences, near, rng, flips)
    for i in drawn:
        found[i] = Test(float((as_far[i] + 1) / (flips + 1)))
    return found


def _out_of_reach(differences: np.ndarray) -> np.ndarray:
    """bool [k]: whether no draw of signs can be expected to have a sum as far from zero as that of a column.

    Sums over random signs have tails no heavier than a normal variable's of the variance sum(d^2) (Hoeffding 1963): a
    draw beyond `OUT_OF_REACH` of its deviations has a chance below 4e-22, so that no page has one.
    """
    whole = np.abs(differences.sum(axis=0, dtype=np.float64))
    return whole > OUT_OF_REACH * np.sqrt(np.einsum("nk,nk->k", differences, differences, dtype=np.float64))


def _share_of_all_signs(differences: np.ndarray) -> float:
    """The share of all choices of signs whose sum is as far from zero as that of `differences`, [n], none zero."""
    users = len(differences)
    flipped = (np.arange(2**users)[:, None] >> np.arange(users)) & 1
    whole = differences.sum()
    return float((np.abs(whole - 2 * (flipped @ differences)) >= _bound(whole, np.abs(differences).sum())).mean())


def _as_far(differences: np.ndarray, columns: np.ndarray, rng: np.random.Generator, flips: int) -> np.ndarray:
    """How many of `flips` draws of signs have sums as far from zero as those of k of the columns, int [k].

    The signs of a user are drawn at once, user after user, so that blocks of users change nothing. Of many users, the
    sums of a block are in float32. Their error is below 1e-5 of a sum's own standard deviation over signs: what lies
    so near to the bound counts as far, by which a p-value rises by less than 1e-5.
    """
    n, k = len(differences), len(columns)
    kind = np.float32 if n > IN_SINGLE_PRECISION else np.float64
    whole = differences.sum(axis=0)[columns]
    sums, absolute, squares = np.zeros((flips, k)), np.zeros(k), np.zeros(k)
    bytes_each = -(-flips // 64) * 8
    step = min(n, max(1, SIGNS_AT_ONCE // (8 * bytes_each)))
    eights, sums_of_block = np.empty((step, bytes_each, 8), kind), np.empty((flips, k), kind)  # large: made once
    for start in range(0, n, step):
        block = differences[start : start + step, columns]
        absolute += np.abs(block).sum(axis=0)
        squares += (block**2).sum(axis=0)
        words = rng.integers(2**64, size=(len(block), bytes_each // 8), dtype=np.uint64)
        drawn = eights[: len(block)]
        np.take(_SIGNS[kind], words.astype("<u8", copy=False).view(np.uint8), axis=0, out=drawn, mode="clip")
        signs = drawn.reshape(len(block), -1)[:, :flips]
        sums += np.matmul(signs.T, block.astype(kind, copy=False), out=sums_of_block)
    bound = _bound(whole, absolute)
    if kind is np.float32:
        bound = np.minimum(bound, np.abs(whole) - 1e-5 * np.sqrt(squares))
    return np.asarray((np.abs(sums) >= bound).sum(axis=0))


def _bound(whole: np.ndarray, absolute: np.ndarray) -> np.ndarray:
    """From where on a sum is as far from zero: sums that differ by rounding alone are equal."""
    return np.abs(whole) - 1e-9 * absolute


_SIGNS = {
    kind: (1 - 2 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.int8)).astype(kind)
    for kind in (np.float32, np.float64)
}
"""The eight signs of a byte, [256, 8]."""


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

    Args:
        values: shape [n, k], finite, of at least one row, in float64 or float32.
        samples: number of resamples, each of n rows drawn with replacement.
        rng: where they come from.
    """
    return resampled_together([values], samples, rng)


def resampled_together(tables: Sequence[np.ndarray], samples: int, rng: np.random.Generator) -> np.ndarray:
    """The means of several tables of n rows side by side, see `resampled_means`, without a copy of all of them.

    Holds `RESAMPLED_CELLS` draws and `COUNTED_BYTES` of counts at a time, however many rows there are: counts of many
    resamples at once, so that values in float32 are not converted for every few of them. Sums are in float64.
    """
    n, k = len(tables[0]), sum(table.shape[1] for table in tables)
    means = np.zeros((samples, k))
    step = max(1, COUNTED_BYTES // (n * np.min_scalar_type(n).itemsize))
    for start in range(0, samples, step):
        counts = _counts(n, min(step, samples - start), rng)
        for part in (slice(first, first + ROWS_AT_ONCE) for first in range(0, n, ROWS_AT_ONCE)):
            columns = np.concatenate([table[part].T for table in tables], dtype=np.float64)  # row by row is much slower
            means[start : start + step] += counts[:, part].astype(np.float64) @ np.ascontiguousarray(columns.T)
    return means / n


def _counts(n: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of n rows is in each resample, whole numbers [samples, n] in as few bytes as they need."""
    counts = np.empty((samples, n), dtype=np.min_scalar_type(n))
    step = max(1, RESAMPLED_CELLS // n)
    for start in range(0, samples, step):
        rows = min(step, samples - start)
        drawn = rng.integers(0, n, size=(rows, n)) + np.arange(rows)[:, None] * n
        counts[start : start + rows] = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)
    return counts


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
