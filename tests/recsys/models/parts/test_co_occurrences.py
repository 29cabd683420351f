"""Weighed co-occurrences, all of them and the largest, against a dense product in float64."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from recsys.models.parts.co_occurrences import co_occurrences


def interactions(n_users: int = 60, n_items: int = 45) -> sp.csr_array:
    """Popular items first; the last item is nobody's, the last user has nothing."""
    rng = np.random.default_rng(4)
    there = rng.random((n_users, n_items)) < np.linspace(0.9, 0.02, n_items)
    there[-1] = there[:, -1] = False
    return sp.csr_array(there.astype(float))


def norms(n: int, distinct: int) -> np.ndarray:
    return np.random.default_rng(5).integers(1, 1 + distinct, n) ** 0.7


@pytest.mark.parametrize("part", [slice(0, 45), slice(13, 14), slice(30, 45)])
@pytest.mark.parametrize(("k", "shrink", "distinct"), [(1, 0.0, 30), (7, 2.5, 3), (20, 0.0, 1), (45, 1.0, 30)])
def test_the_largest_are_those_of_the_product_and_of_equal_ones_the_lower_columns(
    part: slice, k: int, shrink: float, distinct: int
) -> None:
    """Weights 1 and few norms make most entries of a row equal to others."""
    x, row_norm, column_norm = interactions(), norms(45, distinct), norms(45, distinct)[::-1].copy()
    weight = np.arange(60) % 3.0  # a third of the users count for nothing
    dense = x.toarray()
    expected = (dense.T @ (weight[:, None] * dense)) / (np.outer(row_norm, column_norm) + shrink)
    every = co_occurrences(x, weight, row_norm, column_norm, shrink, None)(part).toarray()
    np.testing.assert_allclose(every, expected[part], rtol=1e-12)
    block = co_occurrences(x, weight, row_norm, column_norm, shrink, k)(part)
    values = np.float32(expected[part])
    values[np.arange(len(values)), np.arange(part.start, part.stop)] = 0  # the diagonal is no neighbour
    for row, found, of_row in zip(values, block.indices.reshape(-1, k), block.data.reshape(-1, k), strict=True):
        order = sorted(np.flatnonzero(row > 0), key=lambda column, row=row: (-row[column], column))[:k]
        kept = of_row > 0
        assert sorted(found[kept].tolist()) == sorted(order)
        assert (of_row[kept] == row[found[kept]]).all()


def test_weights_that_vanish_leave_no_trace_in_other_rows() -> None:
    """RP3beta's alpha of 400 takes a user of ten items below the smallest number there is."""
    x = sp.csr_array(np.ones((3, 30)))
    weight = np.array([0.0, 0.0, 5e-324])
    block = co_occurrences(x, weight, np.ones(30), np.ones(30), 0.0, 4)(slice(0, 30))
    assert not block.data.any()
