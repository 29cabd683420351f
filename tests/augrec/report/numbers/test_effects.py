"""How large a difference is, and which would be seen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from augrec.report.numbers.effects import detectable, standardised
from augrec.report.numbers.statistics import paired_t


def test_the_effect_is_the_t_statistic_without_the_number_of_users() -> None:
    differences = np.random.default_rng(0).normal(0.2, 1.0, 60)
    effect = standardised(differences)
    assert effect is not None
    assert effect * math.sqrt(60) == pytest.approx(stats.ttest_1samp(differences, 0).statistic)


def test_the_detectable_difference_is_found_four_times_out_of_five() -> None:
    rng = np.random.default_rng(1)
    for n, alpha in ((150, 0.05), (12, 0.05), (60, 0.2)):
        spread = rng.normal(0, 1, n)
        spread *= 0.3 / spread.std(ddof=1)
        effect = detectable(spread, alpha)
        assert effect is not None
        found = [(paired_t(rng.normal(effect, 0.3, n), np.zeros(n)).p or 1.0) < alpha for _ in range(1500)]
        assert 0.75 < np.mean(found) < 0.85


def test_two_pairs_are_enough_for_the_closed_form_of_one_degree_of_freedom() -> None:
    """There t's quantiles are tan(pi (q - 1/2)), and the standard error of (0, .2) is .1."""
    differences = np.array([0.0, 0.2])
    assert standardised(differences) == pytest.approx(math.sqrt(0.5))
    quantiles = [math.tan(math.pi * (q - 0.5)) for q in (0.975, 0.8)]
    assert detectable(differences, 0.05) == pytest.approx(0.1 * sum(quantiles))


def test_more_power_and_fewer_users_need_a_larger_difference() -> None:
    differences = np.random.default_rng(2).normal(0, 1, 400)
    usual, sure, few = (
        detectable(differences, 0.05),
        detectable(differences, 0.05, 0.95),
        detectable(differences[:40], 0.05),
    )
    assert usual is not None
    assert sure is not None
    assert few is not None
    assert usual < sure < few


@pytest.mark.parametrize("differences", [np.zeros(0), np.array([0.3]), np.full(9, 0.2)])
def test_without_a_spread_there_is_nothing_to_say(differences: np.ndarray) -> None:
    assert standardised(differences) is None
    assert detectable(differences, 0.05) is None
