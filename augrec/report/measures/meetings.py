"""How often pairs of items meet in histories, and how often popularity alone would make them.

Two items meet as often as there are users who have both in training; two users, as there are such items. Popular ones
meet often whoever they are, so what many pairs have in common is compared with the same pairs moved to other ids:
permutations that keep everybody within a stratum of popularity. Permuting without strata takes popularity for more:
the texts of popular items are alike in ways that have nothing to do with what they say, their length or how well an LLM
knows them. Strata alone leave what popularity explains within a stratum; that is taken off: a pair (i, j) in strata
a and b is expected to meet p_i p_j times the rate at which all pairs of a and b do, where p is popularity. Over all
pairs of two strata observed and expected are equal, so permuted pairs meet as expected on average, and the ratio of the
two is "times chance".

The permutation of one matrix against another is Mantel's test (Cancer Research 27, 1967); strata make it one of what is
exchangeable within them alone (Anderson and Ter Braak, J. Stat. Comput. Simul. 73, 2003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy import stats

ALPHA = 0.01
POWER = 0.8
STRATUM = 25
"""Members of a stratum at least; with so many it ends where popularity has grown by half."""
GROWTH = 1.5
FOUND = float(stats.norm.ppf(1 - ALPHA))
RULED_OUT = float(stats.norm.ppf(0.95))


@dataclass(frozen=True)
class Meetings:
    """How often given pairs meet.

    Attributes:
        pairs: how many these are.
        observed: others that two have in common, summed over the pairs.
        expected: the same by popularity alone.
        ratio: observed / expected: how many times chance; None where nothing is expected.
        spread: the standard deviation of this ratio over permutations; None likewise.
        p: share of the permutations, this one counted, that exceed what is expected by as much; one-sided.
    """

    pairs: int
    observed: int
    expected: float
    ratio: float | None
    spread: float | None
    p: float

    @property
    def z(self) -> float | None:
        """How many standard deviations above chance."""
        return (self.ratio - 1) / self.spread if self.ratio is not None and self.spread else None

    @property
    def found(self) -> bool:
        """Whether they meet more often than chance."""
        return self.p <= ALPHA and self.ratio is not None and self.ratio > 1

    @property
    def detectable(self) -> float | None:
        """The ratio that is found four times in five."""
        return None if self.spread is None else 1 + (FOUND + float(stats.norm.ppf(POWER))) * self.spread

    @property
    def reach(self) -> float | None:
        """The largest ratio that is not ruled out with 95 % confidence, one-sided."""
        return None if self.ratio is None or self.spread is None else self.ratio + RULED_OUT * self.spread


@dataclass(frozen=True, eq=False)
class Histories:
    """Who meets whom.

    Attributes:
        common: [n, n], how many others two have in common; zeros on the diagonal.
        popularity: int64 [n].
        stratum: int64 [n], the stratum of popularity of each, rarest first.
        rate: float64 [strata, strata], meetings of a pair for each unit of the product of its popularities.
    """

    common: np.ndarray
    popularity: np.ndarray
    stratum: np.ndarray
    rate: np.ndarray

    @classmethod
    def of(cls, histories: sp.csr_array) -> Histories:
        """From int [others, n] of zeros and ones. Needs n * n times the bytes of the largest count, two mostly."""
        popularity = np.asarray(histories.sum(axis=0)).astype(np.int64)
        common = sp.csr_array(histories.T @ histories)
        common.setdiag(0)
        stratum = strata(popularity)
        shape = len(stratum), 1 + int(stratum.max(initial=0))
        member = sp.csr_array((np.ones(len(stratum)), (np.arange(len(stratum)), stratum)), shape=shape)
        met, weight = (member.T @ common @ member).toarray(), popularity.astype(np.float64)
        product = np.outer(member.T @ weight, member.T @ weight) - np.diag(member.T @ weight**2)
        rate = np.divide(met, product, out=np.zeros_like(met), where=product > 0)
        kind = np.min_scalar_type(int(common.max()) if common.nnz else 0)
        return cls(common.astype(kind).toarray(), popularity, stratum, rate)

    def counted(self, pairs: np.ndarray) -> tuple[int, float]:
        """How often the pairs int64 [m, 2] meet, and how often they are expected to."""
        a, b = pairs.T
        expected = self.rate[self.stratum[a], self.stratum[b]] * self.popularity[a] * self.popularity[b]
        return int(self.common[a, b].sum(dtype=np.int64)), float(expected.sum())

    def permuted(self, rng: np.random.Generator) -> np.ndarray:
        """int64 [n]: whose place each one takes, within its stratum."""
        moved = np.empty(len(self.stratum), dtype=np.int64)
        moved[np.argsort(self.stratum, kind="stable")] = np.argsort(self.stratum + rng.random(len(moved)))
        return moved

    def meetings(self, pairs: np.ndarray, rng: np.random.Generator, permutations: int) -> Meetings:
        """How often the pairs int64 [m, 2] meet, against so many permutations of who they are."""
        observed, expected = self.counted(pairs)
        beyond = np.array([np.subtract(*self.counted(self.permuted(rng)[pairs])) for _ in range(permutations)])
        as_many = np.count_nonzero(beyond >= observed - expected - 1e-9 * max(1.0, expected))
        known = expected > 0
        return Meetings(
            pairs=len(pairs),
            observed=observed,
            expected=expected,
            ratio=observed / expected if known else None,
            spread=float(beyond.std()) / expected if known else None,
            p=float((1 + as_many) / (1 + permutations)),
        )


def strata(popularity: np.ndarray) -> np.ndarray:
    """int64 [n]: the stratum of each; equal popularity is never parted.

    From the rarest on, a stratum ends when it has `STRATUM` members and the next one is `GROWTH` times as popular as
    its rarest. The last one joins the one before it where it has fewer.
    """
    values, counts = np.unique(popularity, return_counts=True)
    of_value = np.zeros(len(values), dtype=np.int64)
    number, first, size = 0, 0, 0
    for place, (value, count) in enumerate(zip(values.tolist(), counts.tolist(), strict=True)):
        if size >= STRATUM and value >= GROWTH * values[first]:
            number, first, size = number + 1, place, 0
        of_value[place], size = number, size + count
    if size < STRATUM and number:
        of_value[of_value == number] = number - 1
    return of_value[np.searchsorted(values, popularity)]
