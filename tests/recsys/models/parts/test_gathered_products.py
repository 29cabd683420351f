"""Products with rows that are read where they lie, against NumPy's in float64."""

from __future__ import annotations

import numpy as np
import pytest

from recsys.models.parts import gathered_products
from recsys.models.parts.gathered_products import add_gradient, project


def chosen(m: int, t: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A table, ids in no order and some of them twice, weights and slopes."""
    rng = np.random.default_rng(m + t)
    table, weights, slopes = (rng.standard_normal(shape, dtype=np.float32) for shape in ((40, t), (t, d), (m, d)))
    return table, rng.integers(40, size=m), weights, slopes


@pytest.fixture(params=[16, 64], ids=["lanes as without AVX-512", "lanes as with AVX-512"])
def lanes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered_products, "lanes_of", lambda width: request.param if width % 64 == 0 else 16)


@pytest.mark.usefixtures("lanes")
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("m", "t", "d"), [(70, 33, 64), (6, 6, 16), (5, 5, 16), (1, 1, 16), (131, 7, 48), (13, 130, 128), (0, 4, 16)]
)
def test_the_products_are_those_of_the_gathered_rows(m: int, t: int, d: int, threads: int) -> None:
    table, ids, weights, slopes = chosen(m, t, d)
    exact = table[ids].astype(np.float64)
    np.testing.assert_allclose(project(table, ids, weights, threads), exact @ weights, rtol=1e-5, atol=1e-5)
    total = np.random.default_rng(1).standard_normal((t, d), dtype=np.float32)
    expected = total + exact.T @ slopes
    add_gradient(table, ids, slopes, total, threads)
    np.testing.assert_allclose(total, expected, rtol=1e-5, atol=1e-5)


def test_lanes_and_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    table, ids, weights, slopes = chosen(137, 50, 128)
    found = []
    for lanes in (16, 64):
        monkeypatch.setattr(gathered_products, "lanes_of", lambda _, lanes=lanes: lanes)
        for threads in (1, 2, 5):
            total = np.zeros((50, 128), np.float32)
            add_gradient(table, ids, slopes, total, threads)
            found.append((project(table, ids, weights, threads), total))
    for projected, total in found[1:]:
        np.testing.assert_array_equal(projected, found[0][0])
        np.testing.assert_array_equal(total, found[0][1])
