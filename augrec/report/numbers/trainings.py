"""Tests over trainings: over seeds, and over the draws of a language model that are crossed with them.

With one draw these are paired t-tests over seeds. With several, the differences are a table of draws and seeds, and
the mean is tested against the variance of a model with two crossed random factors, D S var = MS_d + MS_s - MS_ds; it is
never taken to be less than what either factor alone says, which is stricter where chance makes the sum small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from augrec.report.numbers.effects import POWER
from augrec.report.numbers.pairs import paired_draws
from augrec.report.numbers.statistics import Test
from augrec.report.numbers.variants import Trained

NOTHING_DRAWN = "neither draws anything, so training again repeats the difference exactly"


@dataclass(frozen=True)
class Trainings:
    """The differences of a metric's means over users between two variants, training by training.

    Attributes:
        differences: shape [D draws, S seeds]; those that both have.
        scale: the largest of the means, for what counts as rounding.
        reason: why nothing can be tested; None where something can.
    """

    differences: np.ndarray
    scale: float
    reason: str | None

    @classmethod
    def of(cls, first: Trained, second: Trained, metric: str) -> Trainings:
        """Those of two variants, paired by seed and by draw. What draws nothing has its one value for every seed."""
        pairs = paired_draws(first, second)
        fixed = first.deterministic, second.deterministic
        tables = [_by_seed(mine.values(metric), theirs.values(metric), fixed) for mine, theirs in pairs]
        seeds = sorted(set.intersection(*(set(mine) & set(theirs) for mine, theirs in tables)))
        seeds = seeds[:1] if all(fixed) else seeds
        mine, theirs = (
            np.array([[table[place][seed] for seed in seeds] for table in tables]).reshape(len(tables), len(seeds))
            for place in (0, 1)
        )
        scale = max([1e-300, *np.abs(mine).ravel().tolist(), *np.abs(theirs).ravel().tolist()])
        return cls(mine - theirs, scale, _reason(mine - theirs, scale, all(fixed)))

    @property
    def error(self) -> tuple[float, float]:
        """The standard error of the mean, and its degrees of freedom."""
        table = self.differences
        draws, seeds = table.shape
        mean, by_draw, by_seed = table.mean(), table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
        squares = {
            "draws": (float(((by_draw - mean) ** 2).sum()) * seeds, draws - 1),
            "seeds": (float(((by_seed - mean) ** 2).sum()) * draws, seeds - 1),
            "both": (float(((table - by_draw - by_seed + mean) ** 2).sum()), (draws - 1) * (seeds - 1)),
        }
        known = {name: (total / degrees, degrees) for name, (total, degrees) in squares.items() if degrees}
        candidates = [known[name] for name in ("draws", "seeds") if name in known]
        if len(known) == 3:
            together = known["draws"][0] + known["seeds"][0] - known["both"][0]
            spread = sum(square**2 / degrees for square, degrees in known.values())
            candidates.append((together, together**2 / spread if spread else 1.0))
        square, degrees = max(candidates)
        return float(np.sqrt(square / table.size)), degrees

    def difference(self) -> Test:
        """Two-sided: is the mean difference zero?"""
        if self.reason is not None:
            return Test(None, self.reason)
        error, degrees = self.error
        return Test(float(2 * stats.t.sf(abs(self.differences.mean()) / error, degrees)))

    def equivalence(self, margin: float) -> Test:
        """Two one-sided tests: is the mean difference at least as large as a margin?"""
        mean = abs(float(self.differences.mean())) if self.differences.size else 0.0
        if self.differences.size > 1 and _constant(self.differences, self.scale):
            return Test(float(mean >= margin))
        if self.reason is not None:
            return Test(None, self.reason)
        error, degrees = self.error
        return Test(float(stats.t.sf((margin - mean) / error, degrees)))

    def detectable(self, alpha: float) -> float | None:
        """The mean difference that so many trainings show with a chance of 80 %; see `effects.detectable`."""
        if self.reason is not None:
            return None
        error, degrees = self.error
        return float(stats.t.isf(alpha / 2, degrees) + stats.t.isf(1 - POWER, degrees)) * error


def _by_seed(
    mine: dict[int, float], theirs: dict[int, float], fixed: tuple[bool, bool]
) -> tuple[dict[int, float], dict[int, float]]:
    if fixed[0]:
        mine = {seed: value for seed in theirs for value in list(mine.values())[:1]}
    elif fixed[1]:
        theirs = {seed: value for seed in mine for value in list(theirs.values())[:1]}
    return mine, theirs


def _reason(differences: np.ndarray, scale: float, fixed: bool) -> str | None:
    if differences.size < 2:
        return NOTHING_DRAWN if fixed else "fewer than two seeds in common"
    what = "seeds" if len(differences) == 1 else "draws and seeds"
    return f"the difference is the same for all {what}" if _constant(differences, scale) else None


def _constant(differences: np.ndarray, scale: float) -> bool:
    return float(np.ptp(differences)) <= 1e-12 * scale
