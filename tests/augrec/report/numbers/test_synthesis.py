"""The random-effects mean against published figures, a maximised likelihood, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from augrec.report.numbers.synthesis import random_effects

BCG = (
    (-0.8893, 0.3256), (-1.5854, 0.1946), (-1.3481, 0.4154), (-1.4416, 0.0200), (-0.2175, 0.0512), (-0.7861, 0.0069),
    (-1.6209, 0.2230), (0.0120, 0.0040), (-0.4694, 0.0564), (-1.3713, 0.0730), (-0.3394, 0.0124), (0.4459, 0.5325),
    (-0.0173, 0.0714),
)  # fmt: skip
"""Log relative risk and its variance in thirteen trials of a vaccine (Colditz et al. 1994)."""


def restricted(tau2: float, y: np.ndarray, v: np.ndarray) -> float:
    """Minus twice the restricted log-likelihood, but for a constant, number by number."""
    weights = [1 / (variance + tau2) for variance in v]
    mean = sum(w * one for w, one in zip(weights, y, strict=True)) / sum(weights)
    fit = sum(w * (one - mean) ** 2 for w, one in zip(weights, y, strict=True))
    return -sum(math.log(w) for w in weights) + math.log(sum(weights)) + fit


def test_the_figures_of_the_vaccine_trials() -> None:
    """As they are printed for this data with the same estimators: tau^2 .3132, mean -.7145, from -1.1082 to -.3208."""
    effects, variances = zip(*BCG, strict=True)
    found = random_effects(effects, np.sqrt(variances).tolist(), 0.05)
    assert found is not None
    assert found.tau**2 == pytest.approx(0.3132, abs=2e-4)
    assert (found.mean, found.low, found.high) == pytest.approx((-0.7145, -1.1082, -0.3208), abs=1e-3)
    assert found.p == pytest.approx(0.0019, abs=1e-4)
    assert found.data_sets == 13


@pytest.mark.parametrize("seed", range(12))
def test_the_spread_maximises_the_restricted_likelihood(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 9))
    v = rng.uniform(0.5, 3.0, k)
    y = rng.normal(0.3, np.sqrt(v + rng.choice([0.0, 2.0])))
    found = random_effects(y.tolist(), np.sqrt(v).tolist(), 0.1)
    assert found is not None
    best = optimize.minimize_scalar(restricted, (0, 200), bounds=(0, 200), args=(y, v), method="bounded")
    assert restricted(found.tau**2, y, v) <= min(best.fun, restricted(0.0, y, v)) + 1e-6


@pytest.mark.parametrize(
    ("effects", "errors", "tau2"),
    [
        ([-0.9, -16.7, -1.0, 33.8], [2.0, 10.6, 1.8, 13.8], 0.0),  # another is at 144.5
        ([0.2, -3.7, 3.5, 48.5], [1.1, 2.7, 4.2, 16.3], 0.82842),  # 143.6
        ([32.7, 5.2, -70.5, -106.4, 2.5], [42.8, 2.7, 31.5, 61.2, 2.6], 0.0),  # 579.5
        ([0.0, 1.0, 10.0, 0.0], [0.001, 5.0, 5.0, 5.0], None),
        ([3.0, -2.0, 1.0], [0.0002, 0.4, 3.0], None),
        ([-0.9, -16.7, -1.0, 39.98], [2.0, 10.6, 1.8, 13.8], 0.0),  # 311.4 is nearly as good
        ([-0.9, -16.7, -1.0, 39.98909], [2.0, 10.6, 1.8, 13.8], 311.4006),  # 0 is, by 4e-4 of twice the logarithm
        ([-0.05, 0.17, -110.06, 0.16, -0.15, -19.51], [0.05, 0.23, 31.03, 0.04, 0.34, 4.38], 0.01404),  # low and narrow
        ([-0.09, 0.0, 13.26, 0.09, 0.02, -0.05, -68.03], [0.02, 0.01, 3.34, 0.05, 0.02, 0.02, 12.94], 0.00298),
        ([-0.51, 2.17, 0.47, 0.19, -0.04, 0.04, 72.95], [1.09, 1.16, 0.24, 0.02, 0.04, 0.01, 10.3], 574.8401),  # high
    ],
)
def test_of_several_maxima_of_the_likelihood_the_highest_counts(
    effects: list[float], errors: list[float], tau2: float | None
) -> None:
    found = random_effects(effects, errors, 0.05)
    assert found is not None
    y, v = np.array(effects), np.array(errors) ** 2
    best = min(restricted(one, y, v) for one in [0.0, *np.geomspace(1e-6 * v.min(), 10 * np.ptp(y) ** 2, 2000)])
    assert restricted(found.tau**2, y, v) <= best + 1e-9
    assert tau2 is None or found.tau**2 == pytest.approx(tau2, abs=1e-4)


@pytest.mark.parametrize("tau2", [0.0, 1e-5, 0.02, 3.0, 1e4])
def test_the_spread_of_two_data_sets_is_what_their_errors_leave_of_the_difference(tau2: float) -> None:
    difference = math.sqrt(0.5 + 1.3 + 2 * tau2)
    found = random_effects([0.7, 0.7 + difference], [math.sqrt(0.5), math.sqrt(1.3)], 0.05)
    assert found is not None
    assert found.tau**2 == pytest.approx(tau2, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("unit", [1e-5, 1e3])
def test_the_unit_of_the_effects_does_not_matter(unit: float) -> None:
    effects, variances = (np.array(column) for column in zip(*BCG, strict=True))
    errors = np.sqrt(variances)
    found = random_effects(effects.tolist(), errors.tolist(), 0.05)
    other = random_effects((unit * effects).tolist(), (unit * errors).tolist(), 0.05)
    assert found is not None
    assert other is not None
    expected = [unit * one for one in (found.mean, found.low, found.high, found.tau)]
    assert [other.mean, other.low, other.high, other.tau] == pytest.approx(expected, rel=1e-9)
    assert other.p == pytest.approx(found.p, rel=1e-9)


def test_data_sets_that_agree_weigh_by_their_errors() -> None:
    found = random_effects([0.10, 0.11, 0.10], [0.01, 0.02, 0.04], 0.05)
    assert found is not None
    weights = np.array([1 / 0.01**2, 1 / 0.02**2, 1 / 0.04**2])
    assert found.tau == 0
    assert found.mean == pytest.approx(weights @ [0.10, 0.11, 0.10] / weights.sum())
    half = stats.t.isf(0.025, 2) / math.sqrt(weights.sum())
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half))


def test_two_data_sets_say_little() -> None:
    found = random_effects([0.05, 0.06], [0.01, 0.01], 0.05)
    assert found is not None
    assert found.low < 0 < found.high, "the t distribution of one degree of freedom"


def test_one_data_set_and_one_without_an_error_have_no_mean() -> None:
    assert random_effects([0.1], [0.01], 0.05) is None
    assert random_effects([0.1, 0.2], [0.01, 0.0], 0.05) is None
    assert random_effects([0.1, math.nan], [0.01, 0.01], 0.05) is None


@pytest.mark.parametrize("tau", [0.0, 0.05])
def test_the_interval_covers_the_mean(tau: float) -> None:
    rng = np.random.default_rng(4)
    covered = []
    for _ in range(500):
        errors = rng.uniform(0.01, 0.04, 4)
        y = rng.normal(0.02, tau, 4) + rng.normal(0, errors)
        found = random_effects(y.tolist(), errors.tolist(), 0.05)
        assert found is not None
        covered.append(found.low <= 0.02 <= found.high)
    assert 0.92 < np.mean(covered) <= 1.0
