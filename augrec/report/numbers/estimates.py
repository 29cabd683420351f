"""A metric of a variant over its seeds: mean, spread, and the interval of the mean over users and seeds."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np

from augrec.report.numbers.comparison import number_or_none
from augrec.report.numbers.pairs import paired_values
from augrec.report.numbers.resampling import Resampling
from augrec.report.numbers.variants import Trained


@dataclass(frozen=True)
class Estimate:
    """`std` (ddof=1) is None for a single seed; `low` and `high` bound the mean over users and seeds, where asked."""

    mean: float | None = None
    std: float | None = None
    n_seeds: int = 0
    low: float | None = None
    high: float | None = None


def estimate(trained: Trained, metric: str) -> Estimate:
    """The metric's mean over seeds with its spread, without an interval."""
    values = list(trained.values(metric).values())
    return Estimate(number_or_none(trained.mean(metric)), spread(values), len(values))


class Estimates:
    """Estimates with intervals, resampled together.

    Args:
        resampling: whom they share their resamples with.
    """

    def __init__(self, resampling: Resampling) -> None:
        self._resampling = resampling
        self._found: dict[Hashable, Estimate] = {}
        self._with_values: set[Hashable] = set()

    def add(self, key: Hashable, trained: Trained, metric: str) -> None:
        """Adds a metric of a variant under a key of its own."""
        self._found[key] = estimate(trained, metric)
        pair = paired_values(trained, trained, metric)
        if pair is not None:
            self._with_values.add(key)
            self._resampling.add(("mean", key), pair.first, differences=False)

    def of(self, key: Hashable) -> Estimate:
        """The estimate; one user, or a metric that has no value per user, has no interval."""
        if key not in self._with_values:
            return self._found[key]
        interval = self._resampling.of(("mean", key)).interval
        return replace(self._found[key], low=number_or_none(interval.low[0]), high=number_or_none(interval.high[0]))


def spread(values: list[float]) -> float | None:
    """Standard deviation (ddof=1); exactly 0 for equal values, where the rounding of their mean would leave a trace."""
    if len(values) < 2:
        return None
    return 0.0 if min(values) == max(values) else float(np.std(values, ddof=1))
