"""What is resampled together against each table alone, and against loops over users."""

from __future__ import annotations

import numpy as np
import pytest

from augrec.report.numbers.intervals import intervals
from augrec.report.numbers.resampling import Resampling
from augrec.report.numbers.statistics import sign_flips
from augrec.report.options import Inference

ASKED = Inference(bootstrap=150, flips=199, seed=3)
SHAPES = {"means": (1, 1, 40), "seeds": (1, 3, 40), "draws": (2, 3, 40), "others": (1, 3, 25), "few": (1, 2, 9)}


def tables() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    found = {
        name: rng.normal(0.05, 0.2, shape) + rng.normal(0, 0.02, (*shape[:2], 1)) for name, shape in SHAPES.items()
    }
    return found | {"one user": rng.normal(size=(1, 3, 1)), "nothing": np.zeros((1, 3, 40))}


def test_together_is_what_each_table_has_alone() -> None:
    resampling = Resampling(ASKED)
    for name, values in tables().items():
        resampling.add(name, values, differences=name != "means")
    for name, values in tables().items():
        together = resampling.of(name)
        alone = intervals(values[..., None], ASKED.bootstrap, ASKED.alpha, np.random.default_rng(ASKED.seed))
        for end in ("low", "high", "error", "degrees"):
            np.testing.assert_allclose(getattr(together.interval, end), getattr(alone, end), rtol=1e-12, atol=1e-15)
        signs = np.random.default_rng([ASKED.seed, 1])
        [test] = sign_flips(values.mean(axis=(0, 1))[:, None], signs, ASKED.flips)
        assert together.flips == (None if name == "means" else test)


def test_an_interval_over_users_is_that_of_a_loop_over_resamples() -> None:
    values = np.random.default_rng(2).exponential(0.1, 60)
    resampling = Resampling(ASKED)
    resampling.add("one", values[None, None], differences=False)
    rng, means = np.random.default_rng(ASKED.seed), []
    for _ in range(ASKED.bootstrap):
        drawn = rng.integers(0, 60, 60)
        means.append(sum(float(values[user]) for user in drawn) / 60)
    mean, found = values.mean(), resampling.of("one").interval
    wider = (found.high[0] - found.low[0]) / np.subtract(*np.quantile(means, [0.975, 0.025]))
    low, high = mean + wider * (np.quantile(means, [0.025, 0.975]) - mean)
    assert 1 < wider < 1.05  # n / (n - 1) of the variance, and t in place of z
    assert (found.low[0], found.high[0]) == pytest.approx((low, high))


def test_means_of_many_users_in_single_precision_change_no_digit_that_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(4).beta(1, 4, (1, 3, 500))
    ends = []
    for limit in (1000, 100):
        monkeypatch.setattr("augrec.report.numbers.intervals.IN_SINGLE_PRECISION", limit)
        resampling = Resampling(ASKED)
        resampling.add("one", values, differences=True)
        ends.append([resampling.of("one").interval.low[0], resampling.of("one").interval.high[0]])
    assert ends[0] == pytest.approx(ends[1], rel=1e-7)


def test_what_was_never_added_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        Resampling(ASKED).of("nobody")
