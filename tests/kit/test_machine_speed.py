"""Limits of tests stretch with the machine: never shorter than on the reference, never endless."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.machine_speed import MOST, REFERENCE_SECONDS, ROUNDS, Measured, slowness, stretched


def a_clock(*readings: float) -> Iterator[float]:
    return iter(readings)


@pytest.mark.parametrize(("times", "factor"), [(0.1, 1.0), (1.0, 1.0), (7.0, 7.0), (1e6, MOST)])
def test_a_machine_so_many_times_as_slow_has_limits_so_many_times_as_long(times: float, factor: float) -> None:
    clock = a_clock(5.0, 5.0 + times * ROUNDS * REFERENCE_SECONDS["interpreter"])
    assert slowness(clock=lambda: next(clock), known={}) == pytest.approx(factor)


def test_one_measurement_serves_the_tests_of_a_minute() -> None:
    clock = a_clock(0.0, 9 * ROUNDS * REFERENCE_SECONDS["interpreter"])
    known: Measured = {}
    assert [slowness(clock=lambda: next(clock), known=known) for _ in range(3)] == pytest.approx([9.0] * 3)


def test_a_real_engine_is_as_slow_as_products_and_interpreter_together() -> None:
    assert stretched([1.0, 9.0]) == 5.0
    assert 1.0 <= slowness(engine=True) <= MOST


def test_this_very_test_has_a_limit_that_was_measured(request: pytest.FixtureRequest) -> None:
    marker = request.node.get_closest_marker("timeout")
    if marker is None:
        assert request.config.getoption("timeout") is not None or request.config.getini("timeout") not in (None, "")
    else:
        assert 120 <= marker.args[0] <= 120 * MOST
