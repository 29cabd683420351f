"""A mean over users, or items, with its bootstrap interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augrec.report.numbers.statistics import bootstrap_intervals

SAMPLES, ALPHA = 2000, 0.05
"""Resamples behind an interval, and what it leaves out."""


@dataclass(frozen=True)
class ResampledMean:
    """A mean and its interval of 95 %; no mean of nothing, no interval of fewer than two values."""

    mean: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, values: np.ndarray, rng: np.random.Generator) -> ResampledMean:
        """The mean of float64 [n], one value for each user (or item); `rng` resamples them."""
        if not len(values):
            return cls(None, None, None)
        low, high = bootstrap_intervals(values[:, None], SAMPLES, ALPHA, rng)
        if len(values) < 2:
            return cls(float(values.mean()), None, None)
        return cls(float(values.mean()), float(low[0]), float(high[0]))

    @classmethod
    def of_known(cls, values: np.ndarray, rng: np.random.Generator) -> ResampledMean:
        """The mean of the values that are not NaN."""
        return cls.of(values[~np.isnan(values)], rng)
