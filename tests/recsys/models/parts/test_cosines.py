"""Cosines of sparse features: the same as of dense ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recsys.augmentation import FeatureMatrix
from recsys.models.parts import cosines
from recsys.models.parts.cosines import add_sparse_cosines, is_sparse, sparse_rows


def words(rows: int, missing: tuple[int, ...] = ()) -> FeatureMatrix:
    rng = np.random.default_rng(2)
    matrix = np.zeros((rows, 30), dtype=np.float32)
    for row in range(rows):
        matrix[row, rng.choice(30, 3, replace=False)] = rng.random(3)
    return FeatureMatrix.from_dense(matrix, missing)


@pytest.mark.parametrize("block", [1, 4, 1024])
@pytest.mark.parametrize("missing", [(), (0, 7), tuple(range(9))])
def test_centred_cosines_equal_a_loop(block: int, missing: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosines, "ROWS", block)
    matrix = words(9, missing)
    there = [row for row in range(9) if row not in missing]
    dense = matrix.dense().astype(float)
    expected = np.ones((9, 9))
    for i in there:
        for j in there:
            a, b = (dense[row] - dense[there].mean(axis=0) for row in (i, j))
            expected[i, j] += 2.5 * (a @ b) / np.sqrt((a @ a) * (b @ b))
    target = torch.ones(9, 9, dtype=torch.float64)
    add_sparse_cosines(target, matrix, 2.5, centred=True)
    np.testing.assert_allclose(target.numpy(), expected, atol=1e-12)


def test_cosines_that_are_not_centred_equal_a_loop() -> None:
    matrix = words(9, (0, 7))
    dense = matrix.dense().astype(float)
    lengths = np.maximum(np.linalg.norm(dense, axis=1), 1e-300)
    target = torch.ones(9, 9, dtype=torch.float64)
    add_sparse_cosines(target, matrix, 2.5, centred=False)
    np.testing.assert_allclose(target.numpy(), 1 + 2.5 * (dense @ dense.T) / lengths[:, None] / lengths, atol=1e-12)


def test_rows_that_are_all_alike_have_nothing_in_common() -> None:
    target = torch.zeros(3, 3, dtype=torch.float64)
    add_sparse_cosines(target, FeatureMatrix.from_dense(np.tile([0.1] + 29 * [0.0], (3, 1))), 1.0, centred=True)
    assert not target.any()


def test_a_tenth_of_numbers_makes_a_matrix_dense() -> None:
    few, many = np.eye(10), np.eye(10)
    many[0, 1] = 1
    assert is_sparse(FeatureMatrix.from_dense(few))
    assert not is_sparse(FeatureMatrix.from_dense(many))
    assert not is_sparse(FeatureMatrix.from_dense(np.zeros((3, 0))))


def test_equal_rows_are_scattered_to_their_places() -> None:
    matrix = FeatureMatrix.from_dense([[0, 1], [2, 0], [0, 1]], missing=[1])
    assert sparse_rows(matrix).toarray().tolist() == [[0, 1], [0, 0], [0, 1]]
