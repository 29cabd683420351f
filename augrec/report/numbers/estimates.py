"""A metric of a variant over its seeds: mean, spread, and the interval of the mean over users and seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from augrec.report.numbers.comparison import number_or_none
from augrec.report.numbers.intervals import intervals
from augrec.report.numbers.pairs import paired_values
from augrec.report.numbers.variants import Trained
from augrec.report.options import Inference


@dataclass(frozen=True)
class Estimate:
    """`std` (ddof=1) is None for a single seed; `low` and `high` bound the mean over users and seeds, where asked."""

    mean: float | None = None
    std: float | None = None
    n_seeds: int = 0
    low: float | None = None
    high: float | None = None


def estimate(trained: Trained, metric: str, inference: Inference | None = None) -> Estimate:
    """The metric's mean over seeds with its spread.

    Args:
        trained: the variant.
        metric: its name.
        inference: level, resamples and seed of the interval; None: without an interval.
    """
    values = list(trained.values(metric).values())
    low, high = (None, None) if inference is None else _interval(trained, metric, inference)
    return Estimate(number_or_none(trained.mean(metric)), spread(values), len(values), low, high)


def _interval(trained: Trained, metric: str, inference: Inference) -> tuple[float | None, float | None]:
    """The interval of the metric's mean; one user has none."""
    pair = paired_values(trained, trained, metric)
    if pair is None:
        return None, None
    rng = np.random.default_rng(inference.seed)
    found = intervals(pair.first[..., None], inference.bootstrap, inference.alpha, rng)
    return number_or_none(found.low[0]), number_or_none(found.high[0])


def spread(values: list[float]) -> float | None:
    """Standard deviation (ddof=1); exactly 0 for equal values, where the rounding of their mean would leave a trace."""
    if len(values) < 2:
        return None
    return 0.0 if min(values) == max(values) else float(np.std(values, ddof=1))
